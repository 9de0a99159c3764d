"""Groups of images that belong together: copies of one slice, slices of one patient."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Integers = NDArray[np.int64]


def connected_groups(first: Integers, second: Integers, count: int) -> Integers:
    """Group number (count,) of each image, where `first[i]` is linked to `second[i]`: connected components, numbered
    by their first image."""
    links = coo_array((np.ones(len(first), np.int8), (first, second)), (count, count))
    return connected_components(links, directed=False)[1].astype(np.int64)


def merge_groups(groups: Integers, names: NDArray[np.str_]) -> Integers:
    """Group number (N,) of each image, where images of one group and images of one name (N,) belong together.

    An empty name is none."""
    known = np.flatnonzero(names != "")
    return merge_links(groups, *known[pairs_with_first(names[known])].T)


def merge_links(groups: Integers, first: Integers, second: Integers) -> Integers:
    """Group number (N,) of each image, where images of one group belong together, and `first[i]` and `second[i]`."""
    within = pairs_with_first(groups)
    one, other = np.concatenate([within[:, 0], first]), np.concatenate([within[:, 1], second])
    return connected_groups(one, other, len(groups))


def pairs_with_first(values: np.ndarray) -> Integers:
    """(P, 2): the first place of each value, paired with every later place of it."""
    _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    leader = first[inverse]
    later = np.flatnonzero(leader != np.arange(len(values)))
    return np.column_stack([leader[later], later]).astype(np.int64)


def is_first(groups: np.ndarray) -> NDArray[np.bool_]:
    """(N,): whether an image is the first of its group."""
    first = np.zeros(len(groups), bool)
    first[np.unique(groups, return_index=True)[1]] = True
    return first
