"""Comparison of two classifiers: McNemar against published numbers, paired intervals, the sentence."""

import numpy as np
import pytest
from scipy import stats

from brain_mri.statistics.comparison import TUMOUR_CALLS, compare, differences, mcnemar, side, tumour_calls
from brain_mri.statistics.metrics import classification_metrics

CLASSES = ["glioma", "meningioma", "notumor", "pituitary"]


def predictions(both: int, only_a: int, only_b: int, neither: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    right_a = np.repeat([1, 1, 0, 0], [both, only_a, only_b, neither]) == 1
    right_b = np.repeat([1, 0, 1, 0], [both, only_a, only_b, neither]) == 1
    labels = np.arange(len(right_a)) % 4
    return labels, np.where(right_a, labels, (labels + 1) % 4), np.where(right_b, labels, (labels + 1) % 4)


def verdict_on(labels: np.ndarray, a: np.ndarray, b: np.ndarray, groups: np.ndarray | None = None) -> str:
    groups = np.arange(len(labels)) if groups is None else groups
    return compare(labels, np.eye(4)[a], np.eye(4)[b], groups, CLASSES, "notumor", ("noaug", "aug"))[0]


def test_mcnemar_is_the_published_example() -> None:
    """Agresti, Categorical Data Analysis, 2nd ed., table 10.1 (approval ratings): 150 and 86 changed their mind."""
    found = mcnemar(*predictions(794, 150, 86, 570))
    assert found == {
        "n": 1600,
        "both_right": 794,
        "only_a_right": 150,
        "only_b_right": 86,
        "both_wrong": 570,
        "p_value": pytest.approx(2 * stats.binom.cdf(86, 236, 0.5)),
    }
    assert found["p_value"] == pytest.approx(3.7e-5, rel=0.03)


def test_equal_classifiers_and_no_images_have_p_1() -> None:
    labels, a, _ = predictions(10, 0, 0, 5)
    assert mcnemar(labels, a, a)["p_value"] == 1
    assert mcnemar(labels[:0], a[:0], a[:0])["p_value"] == 1


def test_differences_are_b_minus_a_of_every_metric() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 200)
    a, b = (
        odds / odds.sum(1, keepdims=True)
        for odds in np.exp(rng.normal(0, 1, (2, 200, 4)) + np.array([1, 3])[:, None, None] * np.eye(4)[labels])
    )
    rows = differences(labels, a, b, np.arange(200), CLASSES, "notumor")
    metrics = [classification_metrics(labels, p, CLASSES, "notumor") for p in (a, b)]
    for row, first, second in [
        (rows["accuracy"], *(m["accuracy"] for m in metrics)),
        (rows["log_loss"], *(m["log_loss"] for m in metrics)),
        (rows["classes"]["glioma"]["roc_auc"], *(m["classes"]["glioma"]["roc_auc"] for m in metrics)),
    ]:
        assert row["difference"] == pytest.approx(second - first)
        assert row["interval"][0] < row["difference"] < row["interval"][1]
    assert rows["accuracy"]["interval"][0] > 0


def test_the_interval_is_paired() -> None:
    """Known answer: the standard error of a paired difference of proportions (Agresti, section 10.1.1)."""
    labels, a, b = predictions(900, 12, 28, 60)
    low, high = differences(labels, np.eye(4)[a], np.eye(4)[b], np.arange(1000), CLASSES, "notumor")["accuracy"][
        "interval"
    ]
    error = np.sqrt((40 / 1000 - 0.016**2) / 1000)
    assert (low + high) / 2 == pytest.approx(0.016)
    assert (high - low) / 2 == pytest.approx(1.96 * error, rel=0.06)


def test_equal_predictions_leave_room_for_a_difference() -> None:
    labels, a, _ = predictions(96, 0, 0, 4)
    row = differences(labels, np.eye(4)[a], np.eye(4)[a], np.arange(100), CLASSES, "notumor")["accuracy"]
    assert row["difference"] == 0
    assert row["interval"] == pytest.approx([-1.96 / 100, 1.96 / 100], rel=1e-3)


@pytest.mark.parametrize("n", [0, 1])
def test_no_image_and_one_image(n: int) -> None:
    rows = differences(np.zeros(n, int), np.eye(4)[:n], np.eye(4)[:n], np.arange(n), CLASSES, "notumor")
    assert rows["classes"]["pituitary"]["recall"]["interval"] is None
    assert (rows["accuracy"]["interval"] is None) == (n == 0)


def test_the_side_of_an_interval() -> None:
    assert [side(interval) for interval in ([-2, -1], [-1, 0], [0, 0], [-1, 1], [0, 1], [1, 2])] == [-1, 0, 0, 0, 0, 1]


def test_the_verdict_tells_apart_only_what_the_images_can() -> None:
    sentence = verdict_on(*predictions(1200, 10, 60, 41))
    assert "can tell the two apart, aug is more accurate than noaug: of 1311 images" in sentence
    assert "aug alone is right on 60, noaug alone on 10" in sentence and "accuracy differs by +3.8 points" in sentence
    assert "noaug is more accurate than aug" in verdict_on(*predictions(1200, 60, 10, 41))
    assert "cannot tell noaug and aug apart" in verdict_on(*predictions(1250, 21, 20, 20))
    assert "p = 1)" in verdict_on(*predictions(10, 0, 0, 0))
    assert "there are none" in verdict_on(*predictions(0, 0, 0, 0))


def test_test_and_interval_may_disagree() -> None:
    """All disagreement in one group of near-duplicates: the test counts 20 images, the interval a single event."""
    groups = np.concatenate([np.arange(100), np.full(20, 100)])
    assert "disagree" in verdict_on(*predictions(100, 0, 20, 0), groups)


def test_a_gain_of_the_largest_class_alone_is_named() -> None:
    """b calls glioma more freely: of 200 gliomas it wins 40, of 50 pituitary tumours it loses 10; mean recall 0.9."""
    labels = np.repeat([0, 3], [200, 50])
    a, b = labels.copy(), labels.copy()
    a[:40], b[200:210] = 3, 0
    sentence = verdict_on(labels, a, b)
    assert "aug is more accurate than noaug, but not where each class counts alike: " in sentence
    assert "accuracy differs by +12.0 points" in sentence and ", balanced accuracy by +0.0 points" in sentence
    assert "noaug is more accurate than aug, but not where" in verdict_on(labels, b, a)


def test_the_sensitivity_of_images_that_all_show_a_tumour() -> None:
    a, b = np.eye(4)[np.repeat([2, 0], [20, 40])], np.eye(4)[np.repeat([1, 3], [30, 30])]
    calls, names = [tumour_calls(p, 2) for p in (a, b)], ("noaug", "aug")
    labels, groups = np.ones(60, int), np.arange(60)
    sentence, test, rows = compare(labels, *calls, groups, TUMOUR_CALLS, None, names, what="sensitivity")
    assert "aug is more accurate than noaug: " in sentence and "sensitivity differs by +33.3 points" in sentence
    assert "balanced" not in sentence
    assert (test["only_b_right"], rows["accuracy"]["b"]) == (20, 1)
