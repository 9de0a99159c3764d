"""What the duplicates mean for a data set: redundant files, test images with a copy in training, conflicts, chains."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order, dijkstra, minimum_spanning_tree

from brain_mri.copies.descriptors import ORIENTATIONS, turned
from brain_mri.copies.duplicates import LEVELS, Floats, Integers, Pairs, compare, group

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
    return {name: group(pairs.keep(pairs.level <= level), count) for level, name in enumerate(LEVELS)}


def redundant_files(labels: NDArray[Any], groups: Integers) -> dict[str, int]:
    """Files of each class less the groups that they form: what could go without a picture being lost."""
    classes = {str(name): groups[labels == name] for name in np.unique(labels)}
    return {name: len(members) - len(np.unique(members)) for name, members in classes.items()}


@dataclass(frozen=True)
class Copies:
    """For N images: how each is found again in a reference set. -1 where it is not."""

    level: Integers  # (N,) index into LEVELS, the strictest
    orientation: Integers  # (N,) index into ORIENTATIONS: what turns the copy in the reference into the image

    def __getitem__(self, which: NDArray[Any]) -> "Copies":
        return Copies(self.level[which], self.orientation[which])

    def counts(self) -> dict[str, int | dict[str, int]]:
        """Images with a copy, in all, by level and by orientation."""
        return {
            "all": int(np.sum(self.level >= 0)),
            "level": {name: int(np.sum(self.level == level)) for level, name in enumerate(LEVELS)},
            "orientation": {name: int(np.sum(self.orientation == turn)) for turn, name in enumerate(ORIENTATIONS)},
        }


def copies_in(reference: Mask, pairs: Pairs) -> Copies:
    """Look for each of N images among the images of `reference` (N,), through the groups that `pairs` form.

    An image of the reference is looked for among the others. Where a group holds copies in several orientations, the
    first in ORIENTATIONS counts, so "identity" wherever one copy is not turned. Through a chain of pairs the
    orientations are composed."""
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
    return Copies(level, orientation)


def poses(pairs: Pairs, count: int) -> Integers:
    """Orientation (count,) of each image against the first of its group, along the surest chain of pairs."""
    # Costs are 1 for a perfect score and above for others: a sparse graph takes a cost of 0 for no link.
    tree = minimum_spanning_tree(_graph(pairs, count, 2 - pairs.score.astype(np.float64)))
    turn = _graph(pairs, count, pairs.orientation + 1).tocsr()
    order, parent = breadth_first_order(_rooted(tree, group(pairs, count)), count, directed=False)
    pose = np.zeros(count + 1, np.int64)
    for child in order[1:]:
        above = parent[child]
        if above == count:
            continue
        step = turn[min(above, child), max(above, child)] - 1
        pose[child] = COMPOSED[pose[above], step if above < child else INVERSE[step]]
    return pose[:count]


def _graph(pairs: Pairs, count: int, values: NDArray[Any]) -> Any:
    return coo_array((values, (pairs.first, pairs.second)), (count, count))


def _rooted(graph: Any, groups: Integers, starts: Integers | None = None) -> Any:
    """`graph` with one more node, linked to one image of every group: its first, or `starts`."""
    count = len(groups)
    starts = np.unique(groups, return_index=True)[1] if starts is None else starts
    links = coo_array(graph)
    return coo_array(
        (
            np.concatenate([links.data, np.ones(len(starts))]),
            (np.concatenate([links.row, np.full(len(starts), count)]), np.concatenate([links.col, starts])),
        ),
        (count + 1, count + 1),
    ).tocsr()


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
    groups = group(pairs, count)
    links = _graph(pairs, count, np.ones(len(pairs)))
    start, _ = _farthest(_rooted(links, groups), groups)
    end, hops = _farthest(_rooted(links, groups, start), groups)

    tree = coo_array(minimum_spanning_tree(_graph(pairs, count, 2 - pairs.score.astype(np.float64))))
    weakest = np.ones(len(start))
    np.minimum.at(weakest, groups[tree.row], 2 - tree.data)

    likeness, _ = compare(descriptors[start], descriptors[end])
    size = np.bincount(groups)
    found = [
        Chain(int(g), int(size[g]), int(hops[g]), float(weakest[g]), (int(start[g]), int(end[g])), float(likeness[g]))
        for g in np.flatnonzero(size >= 3)
    ]
    return sorted(found, key=lambda chain: (chain.ends_similarity, chain.group))


def _farthest(rooted: Any, groups: Integers) -> tuple[Integers, Integers]:
    """Of each group, the image farthest from the extra node of `_rooted`, and its distance from the linked one."""
    distance = dijkstra(rooted, directed=False, indices=len(groups), unweighted=True)[:-1]
    order = np.lexsort([-distance, groups])
    far = order[np.unique(groups[order], return_index=True)[1]]
    return far, distance[far].astype(np.int64) - 1


def label_conflicts(labels: NDArray[Any], groups: Integers) -> Mapping[int, Integers]:
    """Groups whose images carry more than one label, with their images (indices)."""
    pairs = np.unique(np.column_stack([groups, np.unique(labels, return_inverse=True)[1]]), axis=0)
    names, kinds = np.unique(pairs[:, 0], return_counts=True)
    return {int(name): np.flatnonzero(groups == name) for name in names[kinds > 1]}
