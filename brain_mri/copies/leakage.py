"""What the duplicates mean for a data set: redundant files, test images with a copy in training, conflicts, chains."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order, dijkstra, minimum_spanning_tree

from brain_mri.copies.descriptions import ORIENTATIONS, Floats, turned
from brain_mri.copies.duplicates import LEVELS, Pairs, group_copies
from brain_mri.copies.neighbours import correlate
from brain_mri.images.groups import Integers, is_first

Mask = NDArray[np.bool_]


def _composition() -> NDArray[np.int64]:
    square = np.arange(4).reshape(2, 2)
    index = {turned(square, name).tobytes(): place for place, name in enumerate(ORIENTATIONS)}
    return np.array(
        [[index[turned(turned(square, first), then).tobytes()] for then in ORIENTATIONS] for first in ORIENTATIONS]
    )


COMPOSED = _composition()  # [a, b]: the one orientation that is a, then b
INVERSE = np.argmin(COMPOSED, axis=1)


def groups_by_level(pairs: Pairs, count: int) -> dict[str, Integers]:
    """Groups (count,) at each of LEVELS; a level holds the stricter ones, so "near" is all that the audit found."""
    return {name: group_copies(pairs.keep(pairs.level <= level), count) for level, name in enumerate(LEVELS)}


def redundant_files(labels: NDArray[Any], groups: Integers) -> dict[str, int]:
    """Files less the groups that they form, in all and by class: what could go without a picture being lost."""
    classes = {str(name): groups[labels == name] for name in np.unique(labels)}
    by_class = {name: len(members) - len(np.unique(members)) for name, members in classes.items()}
    return {"all": sum(by_class.values()), **by_class}


def find_copies(reference: Mask, pairs: Pairs) -> tuple[Integers, Integers]:
    """Find each of N images again among the images of `reference` (N,), through the groups that `pairs` form.

    Returns the strictest level (N,), an index into LEVELS, and the orientation (N,), an index into ORIENTATIONS: what
    turns the copy in the reference into the image. -1 where there is no copy. An image of the reference is looked for
    among the others. Where a group holds copies in several orientations, the first in ORIENTATIONS counts, so
    "identity" wherever one copy is not turned. Through a chain of pairs the orientations are composed."""
    count = len(reference)
    pose = poses(pairs, count)
    level = np.full(count, -1)
    orientation = np.full(count, -1)
    # From the loosest level to the strictest: what is left is the strictest.
    for strictness, groups in reversed(list(enumerate(groups_by_level(pairs, count).values()))):
        # present[g, p]: images of the reference in group g and pose p.
        present = np.zeros((count, len(ORIENTATIONS)), np.int64)
        np.add.at(present, (groups[reference], pose[reference]), 1)
        others = present[groups]
        others[np.arange(count), pose] -= reference
        found = others.sum(axis=1) > 0
        # relative[i, p]: what turns pose p into the pose of image i.
        relative = COMPOSED[INVERSE[np.newaxis, :], pose[:, np.newaxis]]
        nearest = np.where(others > 0, relative, len(ORIENTATIONS)).min(axis=1)
        level[found] = strictness
        orientation[found] = nearest[found]
    return level, orientation


def count_copies(level: Integers, orientation: Integers) -> dict[str, Any]:
    """Count N images, and those with a copy, in all, by level and by orientation; see `find_copies`."""
    return {
        "of": len(level),
        "with_copy": int(np.sum(level >= 0)),
        "level": {name: int(np.sum(level == index)) for index, name in enumerate(LEVELS)},
        "orientation": {name: int(np.sum(orientation == index)) for index, name in enumerate(ORIENTATIONS)},
    }


def poses(pairs: Pairs, count: int) -> Integers:
    """Orientation (count,) of each image against the first of its group, along the surest chain of pairs."""
    roots = np.flatnonzero(is_first(group_copies(pairs, count)))
    order, parents = breadth_first_order(_rooted(_surest_tree(pairs, count), roots), count, False)
    turn = dict(zip(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True), pairs.orientation, strict=True))
    pose = np.zeros(count, np.int64)
    for child in order.tolist()[1:]:
        parent = int(parents[child])
        if parent != count:
            step = turn[parent, child] if parent < child else INVERSE[turn[child, parent]]
            pose[child] = COMPOSED[pose[parent], step]
    return pose


@dataclass(frozen=True)
class Chain:
    """How well a group of three images or more holds together. Copies of one picture resemble each other directly;
    where neighbouring slices crept in, the ends of the group no longer do."""

    group: int
    size: int
    hops: int  # pairs to walk between its farthest images (by a double sweep)
    weakest: float  # lowest score on the surest walk through all its images
    ends: tuple[int, int]  # its farthest images
    ends_similarity: float  # correlation of their descriptors in the best orientation


def chains(pairs: Pairs, descriptors: Floats) -> list[Chain]:
    """The groups of three or more, the least coherent ends first. descriptors (N, GRID**2) as in `find_pairs`."""
    count = len(descriptors)
    groups = group_copies(pairs, count)
    links = coo_array((np.ones(len(pairs)), (pairs.first, pairs.second)), (count, count))
    start, _ = _farthest(links, groups, np.flatnonzero(is_first(groups)))
    end, hops = _farthest(links, groups, start)

    tree = _surest_tree(pairs, count)
    weakest = np.ones(len(start))
    np.minimum.at(weakest, groups[tree.row], 2 - tree.data)

    similarity, _ = correlate(descriptors[start], descriptors[end])
    size = np.bincount(groups)
    found = [
        Chain(int(g), int(size[g]), int(hops[g]), float(weakest[g]), (int(start[g]), int(end[g])), float(similarity[g]))
        for g in np.flatnonzero(size >= 3)
    ]
    return sorted(found, key=lambda chain: (chain.ends_similarity, chain.group))


def label_conflicts(labels: NDArray[Any], groups: Integers) -> list[Integers]:
    """The images (indices) of each group whose images carry more than one label."""
    pairs = np.unique(np.column_stack([groups, np.unique(labels, return_inverse=True)[1]]), axis=0)
    names, kinds = np.unique(pairs[:, 0], return_counts=True)
    return [np.flatnonzero(groups == name) for name in names[kinds > 1]]


def _surest_tree(pairs: Pairs, count: int) -> coo_array:
    """The spanning trees (count, count) of the groups with the highest scores; a link weighs 2 minus its score."""
    # Not 1 minus the score: a sparse graph takes a weight of 0 for no link.
    weights = 2 - pairs.score.astype(np.float64)
    return coo_array(minimum_spanning_tree(coo_array((weights, (pairs.first, pairs.second)), (count, count))))


def _rooted(graph: coo_array, starts: Integers) -> coo_array:
    """`graph` with one more node, linked to one image of each group."""
    count = graph.shape[0]
    return coo_array(
        (
            np.concatenate([graph.data, np.ones(len(starts))]),
            (np.concatenate([graph.row, np.full(len(starts), count)]), np.concatenate([graph.col, starts])),
        ),
        (count + 1, count + 1),
    )


def _farthest(links: coo_array, groups: Integers, starts: Integers) -> tuple[Integers, Integers]:
    """The image of each group that is the most pairs away from the one in `starts`, and how many."""
    distance = dijkstra(_rooted(links, starts), directed=False, indices=len(groups), unweighted=True)[:-1]
    order = np.lexsort([-distance, groups])
    far = order[is_first(groups[order])]
    return far, distance[far].astype(np.int64) - 1
