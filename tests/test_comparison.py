"""Comparison of two classifiers: McNemar against published numbers, paired intervals, the sentence."""

import numpy as np
import pytest
from scipy import stats

from brain_mri.statistics.comparison import differences, mcnemar, verdict
from brain_mri.statistics.metrics import classification_metrics

CLASSES = ["glioma", "meningioma", "notumor", "pituitary"]


def predictions(both: int, only_a: int, only_b: int, neither: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    right_a = np.repeat([1, 1, 0, 0], [both, only_a, only_b, neither]) == 1
    right_b = np.repeat([1, 0, 1, 0], [both, only_a, only_b, neither]) == 1
    labels = np.arange(len(right_a)) % 4
    return labels, np.where(right_a, labels, (labels + 1) % 4), np.where(right_b, labels, (labels + 1) % 4)


def judge(labels: np.ndarray, a: np.ndarray, b: np.ndarray) -> str:
    rows = differences(labels, np.eye(4)[a], np.eye(4)[b], np.arange(len(labels)), CLASSES)
    return verdict(mcnemar(labels, a, b), rows, "noaug", "aug")


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
    rows = differences(labels, a, b, np.arange(200), CLASSES)
    metrics = [classification_metrics(labels, p, CLASSES) for p in (a, b)]
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
    low, high = differences(labels, np.eye(4)[a], np.eye(4)[b], np.arange(1000), CLASSES)["accuracy"]["interval"]
    error = np.sqrt((40 / 1000 - 0.016**2) / 1000)
    assert (low + high) / 2 == pytest.approx(0.016)
    assert (high - low) / 2 == pytest.approx(1.96 * error, rel=0.06)


def test_equal_predictions_leave_room_for_a_difference() -> None:
    labels, a, _ = predictions(96, 0, 0, 4)
    row = differences(labels, np.eye(4)[a], np.eye(4)[a], np.arange(100), CLASSES)["accuracy"]
    assert row["difference"] == 0
    assert row["interval"] == pytest.approx([-1.96 / 100, 1.96 / 100], rel=1e-3)


@pytest.mark.parametrize("n", [0, 1])
def test_no_image_and_one_image(n: int) -> None:
    rows = differences(np.zeros(n, int), np.eye(4)[:n], np.eye(4)[:n], np.arange(n), CLASSES)
    assert rows["classes"]["pituitary"]["recall"]["interval"] is None
    assert (rows["accuracy"]["interval"] is None) == (n == 0)


def test_the_verdict_tells_apart_only_what_the_images_can() -> None:
    assert judge(*predictions(1200, 10, 60, 41)).startswith(
        "The images can tell the two apart, aug is more accurate than noaug: of 1311 images aug alone is right on 60, "
        "noaug alone on 10 (exact McNemar test, p < 0.001); accuracy differs by +3.8 points"
    )
    assert judge(*predictions(1200, 60, 10, 41)).startswith(
        "The images can tell the two apart, noaug is more accurate than aug"
    )
    assert judge(*predictions(1250, 21, 20, 20)).startswith("The images cannot tell noaug and aug apart: of 1311")
    assert "p = 1)" in judge(*predictions(10, 0, 0, 0))


def test_test_and_interval_may_disagree() -> None:
    """All disagreement in one group of near-duplicates: the test sees 20 images, the interval a single event."""
    labels, a, b = predictions(100, 0, 20, 0)
    groups = np.concatenate([np.arange(100), np.full(20, 100)])
    rows = differences(labels, np.eye(4)[a], np.eye(4)[b], groups, CLASSES)
    assert "disagree" in verdict(mcnemar(labels, a, b), rows, "noaug", "aug")


def test_a_gain_that_is_the_largest_class_s_alone_is_said_to_be_so() -> None:
    """b calls glioma more freely: of 200 gliomas it wins 40, of 50 pituitary tumours it loses 10; mean recall 0.9."""
    labels = np.repeat([0, 3], [200, 50])
    a, b = labels.copy(), labels.copy()
    a[:40], b[200:210] = 3, 0
    said = judge(labels, a, b)
    assert said.startswith(
        "The images can tell the two apart, aug is more accurate than noaug, but not where each class counts alike: "
    )
    assert "accuracy differs by +12.0 points" in said and ", balanced accuracy by +0.0 points" in said
    assert "noaug is more accurate than aug, but not where" in judge(labels, b, a)


def test_balanced_accuracy_is_left_out_where_all_images_are_of_one_class() -> None:
    labels, right = np.ones(60, int), np.eye(2)[np.repeat([0, 1], [20, 40])]
    rows = differences(labels, right, np.eye(2)[labels], np.arange(60), ["none", "tumour"], None)
    said = verdict(mcnemar(labels, right.argmax(1), labels), rows, "noaug", "aug", "sensitivity")
    assert "aug is more accurate than noaug: " in said and "sensitivity differs by +33.3 points" in said
    assert "balanced" not in said
