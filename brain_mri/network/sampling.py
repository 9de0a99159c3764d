"""Which images an epoch shows, how often, and in which order."""

import numpy as np


def group_weights(labels: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return how often an epoch shows each image on average, float (N,), where the groups of a class count alike.

    labels, groups: int (N,). Each class keeps its share of the epoch; its groups have equal parts of that, and the
    images of a group equal parts of the group's."""
    cells, cell, sizes = np.unique(np.stack([labels, groups]), axis=1, return_inverse=True, return_counts=True)
    groups_of_class = np.bincount(cells[0])
    return np.bincount(labels)[labels] / (groups_of_class[labels] * sizes[cell])


def epoch_order(seed: int, epoch: int, weights: np.ndarray) -> np.ndarray:
    """Return the order, int (N,), in which an epoch shows N images, by `weights`, float (N,) of mean 1.

    An image of weight w is shown as often as the whole number below or above w has it (systematic resampling; Kitagawa,
    Journal of Computational and Graphical Statistics 5, 1996). Its k-th showing beyond the first has its place + k N,
    so that each showing can be augmented by a draw of its own."""
    count = len(weights)
    rng = np.random.default_rng((seed, epoch))
    places = rng.permutation(count)
    bounds = np.cumsum(weights / weights.sum() * count)
    shown = np.minimum(np.searchsorted(bounds, np.arange(count) + rng.random(), side="right"), count - 1)
    repeats = np.arange(count) - np.searchsorted(shown, shown)
    return (shown + repeats * count)[places]
