"""Which images may be copies: the nearest neighbours of each by descriptor, in any of eight orientations."""

import faiss
import numpy as np

from brain_mri.copies.descriptions import GRID, ORIENTATIONS, Floats, turned
from brain_mri.images.groups import Integers

PART = 2**17  # pairs whose descriptors are held at once: 150 MiB
QUERIES = 2**12  # images looked up at once
EXHAUSTIVE = 20_000  # images up to which comparing all with all is as fast as the index
CELLS = 4  # of the index, times the root of the number of images
PROBED = 128  # cells looked into for each image and orientation
CODES = GRID**2 // 2  # parts of a descriptor, each approximated by one of 16 values
NO_PAIR = -2  # below every correlation
REFINED = 2  # images for each wanted one that are compared exactly


def candidates(descriptors: Floats, least: float, neighbours: int) -> tuple[Integers, Integers, Integers]:
    """Pairs (first < second, orientation), sorted, whose descriptors (N, GRID**2) correlate at `least` in the best
    orientation, and one of whose images is among the `neighbours` most alike of the other.

    Above EXHAUSTIVE images an index finds nearly all of them; it is the same from run to run."""
    count = len(descriptors)
    index = _index(descriptors)
    grids = descriptors.reshape(count, GRID, GRID)
    found = [np.empty(0, np.int64)]
    for start in range(0, count, QUERIES):
        block = grids[start : start + QUERIES]
        image = np.arange(start, start + len(block))[:, np.newaxis]
        asked = (np.ascontiguousarray(turned(block, name)).reshape(len(block), -1) for name in ORIENTATIONS)
        # One more than wanted: each image finds itself.
        correlation, other = map(np.hstack, zip(*(index.search(one, neighbours + 1) for one in asked), strict=True))
        correlation[(other == image) | (other < 0)] = NO_PAIR
        correlation, other = _best_of_each_row(correlation, other, neighbours)
        near = correlation >= least
        found.append((np.minimum(other, image) * count + np.maximum(other, image))[near])
    first, second = np.divmod(np.unique(np.concatenate(found)), max(count, 1))
    orientation = np.empty(len(first), np.int64)
    for part in np.array_split(np.arange(len(first)), len(first) // PART + 1):
        orientation[part] = correlate(descriptors[first[part]], descriptors[second[part]])[1]
    return first, second, orientation


def correlate(first: Floats, second: Floats) -> tuple[Floats, Integers]:
    """Correlation (P,) of P pairs of descriptors (P, GRID**2), and the orientation of the first where it is largest."""
    one, other = first.reshape(-1, GRID, GRID), second.reshape(-1, GRID, GRID)
    each = np.stack([np.einsum("pij,pij->p", turned(one, name), other) for name in ORIENTATIONS])
    return each.max(axis=0), each.argmax(axis=0)


def _index(descriptors: Floats) -> faiss.Index:
    """What finds the descriptors that correlate most with a given one: all are looked at, or, of many, those in the
    cells of an inverted file that lie next to it, first by codes of four bits, the best of these exactly.

    Sivic and Zisserman, Video Google (ICCV 2003); André, Kermarrec and Le Scouarnec, Quicker ADC (2019); Johnson, Douze
    and Jégou, Billion-scale similarity search with GPUs (2017)."""
    count, size = descriptors.shape
    cells = int(CELLS * np.sqrt(count))
    kind = "Flat" if count <= EXHAUSTIVE else f"IVF{cells},PQ{CODES}x4fs,RFlat"
    index = faiss.index_factory(size, kind, faiss.METRIC_INNER_PRODUCT)
    if not index.is_trained:
        for name, value in (("nprobe", PROBED), ("k_factor_rf", REFINED)):
            faiss.ParameterSpace().set_index_parameter(index, name, value)
        # Evenly over the images, which come sorted by class and patient; 40 to a cell place its centre well.
        index.train(np.ascontiguousarray(descriptors[:: max(1, count // (40 * cells))]))
    index.add(descriptors)
    return index


def _best_of_each_row(value: Floats, name: Integers, most: int) -> tuple[Floats, Integers]:
    """Of each row, the `most` largest values with their names, a name once."""
    order = np.lexsort((-value, name))
    value, name = np.take_along_axis(value, order, axis=1), np.take_along_axis(name, order, axis=1)
    value[:, 1:][name[:, 1:] == name[:, :-1]] = NO_PAIR
    best = np.argpartition(-value, most, axis=1)[:, :most]
    return np.take_along_axis(value, best, axis=1), np.take_along_axis(name, best, axis=1)
