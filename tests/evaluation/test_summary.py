"""The evaluation's tables: parts add up, empty parts stay empty, outside sources are counted apart."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax

from brain_mri.evaluation import published, summary
from brain_mri.evaluation.summary import External, Outputs
from brain_mri.params import Evaluate, Images, Params


def parameters(negative: str | None) -> Params:
    return Params.model_construct(
        dataset=Images(classes=["glioma", "notumor", "pituitary"], negative=negative, groups=None),
        evaluate=Evaluate(published=False, mirrored=False, batch_size=8, resamples=200, seed=0, error=0.1, sets=0.9),
    )


PARAMS = parameters("notumor")


@pytest.fixture
def outputs() -> Outputs:
    rng = np.random.default_rng(0)
    logits = {name: rng.normal(size=(count, 3)) for name, count in (("val", 60), ("test", 90), ("external", 20))}
    for name in ("val", "test"):
        logits[name][np.arange(len(logits[name])), np.arange(len(logits[name])) % 3] += 2.5
    return Outputs(**logits, temperature=1.5)


LABELS = {"val": np.arange(60) % 3, "test": np.arange(90) % 3}
GROUPS = np.arange(90)
HALF = np.arange(90) < 45
PARTS = {"all": np.ones(90, bool), "clean": HALF, "leaked": ~HALF}
# Twelve tumours of unknown type, eight gliomas, and a source whose three images are all copies.
EXTERNAL = External(
    sources=np.array(["a"] * 12 + ["b"] * 8),
    labels=np.array([-1] * 12 + [0] * 8),
    has_tumour=np.ones(20, bool),
    groups=np.arange(20),
    left_out={"a": 4, "copied": 3},
)
NOTHING = External(np.array([], str), np.array([], int), np.array([], bool), np.array([], int), {})


def measure_all(
    labels: dict[str, np.ndarray], outputs: Outputs, external: External, parts: summary.Parts, params: Params = PARAMS
) -> dict:
    """Every table of an evaluation, of a pipeline and of it against itself; they must be JSON without NaN."""
    groups, test, both = np.arange(len(labels["test"])), labels["test"], {"noaug": outputs, "aug": outputs}
    metrics, bounds = summary.measure_parts(test, softmax(outputs.test, axis=1), groups, parts, params)
    by_source, ends = summary.measure_external(external, outputs.external, params)
    tables = {
        "metrics": metrics,
        "bounds": bounds,
        "external": by_source,
        "external bounds": ends,
        "sentences": summary.external_sentences({"noaug": by_source, "aug": by_source}, {"noaug": ends, "aug": ends}),
        "calibration": summary.calibrate(test, outputs, parts, external),
        "selective": summary.select(labels, outputs, parts, external, params),
        "errors": summary.count_errors(test, both, "aug", parts, params),
        "comparison": summary.compare(test, both, groups, parts, params),
        "external comparison": summary.compare_external(both, external, params),
    }
    json.dumps(tables, allow_nan=False)
    return tables


def test_the_parts_add_up_and_intervals_hold_their_metric(outputs: Outputs) -> None:
    tables = measure_all(LABELS, outputs, EXTERNAL, PARTS)
    right = [tables["metrics"][part]["accuracy"] * tables["metrics"][part]["n"] for part in PARTS]
    assert right[0] == pytest.approx(right[1] + right[2])
    for part in PARTS:
        low, high = tables["bounds"][part]["accuracy"]
        assert low <= tables["metrics"][part]["accuracy"] <= high
    against_itself = tables["comparison"]["all"]
    assert against_itself["aug_minus_noaug"]["accuracy"]["difference"] == 0
    assert (against_itself["mcnemar"]["p_value"], against_itself["agreement"]["agree"]) == (1, 1)


def test_a_part_without_images_has_none(outputs: Outputs) -> None:
    tables = measure_all(LABELS, outputs, EXTERNAL, PARTS | {"clean": np.zeros(90, bool)})
    assert tables["metrics"]["clean"] == {"n": 0}
    assert "clean" not in tables["bounds"] and "clean" not in tables["comparison"]


@pytest.mark.parametrize("n", [1, 2, 30])
@pytest.mark.parametrize("kind", ["soft", "0 and 1, all right", "0 and 1, some wrong"])
def test_few_images_absent_classes_and_certain_probabilities(outputs: Outputs, n: int, kind: str) -> None:
    """Class 2 has no image; logits of +-1e4 are probabilities of exactly 0 and 1."""
    labels = {"val": LABELS["val"], "test": np.arange(n) % 2}
    calls = labels["test"] if kind.endswith("right") else (labels["test"] + (np.arange(n) % 4 == 0)) % 3
    if kind != "soft":
        certain = {
            name: 1e4 * (2 * np.eye(3)[called] - 1) for name, called in (("val", labels["val"]), ("test", calls))
        }
        outputs = replace(outputs, **certain, external=1e4 * outputs.external)
    outputs = replace(outputs, test=outputs.test[:n])
    tables = measure_all(labels, outputs, EXTERNAL, {"all": np.ones(n, bool)})
    row, bounds = (tables[name]["all"]["classes"]["pituitary"] for name in ("metrics", "bounds"))
    assert (row["support"], row["recall"], bounds["recall"]) == (0, None, None)
    assert tables["metrics"]["all"]["n"] == n


def test_without_external_images_their_tables_are_empty(outputs: Outputs) -> None:
    tables = measure_all(LABELS, replace(outputs, external=np.empty((0, 3))), NOTHING, PARTS)
    for name in ("external", "external bounds", "external comparison", "sentences"):
        assert not tables[name]
    assert tables["selective"]["external"] == tables["calibration"]["external"] == {}


def test_external_sources_are_counted_apart(outputs: Outputs) -> None:
    tables = measure_all(LABELS, outputs, EXTERNAL, PARTS)
    metrics, bounds = tables["external"], tables["external bounds"]
    share = (outputs.external.argmax(1) != 1)[:12].mean()
    assert metrics["a"]["called_tumour"] == pytest.approx(share)
    assert metrics["b"]["called_true_class"] == pytest.approx((outputs.external[12:].argmax(1) == 0).mean())
    for source, name in ("a", "called_tumour"), ("b", "called_true_class"):
        assert bounds[source][name][0] <= metrics[source][name] <= bounds[source][name][1]
    assert bounds["a"]["called_true_class"] is None
    assert metrics["copied"] == {"n": 0, "groups": 0, "left_out": 3}
    assert set(tables["calibration"]["external"]) == {"b", "copied"}  # whose classes are the study's
    first, second, third = tables["sentences"]
    low, high = bounds["a"]["called_tumour"]
    assert f"noaug {share:.3f} ({low:.3f}-{high:.3f}), aug {share:.3f}" in first and first.endswith("validate: 4")
    assert "left out" not in second and "copied: no image is left" in third


def test_a_source_of_the_study_s_classes_gets_all_metrics(outputs: Outputs) -> None:
    labels = np.arange(20) % 3
    external = External(np.array(["c"] * 20), labels, labels != 1, np.arange(20), {})
    metrics, bounds = summary.measure_external(external, outputs.external, PARAMS)
    row = metrics["c"]
    assert row["accuracy"] == pytest.approx((outputs.external.argmax(1) == labels).mean())
    assert bounds["c"]["accuracy"][0] <= row["accuracy"] <= bounds["c"]["accuracy"][1]
    assert (row["n"], row["n_with_tumour"]) == (20, int((labels != 1).sum()))
    assert row["called_tumour"] == pytest.approx(row["tumour"]["sensitivity"])


def test_the_threshold_is_chosen_on_validation_and_judged_on_external_images(outputs: Outputs) -> None:
    table = summary.select(LABELS, outputs, PARTS, EXTERNAL, PARAMS)
    assert table["val"]["error"] <= PARAMS.evaluate.error
    logits = outputs.external / outputs.temperature
    kept = (softmax(logits, axis=1).max(1) >= table["threshold"])[:12]
    missed = kept & (logits.argmax(1) == 1)[:12]
    row = table["external"]["a"]
    assert (row["n"], row["n_kept"]) == (12, kept.sum())
    assert row["error"] == (pytest.approx(missed.sum() / kept.sum()) if kept.any() else None)
    assert 0 <= row["aurc_best"] <= row["aurc"] <= 1


def test_without_a_class_that_means_no_tumour_a_coarse_label_is_not_judged(outputs: Outputs) -> None:
    table = measure_all(LABELS, outputs, EXTERNAL, PARTS, parameters(None))["selective"]["external"]
    assert (table["a"]["n"], table["b"]["n"]) == (0, 8)


def test_errors_of_the_parts_add_up(outputs: Outputs) -> None:
    other = replace(outputs, test=outputs.test[::-1])
    table = summary.count_errors(LABELS["test"], {"noaug": other, "aug": outputs}, "aug", PARTS, PARAMS)
    wrong = outputs.test.argmax(1) != LABELS["test"]
    assert [table[part]["n"] for part in PARTS] == [wrong.sum(), wrong[:45].sum(), wrong[45:].sum()]
    assert sum(n for row in table["all"]["pairs"].values() for n in row.values()) == wrong.sum()
    assert table["all"]["same_wrong_class"] <= table["all"]["wrong_in_both"] < table["all"]["n"]


def test_the_share_of_external_tumours_called_tumour_is_compared(outputs: Outputs) -> None:
    better = replace(outputs, external=outputs.external + 9 * np.eye(3)[0])
    table = summary.compare_external({"noaug": outputs, "aug": better}, EXTERNAL, PARAMS)
    row = table["a"]["aug_minus_noaug"]["sensitivity"]
    assert (row["a"], row["b"]) == (pytest.approx((outputs.external[:12].argmax(1) != 1).mean()), 1)
    assert "sensitivity differs by" in table["a"]["verdict"]
    assert set(table) == {"a", "b"}


def test_training_summary_takes_the_loss_of_the_best_epoch() -> None:
    rows = [
        {"epoch": "1", "accuracy": "0.5", "val_accuracy": "0.7", "val_loss": "0.3"},
        {"epoch": "2", "accuracy": "0.9", "val_accuracy": "0.6", "val_loss": "0.4"},
    ]
    assert summary.training_summary(rows) == {
        "epochs": 2,
        "best_epoch": 1,
        "final_train_accuracy": 0.9,
        "final_val_accuracy": 0.6,
        "best_val_accuracy": 0.7,
        "best_val_loss": 0.3,
    }


def test_the_published_tables_stand_beside_ours() -> None:
    ours = {"precision": 0.5, "recall": 0.6, "f1": 0.7, "support": 3}
    classes = dict.fromkeys(("glioma", "meningioma", "notumor", "pituitary"), ours)
    names = ("final_train_accuracy", "final_val_accuracy", "best_val_accuracy", "best_val_loss")
    test = {"all": {"accuracy": 0.2, "log_loss": 0.3, "classes": classes}}
    metrics = {pipeline: {"training": dict.fromkeys(names, 0.1), "test": test} for pipeline in ("noaug", "aug")}
    rows = {(row["pipeline"], row["metric"]): (row["published"], row["measured"]) for row in published.beside(metrics)}
    assert rows["noaug", "accuracy"] == (0.9886, 0.2)
    assert rows["aug", "test_loss"] == (0.0357, 0.3)
    assert rows["aug", "pituitary.recall"] == (0.9933, 0.6)


def test_known_patients_are_measured_by_most_of_their_slices(outputs: Outputs) -> None:
    people = np.arange(90) // 6 * 3 + np.arange(90) % 3  # two slices each, of one class
    names = np.where(people < 30, people.astype(str), "")
    probabilities = softmax(outputs.test, axis=1)
    labels = (LABELS["test"] + (people < 3)) % 3
    metrics, bounds = summary.measure_patients(labels, probabilities, people, names, PARAMS)
    assert bounds is not None
    assert metrics["n"] == 30
    low, high = bounds["accuracy"]
    assert low < metrics["accuracy"] == 0.9 < high
    nobody = summary.measure_patients(labels, probabilities, people, np.full(90, ""), PARAMS)
    assert nobody == ({"n": 0}, None)


def test_a_set_of_classes_holds_a_tumour_of_unknown_kind_where_it_holds_any(outputs: Outputs) -> None:
    table = summary.exclude(LABELS, outputs, PARTS, EXTERNAL, PARAMS)
    assert table["val"]["coverage"] >= 0.9
    assert set(table["external"]) == {"a", "b", "copied"}
    assert list(table["external"]["a"]["by_class"]) == ["tumour"]
    at = EXTERNAL.sources == "a"
    scaled = softmax(outputs.external[at] / outputs.temperature, axis=1)
    thresholds = np.array(list(table["thresholds"].values()))
    without = (scaled[:, 1] >= scaled.max(1)) & (scaled[:, [0, 2]] < thresholds[[0, 2]]).all(1)
    assert table["external"]["a"]["coverage"] == pytest.approx(1 - without.mean())
