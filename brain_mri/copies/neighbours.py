"""Which images may be copies: the nearest neighbours of each by descriptor, in any of eight orientations."""

from collections.abc import Iterator

import faiss
import numpy as np

from brain_mri.copies.descriptions import GRID, ORIENTATIONS, Floats, turned
from brain_mri.images.groups import Integers

BLOCK = 2**24  # similarities held at once: 64 MiB
PART = 2**17  # pairs whose descriptors are held at once: 150 MiB
EXHAUSTIVE = 20_000  # images up to which comparing all with all is as fast as the index
CELLS = 4  # of the index, times the root of the number of images
PROBED = 32  # cells looked into for each image and orientation
LOOKED_UP = 4  # images for each neighbour that is kept: earlier ones are among them
QUERIES = 2**12  # images looked up at once


def candidates(descriptors: Floats, least: float, neighbours: int) -> tuple[Integers, Integers, Integers]:
    """Pairs (first < second, orientation) whose descriptors (N, GRID**2) correlate at `least`, in the best orientation.

    Of each image, the `neighbours` best later ones are kept. Above EXHAUSTIVE images an index finds nearly all of
    them; it is the same from run to run."""
    search = _all_pairs if len(descriptors) <= EXHAUSTIVE else _indexed_pairs
    found = [np.empty((0, 2), np.int64)]
    for first, second, correlation in search(descriptors, least, neighbours):
        kept = _best_of_each_row(first, correlation, neighbours)
        found.append(np.column_stack([first[kept], second[kept]]))
    first, second = np.concatenate(found).T
    orientation = np.empty(len(first), np.int64)
    for part in np.array_split(np.arange(len(first)), len(first) // PART + 1):
        orientation[part] = correlate(descriptors[first[part]], descriptors[second[part]])[1]
    return first, second, orientation


def correlate(first: Floats, second: Floats) -> tuple[Floats, Integers]:
    """Correlation (P,) of P pairs of descriptors (P, GRID**2), and the orientation of the first where it is largest."""
    one, other = first.reshape(-1, GRID, GRID), second.reshape(-1, GRID, GRID)
    each = np.stack([np.einsum("pij,pij->p", turned(one, name), other) for name in ORIENTATIONS])
    return each.max(axis=0), each.argmax(axis=0)


def _all_pairs(descriptors: Floats, least: float, neighbours: int) -> Iterator[tuple[Integers, Integers, Floats]]:
    """Pairs (first < second, correlation) at `least`, sorted, in parts of whole rows, by blocked matrix products; the
    descriptors of an image in its eight orientations are permutations of one another."""
    count = len(descriptors)
    grids = descriptors.reshape(count, GRID, GRID)
    start = 0
    while start < count:
        stop = min(count, start + max(1, BLOCK // (2 * (count - start))))
        best, correlation = np.full((2, stop - start, count - start), -1, np.float32)
        for name in ORIENTATIONS:
            np.matmul(turned(grids[start:stop], name).reshape(stop - start, -1), descriptors[start:].T, out=correlation)
            np.maximum(best, correlation, out=best)
        best[:, : stop - start][np.tri(stop - start, dtype=bool)] = -1
        row, column = np.nonzero(best >= least)
        yield row + start, column + start, best[row, column]
        start = stop


def _indexed_pairs(descriptors: Floats, least: float, neighbours: int) -> Iterator[tuple[Integers, Integers, Floats]]:
    """Nearly all of these pairs, in one part. A pair is found from either image, so that it is missed only where both
    look into other cells. Inverted file: Sivic and Zisserman, Video Google (ICCV 2003); Johnson, Douze and Jegou,
    Billion-scale similarity search with GPUs (2017)."""
    count = len(descriptors)
    index = _index(descriptors)
    grids = descriptors.reshape(count, GRID, GRID)
    keys, values = [], []
    for start in range(0, count, QUERIES):
        block = grids[start : start + QUERIES]
        image = np.arange(start, start + len(block))[:, np.newaxis]
        others, correlations = [], []
        for name in ORIENTATIONS:
            asked = np.ascontiguousarray(turned(block, name)).reshape(len(block), -1)
            correlation, other = index.search(asked, LOOKED_UP * neighbours + 1)
            correlation[(correlation < least) | (other == image)] = -1
            others.append(other)
            correlations.append(correlation)
        # No more of them than one orientation gives, or those of a million images would fill the memory.
        other, correlation = np.hstack(others), np.hstack(correlations)
        best = np.argpartition(-correlation, LOOKED_UP * neighbours, axis=1)[:, : LOOKED_UP * neighbours]
        other, correlation = (np.take_along_axis(whole, best, axis=1) for whole in (other, correlation))
        near = correlation >= least
        keys.append((np.minimum(other, image) * count + np.maximum(other, image))[near])
        values.append(correlation[near])
    key, value = np.concatenate(keys), np.concatenate(values)
    order = np.lexsort([-value, key])
    order = order[np.unique(key[order], return_index=True)[1]]
    yield key[order] // count, key[order] % count, value[order]


def _index(descriptors: Floats) -> faiss.IndexIVFFlat:
    count, size = descriptors.shape
    cells = int(CELLS * np.sqrt(count))
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(size), size, cells, faiss.METRIC_INNER_PRODUCT)
    index.nprobe = PROBED
    index.cp.min_points_per_centroid = 1  # without a warning where there are fewer than 39
    # Evenly over the images, which come sorted by class and patient; 40 to a cell place its centre well.
    index.train(np.ascontiguousarray(descriptors[:: max(1, count // (40 * cells))]))
    index.add(descriptors)
    return index


def _best_of_each_row(row: Integers, value: Floats, most: int) -> Integers:
    """Indices, ascending, of the `most` largest values of every row; `row` is sorted."""
    order = np.lexsort((-value, row))
    rank = np.arange(len(row)) - np.searchsorted(row, row)
    return np.sort(order[rank < most])
