"""Calibration: known answers for the diagram and its error, and a temperature that is found again."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.calibration import calibration_curve
from sklearn.metrics import log_loss

from brain_mri.evaluation.calibration import (
    apply_temperature,
    calibration_errors,
    equal_mass_edges,
    equal_width_edges,
    expected_calibration_error,
    reliability_diagram,
    to_logits,
)
from brain_mri.network.temperature import fit_temperature


def calibrated(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn from the very probabilities that the logits stand for."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (n, 4))
    labels = (softmax(logits, 1).cumsum(1) < rng.random((n, 1))).sum(1)
    return np.minimum(labels, 3), logits


def test_the_diagram_is_scikit_learns() -> None:
    labels, logits = calibrated(800)
    probabilities = softmax(logits, 1)
    rows = [row for row in reliability_diagram(labels, probabilities, equal_width_edges(10)) if row["n"]]
    accuracy, confidence = calibration_curve(probabilities.argmax(1) == labels, probabilities.max(1), n_bins=10)
    assert [row["accuracy"] for row in rows] == pytest.approx(accuracy)
    assert [row["confidence"] for row in rows] == pytest.approx(confidence)


def test_expected_calibration_error_by_hand() -> None:
    """Ten images at 0.9, six right, and ten at 0.5, five right: (10 * 0.3 + 10 * 0) / 20."""
    probabilities = np.repeat([[0.9, 0.1], [0.5, 0.5]], 10, 0)
    labels = np.array([0] * 6 + [1] * 4 + [0] * 5 + [1] * 5)
    assert expected_calibration_error(
        reliability_diagram(labels, probabilities, equal_width_edges(15))
    ) == pytest.approx(0.15)
    assert calibration_errors(labels, probabilities) == pytest.approx({"ece_equal_width": 0.15, "ece_equal_mass": 0.15})


def test_equal_mass_bins_hold_equal_numbers() -> None:
    labels, logits = calibrated(150)
    probabilities = softmax(logits, 1)
    rows = reliability_diagram(labels, probabilities, equal_mass_edges(probabilities, 15))
    assert [row["n"] for row in rows] == [10] * 15


def test_equal_confidences_share_a_bin_and_0_and_1_have_one() -> None:
    labels, probabilities = np.array([0, 1, 0, 0]), np.eye(2)[[0, 0, 0, 0]]
    assert calibration_errors(labels, probabilities) == {"ece_equal_width": 0.25, "ece_equal_mass": 0.25}


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_known_temperature_is_found(temperature: float) -> None:
    labels, logits = calibrated(20_000)
    found = fit_temperature(labels, logits * temperature)
    assert found == pytest.approx(temperature, rel=0.03)
    assert calibration_errors(labels, apply_temperature(logits * temperature, found))["ece_equal_width"] < 0.015


@pytest.mark.parametrize("seed", range(20))
def test_log_loss_never_rises_and_no_prediction_changes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, 30)
    logits = rng.normal(0, rng.uniform(0.1, 30), (30, 4)) + rng.uniform(0, 30) * np.eye(4)[labels]
    scaled = apply_temperature(logits, fit_temperature(labels, logits))
    everything = {"labels": range(4)}
    assert log_loss(labels, scaled, **everything) <= log_loss(labels, softmax(logits, 1), **everything) + 1e-9
    assert np.array_equal(scaled.argmax(1), logits.argmax(1))


def test_log_probabilities_serve_as_logits() -> None:
    labels, logits = calibrated(500)
    assert fit_temperature(labels, to_logits(softmax(logits, 1))) == pytest.approx(fit_temperature(labels, logits))
    assert np.isfinite(to_logits(np.array([[0.0, 1.0]]))).all()


def test_one_image_and_none() -> None:
    assert 0.05 <= fit_temperature(np.array([1]), np.array([[0.0, 3.0]])) <= 20
    assert fit_temperature(np.zeros(0, int), np.zeros((0, 4))) == 1
    assert calibration_errors(np.zeros(0, int), np.zeros((0, 4))) == {"ece_equal_width": None, "ece_equal_mass": None}
