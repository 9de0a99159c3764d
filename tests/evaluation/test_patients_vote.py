"""A patient's answer from those of the slices; the tumours without the healthy."""

import numpy as np

from brain_mri.evaluation.patients import tumours_alone, vote


def test_most_slices_decide_and_then_the_mean() -> None:
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.45, 0.55], [0.8, 0.2], [0.3, 0.7], [0.0, 1.0]])
    labels, patients = np.array([1, 1, 1, 0, 0, 1]), np.array(["7", "7", "7", "3", "3", "5"])
    truth, votes, first = vote(labels, probabilities, patients)
    assert first.tolist() == [3, 5, 0]  # in order of the patients' numbers: 3, 5, 7
    assert truth.tolist() == [0, 1, 1]
    assert votes.argmax(1).tolist() == [0, 1, 1]  # 3: one slice each, the mean is 0.55 for the first class
    np.testing.assert_allclose(votes.sum(1), 1)
    assert votes[2, 1] > votes[2, 0]  # two of three slices against a surer one


def test_of_tumours_alone_the_likeliest_is_the_answer() -> None:
    probabilities = np.array([[0.2, 0.7, 0.1], [0.1, 0.5, 0.4], [0.0, 1.0, 0.0]])
    shown, labels, shares = tumours_alone(np.array([0, 2, 1]), probabilities, 1)
    assert shown.tolist() == [True, True, False]
    assert labels.tolist() == [0, 1]
    np.testing.assert_allclose(shares, [[2 / 3, 1 / 3], [0.2, 0.8]])
    # A network that is sure of the healthy head leaves nothing to the tumours.
    np.testing.assert_allclose(tumours_alone(np.array([0]), np.array([[0.0, 1.0, 0.0]]), 1)[2], [[0.5, 0.5]])
