"""Selective prediction: areas by hand, thresholds that keep their promise where they were fitted."""

import numpy as np
import pytest

from brain_mri.evaluation.selective import at_threshold, risk_coverage, selective_metrics, threshold_for_error


def binary(confidence: list[float], right: list[int]) -> tuple[np.ndarray, np.ndarray]:
    probabilities = np.stack([np.array(confidence), 1 - np.array(confidence)], 1)
    return 1 - np.array(right), probabilities


def test_the_curve_and_its_area_by_hand() -> None:
    labels, probabilities = binary([0.9, 0.6, 0.8, 0.7], [1, 0, 0, 1])
    coverage, risk = risk_coverage(labels, probabilities)
    assert coverage == pytest.approx([0.25, 0.5, 0.75, 1])
    assert risk == pytest.approx([0, 1 / 2, 1 / 3, 1 / 2])
    found = selective_metrics(labels, probabilities)
    assert found == pytest.approx(
        {"aurc": (1 / 2 + 1 / 3 + 1 / 2) / 4, "aurc_best": (1 / 3 + 1 / 2) / 4, "aurc_random": 0.5}
    )


def test_equal_confidences_count_as_any_order() -> None:
    labels, probabilities = binary([0.7] * 4, [1, 0, 0, 1])
    assert risk_coverage(labels, probabilities)[1] == pytest.approx([0.5] * 4)
    reordered = labels[[1, 0, 3, 2]]
    assert selective_metrics(labels, probabilities) == selective_metrics(reordered, probabilities)


def test_the_area_lies_between_its_yardsticks_for_a_confidence_that_knows() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1, 500)
    labels, probabilities = binary(list(confidence), list((rng.random(500) < confidence).astype(int)))
    found = selective_metrics(labels, probabilities)
    assert found["aurc_best"] < found["aurc"] < found["aurc_random"]


def test_the_threshold_keeps_its_error_with_the_most_images() -> None:
    rng = np.random.default_rng(1)
    confidence = np.round(rng.uniform(0.5, 1, 400), 2)
    labels, probabilities = binary(list(confidence), list((rng.random(400) < confidence).astype(int)))
    threshold = threshold_for_error(labels, probabilities, 0.1)
    found = at_threshold(labels, probabilities, threshold)
    assert found["error"] <= 0.1
    lower = np.unique(confidence[confidence < threshold])
    assert all(at_threshold(labels, probabilities, t)["error"] > 0.1 for t in lower)


def test_no_threshold_reaches_it_and_no_images() -> None:
    labels, probabilities = binary([0.9, 0.8], [0, 0])
    assert threshold_for_error(labels, probabilities, 0.1) is None
    assert at_threshold(labels, probabilities, None) == {"n": 2, "n_kept": 0, "coverage": 0, "error": None}
    assert selective_metrics(labels[:0], probabilities[:0])["aurc"] is None
    assert at_threshold(labels[:0], probabilities[:0], 0.5)["coverage"] is None
    assert threshold_for_error(labels[:0], probabilities[:0], 0.1) is None
