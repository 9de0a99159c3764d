"""A patient's answer from those of the slices; the tumours without the healthy."""

import numpy as np

from brain_mri.statistics.metrics import Bools, Floats, Ints


def vote(labels: Ints, probabilities: Floats, patients: np.ndarray) -> tuple[Ints, Floats, Ints]:
    """Return for each of P known patients, in the order of their names, the label, the votes, and the place of a slice.

    labels int (N,), probabilities float (N, C) and patients, str (N,), "" where unknown, are of N slices. A patient's
    label is that of most slices. The votes, float (P, C), rows summing to 1, are the shares of the slices called by
    each class; between classes with as many slices the mean probability decides."""
    known = np.flatnonzero(patients != "")
    labels, probabilities = labels[known], probabilities[known]
    _, first, members = np.unique(patients[known], return_index=True, return_inverse=True)
    count, classes = len(first), probabilities.shape[1]
    calls, truth = np.zeros((count, classes)), np.zeros((count, classes))
    means = np.zeros((count, classes))
    np.add.at(calls, (members, probabilities.argmax(1)), 1)
    np.add.at(truth, (members, labels), 1)
    np.add.at(means, members, probabilities)
    sizes = np.bincount(members, minlength=count)[:, None]
    # Less than what one slice more would count.
    votes = calls / sizes + means / sizes / (2 * sizes)
    return truth.argmax(1), votes / votes.sum(1, keepdims=True), known[first]


def tumours_alone(labels: Ints, probabilities: Floats, negative: int) -> tuple[Bools, Ints, Floats]:
    """Return which images show a tumour, bool (N,), and of those the labels and probabilities among the tumours alone.

    So those report who have tumours alone: the likeliest tumour is the answer; where none has any probability, each has
    as much. The labels count without the class `negative`."""
    shown = labels != negative
    shares = np.delete(probabilities[shown], negative, axis=1)
    shares[~shares.any(1)] = 1
    return shown, labels[shown] - (labels[shown] > negative), shares / shares.sum(1, keepdims=True)
