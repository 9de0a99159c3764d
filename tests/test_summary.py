"""The evaluation's tables: parts add up, empty parts stay empty, outside sources are counted apart."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax

from brain_mri.evaluation import published, summary
from brain_mri.evaluation.summary import Measure, Outputs, Outside

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
# Twelve tumours of unknown type, eight gliomas, and a source whose three images are all copies.
OUTSIDE = Outside(
    sources=np.array(["a"] * 12 + ["b"] * 8),
    labels=np.array([-1] * 12 + [0] * 8),
    ill=np.ones(20, bool),
    groups=np.arange(20),
    left_out={"a": 4, "copied": 3},
)
NOTHING = Outside(np.array([], str), np.array([], int), np.array([], bool), np.array([], int), {})


def probabilities(logits: np.ndarray) -> np.ndarray:
    return softmax(logits, axis=1)


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
    tables = [
        metrics,
        summary.calibrate(LABELS["test"], outputs, parts, OUTSIDE),
        summary.select(LABELS, outputs, parts, OUTSIDE, HOW),
        summary.count_errors(LABELS["test"], {"noaug": outputs, "aug": outputs}, "aug", parts, HOW),
    ]
    json.dumps(tables, allow_nan=False)


def measure_all(labels: dict[str, np.ndarray], outputs: Outputs, outside: Outside, how: Measure = HOW) -> dict:
    """Return every table of an evaluation, of a pipeline and of it against itself."""
    groups, parts = np.arange(len(labels["test"])), {"all": np.ones(len(labels["test"]), bool)}
    both = {"noaug": outputs, "aug": outputs}
    metrics, bounds = summary.by_part(labels["test"], probabilities(outputs.test), groups, parts, how)
    elsewhere, ends = summary.external(outside, outputs.external, how)
    return {
        "metrics": metrics,
        "bounds": bounds,
        "external": elsewhere,
        "external bounds": ends,
        "words": summary.external_in_words({"aug": elsewhere}, {"aug": ends}),
        "calibration": summary.calibrate(labels["test"], outputs, parts, outside),
        "selective": summary.select(labels, outputs, parts, outside, how),
        "errors": summary.count_errors(labels["test"], both, "aug", parts, how),
        "comparison": summary.compare(labels["test"], both, groups, parts, how),
        "external comparison": summary.compare_external(both, outside, how),
    }


@pytest.mark.parametrize("n", [1, 2, 30])
@pytest.mark.parametrize("kind", ["soft", "0 and 1, all right", "0 and 1, some wrong"])
def test_few_images_absent_classes_and_certain_probabilities(outputs: Outputs, n: int, kind: str) -> None:
    """Class 2 has no image; logits of +-1e4 are probabilities of exactly 0 and 1."""
    labels = {"val": LABELS["val"], "test": np.arange(n) % 2}
    said = labels["test"] if kind.endswith("right") else (labels["test"] + (np.arange(n) % 4 == 0)) % 3
    if kind != "soft":
        certain = {name: 1e4 * (2 * np.eye(3)[called] - 1) for name, called in (("val", labels["val"]), ("test", said))}
        outputs = replace(outputs, **certain, external=1e4 * outputs.external)
        assert set(np.unique(probabilities(outputs.test))) == {0, 1}
    tables = measure_all(labels, replace(outputs, test=outputs.test[:n]), OUTSIDE)
    json.dumps(tables, allow_nan=False)
    row = tables["metrics"]["all"]["classes"]["pituitary"]
    assert row["support"] == 0
    assert row["recall"] is None
    assert tables["bounds"]["all"]["classes"]["pituitary"]["recall"] is None
    assert tables["metrics"]["all"]["n"] == n


def test_without_outside_images_nothing_is_said_of_them(outputs: Outputs) -> None:
    tables = measure_all(LABELS, replace(outputs, external=np.empty((0, 3))), NOTHING)
    for name in ("external", "external bounds", "external comparison"):
        assert tables[name] == {}
    assert tables["words"] == []
    assert tables["selective"]["external"] == tables["calibration"]["external"] == {}


def test_outside_sources_are_counted_apart(outputs: Outputs) -> None:
    metrics, bounds = summary.external(OUTSIDE, outputs.external, HOW)
    called = outputs.external.argmax(1) != 1
    assert metrics["a"]["called_tumour"] == pytest.approx(called[:12].mean())
    assert metrics["b"]["called_true_class"] == pytest.approx((outputs.external[12:].argmax(1) == 0).mean())
    assert bounds["a"]["called_tumour"][0] <= called[:12].mean() <= bounds["a"]["called_tumour"][1]
    assert (
        bounds["b"]["called_true_class"][0] <= metrics["b"]["called_true_class"] <= bounds["b"]["called_true_class"][1]
    )
    assert bounds["a"]["called_true_class"] is None
    assert metrics["copied"] == {"n": 0, "groups": 0, "left_out": 3}


def test_what_is_seen_outside_is_said_in_words(outputs: Outputs) -> None:
    metrics, bounds = summary.external(OUTSIDE, outputs.external, HOW)
    first, second, third = summary.external_in_words(
        {"noaug": metrics, "aug": metrics}, {"noaug": bounds, "aug": bounds}
    )
    share, (low, high) = metrics["a"]["called_tumour"], bounds["a"]["called_tumour"]
    assert first == (
        "external a: of 12 images with a tumour these shares are called some tumour: "
        f"noaug {share:.3f} ({low:.3f}-{high:.3f}), aug {share:.3f} ({low:.3f}-{high:.3f}); "
        "left out as copies of images that train or validate: 4"
    )
    assert "left out" not in second
    assert third.startswith("external copied: no image is left; left out as copies")


def test_a_source_of_the_study_s_classes_gets_all_metrics(outputs: Outputs) -> None:
    labels = np.arange(20) % 3
    outside = Outside(np.array(["c"] * 20), labels, labels != 1, np.arange(20), {})
    metrics, bounds = summary.external(outside, outputs.external, HOW)
    row = metrics["c"]
    assert row["accuracy"] == pytest.approx((outputs.external.argmax(1) == labels).mean())
    assert bounds["c"]["accuracy"][0] <= row["accuracy"] <= bounds["c"]["accuracy"][1]
    assert (row["n"], row["n_with_tumour"]) == (20, int((labels != 1).sum()))
    assert row["called_tumour"] == pytest.approx(row["tumour"]["sensitivity"])


def test_the_threshold_is_chosen_on_validation_and_judged_outside(outputs: Outputs) -> None:
    table = summary.select(LABELS, outputs, PARTS, OUTSIDE, HOW)
    assert table["val"]["error"] <= HOW.error
    said = outputs.external / outputs.temperature
    kept = (probabilities(said).max(1) >= table["threshold"])[:12]
    missed = kept & (said.argmax(1) == 1)[:12]
    row = table["external"]["a"]
    assert (row["n"], row["n_kept"]) == (12, kept.sum())
    assert row["error"] == (pytest.approx(missed.sum() / kept.sum()) if kept.any() else None)
    assert 0 <= row["aurc_best"] <= row["aurc"] <= 1


def test_without_a_class_that_means_no_tumour_a_coarse_label_is_not_judged(outputs: Outputs) -> None:
    table = summary.select(LABELS, outputs, PARTS, OUTSIDE, replace(HOW, negative=None))
    assert table["external"]["a"]["n"] == 0
    assert table["external"]["b"]["n"] == 8


def test_calibration_outside_needs_the_study_s_classes(outputs: Outputs) -> None:
    table = summary.calibrate(LABELS["test"], outputs, PARTS, OUTSIDE)
    assert set(table["external"]) == {"b", "copied"}
    for row in (table["clean"], table["external"]["b"]):
        assert {*row["before"], *row["after"]} == {"ece_equal_width", "ece_equal_mass"}


def test_errors_of_the_parts_add_up(outputs: Outputs) -> None:
    other = replace(outputs, test=outputs.test[::-1])
    table = summary.count_errors(LABELS["test"], {"noaug": other, "aug": outputs}, "aug", PARTS, HOW)
    wrong = outputs.test.argmax(1) != LABELS["test"]
    assert [table[part]["n"] for part in PARTS] == [wrong.sum(), wrong[:45].sum(), wrong[45:].sum()]
    assert sum(n for row in table["all"]["pairs"].values() for n in row.values()) == wrong.sum()
    assert table["all"]["same_wrong_class"] <= table["all"]["wrong_in_both"] < table["all"]["n"]


def test_comparing_a_pipeline_with_itself_finds_nothing(outputs: Outputs) -> None:
    table = summary.compare(LABELS["test"], {"noaug": outputs, "aug": outputs}, GROUPS, {"all": ALL}, HOW)["all"]
    assert table["aug_minus_noaug"]["accuracy"]["difference"] == 0
    assert table["mcnemar"]["p_value"] == 1
    assert table["agreement"]["agree"] == 1


def test_outside_the_share_called_tumour_is_compared(outputs: Outputs) -> None:
    better = replace(outputs, external=outputs.external + 9 * np.eye(3)[0])
    table = summary.compare_external({"noaug": outputs, "aug": better}, OUTSIDE, HOW)
    row = table["a"]["aug_minus_noaug"]["sensitivity"]
    called = (outputs.external[:12].argmax(1) != 1).mean()
    assert (row["a"], row["b"]) == (pytest.approx(called), 1)
    assert "sensitivity differs by" in table["a"]["verdict"]
    assert set(table) == {"a", "b"}


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
