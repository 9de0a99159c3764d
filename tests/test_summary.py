"""The evaluation's tables: parts add up, empty parts stay empty, outside sources are counted apart."""

import json

import numpy as np
import pytest

from core.evaluation import published, summary
from core.evaluation.summary import Measure, Outputs

CLASSES = ("glioma", "notumor", "pituitary")
HOW = Measure(CLASSES, "notumor", resamples=200, seed=0, error=0.1)


@pytest.fixture
def outputs() -> Outputs:
    rng = np.random.default_rng(0)
    logits = {name: rng.normal(size=(count, 3)) for name, count in (("val", 60), ("test", 90), ("external", 20))}
    for name in ("val", "test"):
        logits[name][np.arange(len(logits[name])), np.arange(len(logits[name])) % 3] += 2.5
    return Outputs(**logits, temperature=1.5)


LABELS = {"val": np.arange(60) % 3, "test": np.arange(90) % 3}
GROUPS = np.arange(90)
NONE, ALL, HALF = np.zeros(90, bool), np.ones(90, bool), np.arange(90) < 45
PARTS = {"all": ALL, "clean": HALF, "leaked": ~HALF}


def probabilities(logits: np.ndarray) -> np.ndarray:
    return np.exp(logits) / np.exp(logits).sum(1, keepdims=True)


def test_the_parts_add_up_and_intervals_hold_their_metric(outputs: Outputs) -> None:
    metrics, bounds = summary.by_part(LABELS["test"], probabilities(outputs.test), GROUPS, PARTS, HOW)
    right = [metrics[part]["accuracy"] * metrics[part]["n"] for part in ("all", "clean", "leaked")]
    assert right[0] == pytest.approx(right[1] + right[2])
    for part in PARTS:
        low, high = bounds[part]["accuracy"]
        assert low <= metrics[part]["accuracy"] <= high


def test_a_part_without_images_says_so_and_nothing_is_nan(outputs: Outputs) -> None:
    parts = {"all": ALL, "clean": NONE}
    metrics, bounds = summary.by_part(LABELS["test"], probabilities(outputs.test), GROUPS, parts, HOW)
    assert metrics["clean"] == {"n": 0}
    assert "clean" not in bounds
    tables = [metrics, summary.calibrate(LABELS["test"], outputs, parts), summary.select(LABELS, outputs, parts, HOW)]
    json.dumps(tables, allow_nan=False)


def test_outside_sources_are_counted_apart(outputs: Outputs) -> None:
    sources = np.array(["a"] * 12 + ["b"] * 8)
    labels = np.array([-1] * 12 + [0] * 8)
    metrics, bounds = summary.external(sources, labels, np.ones(20, bool), np.arange(20), outputs.external, HOW)
    called = outputs.external.argmax(1) != 1
    assert metrics["a"]["called_tumour"] == pytest.approx(called[:12].mean())
    assert metrics["b"]["called_true_class"] == pytest.approx((outputs.external[12:].argmax(1) == 0).mean())
    assert bounds["a"]["called_tumour"][0] <= called[:12].mean() <= bounds["a"]["called_tumour"][1]


def test_a_source_of_the_study_s_classes_gets_all_metrics(outputs: Outputs) -> None:
    labels = np.arange(20) % 3
    metrics, _ = summary.external(np.array(["c"] * 20), labels, labels != 1, np.arange(20), outputs.external, HOW)
    assert metrics["c"]["accuracy"] == pytest.approx((outputs.external.argmax(1) == labels).mean())


def test_the_threshold_is_chosen_on_validation(outputs: Outputs) -> None:
    table = summary.select(LABELS, outputs, PARTS, HOW)
    assert table["val"]["error"] <= HOW.error
    assert 0 <= table["external"]["coverage"] <= 1


def test_comparing_a_pipeline_with_itself_finds_nothing(outputs: Outputs) -> None:
    table = summary.compare(LABELS["test"], {"noaug": outputs, "aug": outputs}, GROUPS, {"all": ALL}, HOW)["all"]
    assert table["aug_minus_noaug"]["accuracy"]["difference"] == 0
    assert table["mcnemar"]["p_value"] == 1
    assert table["agreement"]["agree"] == 1


def test_training_summary_takes_the_loss_of_the_best_epoch() -> None:
    rows = [
        {"epoch": "1", "accuracy": "0.5", "val_accuracy": "0.7", "val_loss": "0.3"},
        {"epoch": "2", "accuracy": "0.9", "val_accuracy": "0.6", "val_loss": "0.4"},
    ]
    table = summary.training_summary(rows)
    assert table["best_epoch"] == 1
    assert (table["final_train_accuracy"], table["best_val_accuracy"], table["best_val_loss"]) == (0.9, 0.7, 0.3)


def test_the_published_tables_stand_beside_ours() -> None:
    ours = {"precision": 0.5, "recall": 0.6, "f1": 0.7, "support": 3}
    classes = dict.fromkeys(("glioma", "meningioma", "notumor", "pituitary"), ours)
    names = ("final_train_accuracy", "final_val_accuracy", "best_val_accuracy", "best_val_loss")
    metrics = {
        pipeline: {
            "training": dict.fromkeys(names, 0.1),
            "test": {"all": {"accuracy": 0.2, "log_loss": 0.3, "classes": classes}},
        }
        for pipeline in ("noaug", "aug")
    }
    rows = {(row["pipeline"], row["metric"]): row for row in published.beside(metrics)}
    assert rows["noaug", "accuracy"]["published"] == 0.9886
    assert rows["aug", "test_loss"] == {
        "pipeline": "aug",
        "metric": "test_loss",
        "published": 0.0357,
        "measured": 0.3,
    }
    assert rows["aug", "pituitary.recall"]["published"] == 0.9933
    assert all(tuple(row) == published.COLUMNS for row in rows.values())
