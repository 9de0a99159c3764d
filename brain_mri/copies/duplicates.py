"""Duplicates among described images: same bytes, same pixels, near copies in any of eight orientations; groups."""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import reverse_cuthill_mckee

from brain_mri.copies.alignment import Prepared, similarity
from brain_mri.copies.descriptions import ORIENTATIONS, Descriptions, Floats, Image
from brain_mri.copies.neighbours import candidates
from brain_mri.images.groups import Integers, connected_groups, pairs_with_first
from brain_mri.params import Audit
from brain_mri.workers import workers

LEVELS = ("bytes", "pixels", "near")

CHUNK = 4000  # candidate pairs a task of a worker process


@dataclass(frozen=True)
class Pairs:
    """P pairs of images, sorted by `first`, then `second`; `first < second`."""

    first: Integers  # (P,)
    second: Integers  # (P,)
    level: Integers  # (P,) index into LEVELS, the strictest that holds
    orientation: Integers  # (P,) index into ORIENTATIONS: what turns the first image into the second
    score: Floats  # (P,) correlation of aligned texture, 1 for equal bytes or pixels

    def __len__(self) -> int:
        return len(self.first)

    def keep(self, which: NDArray[Any]) -> "Pairs":
        """The pairs of a boolean mask or of an order."""
        columns = (self.first, self.second, self.level, self.orientation, self.score)
        return Pairs(*(column[which] for column in columns))


PAIR_COLUMNS = ("first", "second", "level", "orientation", "score")


def pair_rows(pairs: Pairs, names: Sequence[str]) -> Iterator[dict[str, str]]:
    """A row of PAIR_COLUMNS for each pair of the images `names` (N)."""
    for first, second, level, turn, score in zip(
        pairs.first, pairs.second, pairs.level, pairs.orientation, pairs.score, strict=True
    ):
        cells = names[first], names[second], LEVELS[level], ORIENTATIONS[turn], f"{score:.4f}"
        yield dict(zip(PAIR_COLUMNS, cells, strict=True))


def find_pairs(descriptions: Descriptions, settings: Audit, processes: int | None = None) -> Pairs:
    """Find the copies among N images.

    Of images with equal bytes, and of those with equal pixels, the first is paired with each other one, and it alone
    stands for them in the search for near copies: groups come out whole, pairs are not repeated.
    The result does not depend on `processes` (default: all cores)."""
    descriptors, thumbnails, byte_hashes, pixel_hashes = descriptions
    same_bytes, same_pixels = pairs_with_first(byte_hashes), pairs_with_first(pixel_hashes)
    exact, place = np.unique(np.concatenate([same_bytes, same_pixels]), axis=0, return_index=True)

    distinct = np.sort(np.unique(pixel_hashes, return_index=True)[1])
    first, second, orientation = candidates(descriptors[distinct], settings.search, settings.neighbours)
    first, second = distinct[first], distinct[second]
    score = verify(thumbnails, first, second, orientation, processes)
    same = score >= settings.same
    found = Pairs(
        np.concatenate([exact[:, 0], first[same]]),
        np.concatenate([exact[:, 1], second[same]]),
        np.concatenate([np.where(place < len(same_bytes), 0, 1), np.full(same.sum(), 2)]),
        np.concatenate([np.zeros(len(exact), np.int64), orientation[same]]),
        np.concatenate([np.ones(len(exact), np.float32), score[same]]),
    )
    return found.keep(np.lexsort([found.second, found.first]))


def verify(
    thumbnails: Image, first: Integers, second: Integers, orientation: Integers, processes: int | None = None
) -> Floats:
    """The similarity (P,) of each candidate pair, after alignment; see `alignment.similarity`."""
    if not len(first):
        return np.empty(0, np.float32)
    # Images that share candidates come next to one another, so that few are prepared twice.
    graph = coo_array((np.ones(len(first), np.int8), (first, second)), (len(thumbnails),) * 2).tocsr()
    place = np.argsort(reverse_cuthill_mckee((graph + graph.T).tocsr(), symmetric_mode=True))
    ends = np.sort(np.stack([place[first], place[second]]), axis=0)
    order = np.lexsort(ends[::-1])
    tasks = []
    for chunk in np.split(order, range(CHUNK, len(order), CHUNK)):
        used, local = np.unique(np.stack([first[chunk], second[chunk]]), return_inverse=True)
        tasks.append((used, local.reshape(2, -1), orientation[chunk]))
    load = ((thumbnails[used], local, turns) for used, local, turns in tasks)
    with workers(min(processes or len(tasks), len(tasks))) as pool:
        scores = list(pool.map(_verify_chunk, load))
    result = np.empty(len(order), np.float32)
    result[order] = np.concatenate(scores)
    return result


def _verify_chunk(task: tuple[Image, Integers, Integers]) -> Floats:
    thumbnails, (first, second), orientation = task
    prepared = functools.lru_cache(maxsize=256)(lambda index: Prepared(thumbnails[index]))
    return np.array(
        [similarity(prepared(i), prepared(j), turn) for i, j, turn in zip(first, second, orientation, strict=True)],
        np.float32,
    )


def group_copies(pairs: Pairs, count: int) -> Integers:
    """Group number (count,) of each image: connected components, numbered by their first image."""
    return connected_groups(pairs.first, pairs.second, count)
