"""Error analysis: the rows chosen, the pairs counted, wrong labels found again."""

import numpy as np
import pytest

from brain_mri.evaluation.errors import (
    COLUMNS,
    SUSPECT_COLUMNS,
    agreement,
    class_pairs,
    count_errors,
    error_rows,
    label_suspects,
)

CLASSES = ["glioma", "meningioma", "notumor", "pituitary"]


def test_rows_are_the_most_confident_errors_and_the_least_confident_right_answers() -> None:
    a = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.55, 0.45], [0.95, 0.05]])
    b = a.copy()
    b[1] = [0.6, 0.4]
    labels, parts = np.array([0, 0, 0, 0, 1]), ["clean", "leaked", "clean", "clean", "clean"]
    rows = error_rows(list("pqrst"), labels, {"noaug": a, "aug": b}, ["x", "y"], parts, count=2)
    assert all(tuple(row) == COLUMNS for row in rows)
    own = [row for row in rows if row["pipeline"] == "noaug"]
    wrong, unsure = "confident error", "unsure right answer"
    assert [(row["kind"], row["image"]) for row in own] == [(wrong, "t"), (wrong, "q"), (unsure, "s"), (unsure, "p")]
    assert tuple(own[1].values()) == ("noaug", wrong, 2, "q", "x", "y", 0.8, 0.2, "leaked", False)


def test_errors_are_counted_by_hand() -> None:
    labels, predictions, others = np.array([0, 0, 1, 2, 2]), np.array([1, 0, 1, 0, 1]), np.array([1, 0, 0, 2, 0])
    assert count_errors(labels, predictions, others, CLASSES) == {
        "n": 3,
        "wrong_in_both": 2,
        "same_wrong_class": 1,
        "pairs": {"glioma": {"meningioma": 1}, "notumor": {"glioma": 1, "meningioma": 1}},
    }
    nothing = count_errors(labels[:0], labels[:0], labels[:0], CLASSES)
    assert nothing == {"n": 0, "wrong_in_both": 0, "same_wrong_class": 0, "pairs": {}}


def test_class_pairs_are_counted_and_sorted() -> None:
    labels, predictions = np.array([0, 0, 0, 1, 2, 2]), np.array([1, 1, 0, 1, 0, 2])
    assert class_pairs(labels, predictions, CLASSES) == [
        {"label": "glioma", "predicted": "meningioma", "n": 2, "share": pytest.approx(2 / 3)},
        {"label": "notumor", "predicted": "glioma", "n": 1, "share": 0.5},
    ]


def test_agreement_by_hand() -> None:
    labels, a, b = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), np.array([0, 1, 1, 1])
    found = agreement(labels, a, b)
    assert found == {"n": 4, "agree": 0.75, "kappa": pytest.approx(0.5), "both_wrong": 1, "same_wrong_class": 1}
    assert agreement(labels[:1], a[:1], b[:1])["kappa"] is None
    assert agreement(labels[:0], a[:0], b[:0])["agree"] is None


def suspects_of(classes: list[int]) -> tuple[set[int], set[int]]:
    """Which images are suspected, and which labels were changed, among images of some of the four classes."""
    rng = np.random.default_rng(0)
    truth = rng.choice(classes, 600)
    changed = rng.choice(600, 18, replace=False)
    labels = truth.copy()
    labels[changed] = [rng.choice([c for c in classes if c != label]) for label in truth[changed]]
    odds = np.exp(rng.normal(0, 1, (600, 4)) + 5 * np.eye(4)[truth])
    both = {"noaug": odds / odds.sum(1, keepdims=True), "aug": odds / odds.sum(1, keepdims=True)}
    rows = label_suspects([str(i) for i in range(600)], labels, both, CLASSES, ["validation"] * 600)
    assert all(tuple(row) == SUSPECT_COLUMNS for row in rows)
    assert all(CLASSES[labels[int(row["image"])]] == row["label"] != row["predicted"] for row in rows)
    assert all(row["pipelines_agree"] and row["part"] == "validation" for row in rows)
    assert [row["probability_of_label"] for row in rows] == sorted(row["probability_of_label"] for row in rows)
    return {int(row["image"]) for row in rows}, set(changed.tolist())


@pytest.mark.parametrize("classes", [[0, 1, 2, 3], [0, 3]])
def test_changed_labels_are_found_again(classes: list[int]) -> None:
    found, changed = suspects_of(classes)
    assert len(found & changed) >= 0.8 * len(changed)
    assert len(found & changed) >= 0.8 * len(found)


def test_one_class_has_no_suspects() -> None:
    assert label_suspects(["a"], np.array([1]), {"aug": np.eye(4)[:1]}, CLASSES, ["clean"]) == []


def test_probabilities_of_0_and_1_are_suspects_like_any() -> None:
    labels = np.repeat(np.arange(4), 10)
    predictions = labels.copy()
    predictions[0] = 3
    rows = label_suspects([str(i) for i in range(40)], labels, {"aug": np.eye(4)[predictions]}, CLASSES, ["clean"] * 40)
    assert [(row["image"], row["predicted"], row["confidence"]) for row in rows] == [("0", "pituitary", 1.0)]
