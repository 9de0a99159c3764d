"""The metrics against scikit-learn, their weights against repeated images, and the sets that break naive code."""

import json

import numpy as np
import pytest
from sklearn import metrics as reference

from brain_mri.errors import UserError
from brain_mri.statistics.metrics import classification_metrics, confusion_matrix, weighted_metrics

CLASSES = ["glioma", "meningioma", "notumor", "pituitary"]


def simulated(n: int, seed: int = 0, digits: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities; rounded logits give many ties."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, n)
    logits = np.round(rng.normal(0, 1.5, (n, 4)) + 2 * np.eye(4)[labels], digits)
    return labels, np.exp(logits) / np.exp(logits).sum(1, keepdims=True)


@pytest.mark.parametrize("digits", [0, 6])
def test_every_metric_is_scikit_learns(digits: int) -> None:
    labels, probabilities = simulated(500, digits=digits)
    predictions = probabilities.argmax(1)
    found = classification_metrics(labels, probabilities, CLASSES, "notumor")
    assert np.array_equal(
        confusion_matrix(labels, predictions, 4), reference.confusion_matrix(labels, predictions, labels=range(4))
    )
    tumour, called = labels != 2, predictions != 2
    assert found["tumour"] == pytest.approx(
        {
            "sensitivity": reference.recall_score(tumour, called),
            "specificity": reference.recall_score(~tumour, ~called),
        }
    )
    expected = {
        "n": 500,
        "accuracy": reference.accuracy_score(labels, predictions),
        "balanced_accuracy": reference.balanced_accuracy_score(labels, predictions),
        "macro_f1": reference.f1_score(labels, predictions, average="macro"),
        "macro_roc_auc": reference.roc_auc_score(labels, probabilities, multi_class="ovr"),
        "log_loss": reference.log_loss(labels, probabilities),
        "brier": reference.brier_score_loss(labels, probabilities, scale_by_half=False),
    }
    assert {key: found[key] for key in expected} == pytest.approx(expected)
    rows = np.transpose(reference.precision_recall_fscore_support(labels, predictions))
    for c, name in enumerate(CLASSES):
        row = found["classes"][name]
        assert [row[key] for key in ("precision", "recall", "f1", "support")] == pytest.approx(rows[c])
        assert row["roc_auc"] == pytest.approx(reference.roc_auc_score(labels == c, probabilities[:, c]))
        expected = reference.average_precision_score(labels == c, probabilities[:, c])
        assert row["average_precision"] == pytest.approx(expected)


def test_a_weight_is_a_number_of_copies() -> None:
    labels, probabilities = simulated(80, digits=1)
    weights = np.random.default_rng(1).integers(0, 4, (5, 80))
    table = weighted_metrics(labels, probabilities, CLASSES, weights, "notumor")
    for b, copies in enumerate(weights):
        once = np.ones((1, copies.sum()))
        repeated = weighted_metrics(labels.repeat(copies), probabilities.repeat(copies, 0), CLASSES, once, "notumor")
        assert {path: values[b] for path, values in table.items()} == pytest.approx(
            {path: values[0] for path, values in repeated.items()}
        )


def test_a_class_without_images_has_support_0_and_nulls() -> None:
    labels, probabilities = simulated(100)
    kept = labels != 1
    found = classification_metrics(labels[kept], probabilities[kept], CLASSES, "notumor")
    row = found["classes"]["meningioma"]
    assert row.pop("support") == 0
    assert set(row.values()) == {None}
    assert found["balanced_accuracy"] == pytest.approx(
        reference.recall_score(labels[kept], probabilities[kept].argmax(1), labels=[0, 2, 3], average="macro")
    )
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize("n", [0, 1])
def test_sets_of_no_and_of_one_image(n: int) -> None:
    found = classification_metrics(np.array([2, 1])[:n], np.eye(4)[[2, 1]][:n], CLASSES, "notumor")
    json.dumps(found, allow_nan=False)
    assert found["n"] == n
    assert found["accuracy"] == (1.0 if n else None)
    assert found["tumour"] == {"sensitivity": None, "specificity": 1.0 if n else None}


def test_probabilities_of_exactly_0_and_1_and_a_class_never_predicted() -> None:
    labels, certain = np.array([0, 1, 2, 3, 0]), np.eye(4)[[0, 1, 2, 0, 1]]
    found = classification_metrics(labels, certain, CLASSES, "notumor")
    assert found["log_loss"] == pytest.approx(reference.log_loss(labels, certain))
    assert (found["brier"], found["accuracy"]) == (pytest.approx(4 / 5), pytest.approx(3 / 5))
    row = found["classes"]["pituitary"]
    assert (row["precision"], row["recall"], row["f1"]) == (None, 0, 0)
    assert "tumour" not in classification_metrics(labels, certain, CLASSES, negative=None)


def test_a_diverged_network_is_one_line() -> None:
    with pytest.raises(UserError, match="1 of 2 images"):
        classification_metrics(np.array([0, 1]), np.array([[np.nan] * 4, [0.25] * 4]), CLASSES, "notumor")


@pytest.mark.parametrize(
    ("labels", "classes", "negative", "words"),
    [([0, 4], 4, None, "labels: 0 to 4"), ([0, 1], 3, None, "expected"), ([0, 1], 4, "healthy", "negative")],
)
def test_labels_and_shapes_that_do_not_fit(labels: list[int], classes: int, negative: str | None, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        classification_metrics(np.array(labels), np.eye(classes)[:2], CLASSES, negative)
