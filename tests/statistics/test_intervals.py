"""Intervals: against scipy and published formulas, by groups, and where nothing varies. Coverage: bench/coverage.py."""

from functools import reduce

import numpy as np
import pytest
from scipy import stats

from brain_mri.statistics.intervals import (
    area_interval,
    effective_number,
    intervals,
    mean_interval,
    score_interval,
    standard_errors,
)
from brain_mri.statistics.metrics import classification_metrics

CLASSES = ["glioma", "meningioma", "notumor", "pituitary"]


def simulated(n: int, gap: float = 2.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, n)
    odds = np.exp(rng.normal(0, 1.5, (n, 4)) + gap * np.eye(4)[labels])
    return labels, odds / odds.sum(1, keepdims=True)


def test_the_score_interval_is_wilsons() -> None:
    for hits, n in [(0, 10), (3, 50), (49, 50), (1280, 1311)]:
        expected = stats.binomtest(hits, n).proportion_ci(method="wilson")
        error = np.sqrt(hits / n * (1 - hits / n) / n)
        assert score_interval(hits / n, error, n) == pytest.approx([expected.low, expected.high])


def test_few_large_groups_widen_the_interval() -> None:
    plain, few = (score_interval(0.9, 0.02, 200, freedom) for freedom in (np.inf, 8))
    assert few[0] < plain[0] < 0.9 < plain[1] < few[1]  # type: ignore[operator]
    same = [score_interval(1.0, 0.0, 200, freedom) for freedom in (np.inf, 8)]
    assert same[0] == same[1]  # nothing differs, so that there is no error to doubt


def test_intervals_of_patients_hold_the_truth() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(200):
        groups = np.repeat(np.arange(40), rng.geometric(1 / 13, 40))
        chance = rng.beta(4.5, 0.5, 40)  # a few patients are hard
        hits = rng.random(len(groups)) < chance[groups]
        low, high = mean_interval(hits, groups, 200)["interval"]
        held += low <= 0.9 <= high
    assert held > 0.9 * 200


def test_standard_errors_agree_with_scipys_bootstrap() -> None:
    a, b = np.random.default_rng(2).normal(5, 1, (2, 150))
    expected = stats.bootstrap(
        (a, b),
        lambda a, b, axis: a.mean(axis) / b.mean(axis),
        paired=True,
        n_resamples=4000,
        method="percentile",
        rng=np.random.default_rng(3),
    ).standard_error
    found = standard_errors(lambda weights: (weights @ a / (weights @ b))[:, None], np.arange(150), 4000)
    assert found[0] == pytest.approx(expected, rel=0.05)


def test_copies_of_images_do_not_narrow_the_intervals() -> None:
    labels, probabilities = simulated(200)
    once = intervals(labels, probabilities, np.arange(200), CLASSES, "notumor")
    copies = intervals(labels.repeat(4), probabilities.repeat(4, 0), np.arange(200).repeat(4), CLASSES, "notumor")
    blind = intervals(labels.repeat(4), probabilities.repeat(4, 0), np.arange(800), CLASSES, "notumor")
    assert copies["accuracy"] == pytest.approx(once["accuracy"], abs=1e-6)
    assert np.diff(blind["accuracy"]) < 0.6 * np.diff(once["accuracy"])


def test_intervals_have_the_metrics_nesting_and_hold_them() -> None:
    labels, probabilities = simulated(300)
    found, again, other = (
        intervals(labels, probabilities, np.arange(300), CLASSES, "notumor", seed=seed) for seed in (0, 0, 1)
    )
    assert found == again != other
    metrics = classification_metrics(labels, probabilities, CLASSES, "notumor")
    for path in [(), ("tumour",), *(("classes", name) for name in CLASSES)]:
        part, values = (reduce(dict.__getitem__, path, table) for table in (found, metrics))
        for key, ends in part.items():
            assert isinstance(ends, dict) or ends[0] < values[key] < ends[1], (path, key)


def test_a_perfect_classifier_still_has_an_interval() -> None:
    labels = np.arange(40) % 4
    found = intervals(labels, np.eye(4)[labels], np.arange(40), CLASSES, "notumor")
    row, ends = found["classes"]["glioma"], [stats.binomtest(n, n).proportion_ci(method="wilson").low for n in (40, 10)]
    assert found["accuracy"] == pytest.approx([ends[0], 1])
    for name in ("recall", "roc_auc", "average_precision"):
        assert row[name] == pytest.approx([ends[1], 1])
    assert found["log_loss"] is None


@pytest.mark.parametrize(("freedom", "t"), [(12, stats.t.ppf(0.975, 6)), (3, stats.t.ppf(0.975, 4)), (1e9, 1.959964)])
def test_the_interval_of_an_area_by_hand(freedom: float, t: float) -> None:
    """0.9 has a logit of log 9, where an error of 0.018 is one of 0.2; t counts towards the middle, 1.96 beyond."""
    odds = 9 * np.exp([-t * 0.2, 1.959964 * 0.2])
    low, high = odds / (1 + odds)
    assert area_interval(0.9, 0.018, 50, freedom) == pytest.approx([low, high])
    assert area_interval(0.1, 0.018, 50, freedom) == pytest.approx([1 - high, 1 - low])


def test_the_intervals_of_an_area_cover_the_truth() -> None:
    """Scores of two normal distributions 1.5 apart have an area of Phi(1.5 / sqrt 2)."""
    rng, truth, held = np.random.default_rng(5), stats.norm.cdf(1.5 / np.sqrt(2)), []
    for seed in range(200):
        labels = np.arange(60) % 2
        score = 1 / (1 + np.exp(-rng.normal(1.5 * labels)))
        found = intervals(labels, np.stack([1 - score, score], 1), np.arange(60), ["no", "yes"], "no", 100, seed)
        low, high = found["classes"]["yes"]["roc_auc"]
        held.append(low <= truth <= high)
    # 200 draws of 95 % lie within 91 and 98.5 % in 99 of 100 cases.
    assert 0.91 <= np.mean(held) <= 0.985


@pytest.mark.parametrize("n", [0, 1])
def test_no_image_one_image_and_an_absent_class(n: int) -> None:
    found = intervals(np.zeros(n, int), np.eye(4)[np.zeros(n, int)], np.zeros(n, int), CLASSES, "notumor")
    assert found["classes"]["pituitary"]["recall"] is None
    assert found["accuracy"] == (pytest.approx([0.2065, 1], abs=1e-4) if n else None)


def test_the_mean_of_hits_leaves_out_images_without_a_value() -> None:
    found = mean_interval(np.array([1, 0, np.nan, 1]), np.arange(4))
    assert (found["n"], found["value"]) == (3, pytest.approx(2 / 3))
    assert 0 < found["interval"][0] < 2 / 3 < found["interval"][1] < 1
    assert mean_interval(np.array([np.nan]), np.arange(1)) == {"n": 0, "value": None, "interval": None}
    with pytest.raises(ValueError, match="expected 0 to 1"):
        mean_interval(np.array([1.5]), np.arange(1))


def test_kishs_effective_number() -> None:
    assert effective_number(np.ones(6, bool), np.array([0, 0, 0, 1, 2, 3])) == pytest.approx(36 / 12)


@pytest.mark.parametrize("accuracy", [0.9, 0.98])
def test_the_intervals_of_an_accuracy_cover_the_truth(accuracy: float) -> None:
    rng = np.random.default_rng(4)
    groups = np.arange(200) * 9 // 10  # every tenth image has a near-duplicate
    ends = [mean_interval((rng.random(180) < accuracy)[groups], groups, 100, seed)["interval"] for seed in range(300)]
    held = np.mean([low <= accuracy <= high for low, high in ends])
    # 300 draws of 95 % lie within 91 and 98 % in 99 of 100 cases.
    assert 0.91 <= held <= 0.985
