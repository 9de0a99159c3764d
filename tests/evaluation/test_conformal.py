"""Sets of classes: they hold the true one as often as asked, in each class, and always the likeliest."""

import numpy as np
import pytest

from brain_mri.evaluation.conformal import class_thresholds, prediction_sets, set_metrics


def draw(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Three classes, one of them rare and often missed."""
    labels = rng.choice(3, count, p=[0.6, 0.3, 0.1])
    exponents = np.exp(rng.normal(size=(count, 3)) + np.array([2.0, 2.0, 0.5])[labels, None] * np.eye(3)[labels])
    return labels, exponents / exponents.sum(1, keepdims=True)


def test_each_class_is_covered_as_asked() -> None:
    rng = np.random.default_rng(0)
    covered = np.zeros((200, 3))
    for trial in covered:
        thresholds = class_thresholds(*draw(400, rng), 0.9)
        labels, probabilities = draw(2000, rng)
        holds = prediction_sets(probabilities, thresholds)[np.arange(2000), labels]
        trial[:] = [holds[labels == place].mean() for place in range(3)]
    # At least as asked (the likeliest is never excluded), and by n images no more than 1 / (n + 1) above.
    assert (covered.mean(0) > 0.895).all()
    assert covered.mean(0)[2] < 0.9 + 1 / 40 + 0.02


def test_the_threshold_is_an_order_statistic_and_few_images_exclude_nothing() -> None:
    own = np.linspace(0.05, 0.95, 19)
    probabilities = np.column_stack([np.append(own, 0.3), np.append(1 - own, 0.7)])
    labels = np.append(np.zeros(19, int), 1)
    assert class_thresholds(labels, probabilities, 0.95) == pytest.approx([0.05, 0.0])
    assert class_thresholds(labels, probabilities, 0.9) == pytest.approx([0.1, 0.0])


def test_the_likeliest_is_never_excluded() -> None:
    sets = prediction_sets(np.array([[0.6, 0.4], [0.2, 0.8]]), np.array([0.9, 0.1]))
    assert sets.tolist() == [[True, True], [False, True]]


def test_sets_are_counted() -> None:
    sets = np.array([[True, True], [False, True], [False, True]])
    measured = set_metrics(np.array([True, True, False]), sets, np.array(["a", "b", "a"]))
    assert measured == {
        "n": 3,
        "coverage": pytest.approx(2 / 3),
        "mean_size": pytest.approx(4 / 3),
        "single": pytest.approx(2 / 3),
        "by_class": {"a": 0.5, "b": 1.0},
    }
    nothing = set_metrics(np.zeros(0, bool), np.zeros((0, 2), bool), np.zeros(0, str))
    assert nothing == {"n": 0, "coverage": None, "mean_size": None, "single": None, "by_class": {}}
