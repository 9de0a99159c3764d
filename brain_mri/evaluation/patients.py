"""A classifier's answers for whole patients: what most of a patient's slices are called."""

import numpy as np

from brain_mri.statistics.metrics import Floats, Ints


def vote(labels: Ints, probabilities: Floats, patients: Ints) -> tuple[Ints, Floats, Ints]:
    """Return for each of P patients the label, the votes, and the place of the first slice.

    labels, patients: int (N,), probabilities float (N, C) of N slices. A patient's label is that of most slices. The
    votes, float (P, C), rows summing to 1, are the shares of the slices called by each class; between classes with as
    many slices the mean probability decides."""
    _, first, members = np.unique(patients, return_index=True, return_inverse=True)
    count, classes = len(first), probabilities.shape[1]
    calls, truth = np.zeros((count, classes)), np.zeros((count, classes))
    means = np.zeros((count, classes))
    np.add.at(calls, (members, probabilities.argmax(1)), 1)
    np.add.at(truth, (members, labels), 1)
    np.add.at(means, members, probabilities)
    sizes = np.bincount(members, minlength=count)[:, None]
    # Less than what one slice more would count.
    votes = calls / sizes + means / sizes / (2 * sizes)
    return truth.argmax(1), votes / votes.sum(1, keepdims=True), first
