"""Are two classifiers different, or is it the luck of the test set? Paired tests on the same images."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

from brain_mri.statistics.intervals import (
    AREAS,
    LOSSES,
    RESAMPLES,
    Z,
    degrees_of_freedom,
    effective_number,
    metric_support,
    standard_errors,
)
from brain_mri.statistics.metrics import Floats, Ints, Path, nest, plain, weighted_metrics

TUMOUR_CALLS = ("none", "tumour")  # the classes of `tumour_calls`


def compare(
    labels: Ints,
    a: Floats,
    b: Floats,
    groups: Ints,
    classes: Sequence[str],
    negative: str | None,
    names: tuple[str, str],
    what: str = "accuracy",
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """The `verdict` on classifiers a and b, with the `mcnemar` test and the `differences` that it rests on.

    a, b: probabilities (N, C); names: theirs; what: the accuracy's name on these images.
    """
    test = mcnemar(labels, a.argmax(1), b.argmax(1))
    rows = differences(labels, a, b, groups, classes, negative, resamples, seed)
    return verdict(test, rows, *names, what), test, rows


def tumour_calls(probabilities: Floats, negative: int) -> Floats:
    """Answers (N, C) as certain ones of TUMOUR_CALLS, (N, 2): of images that all show a tumour, whose class may not be
    known, the accuracy of label 1 is the sensitivity for any tumour."""
    return np.eye(2)[(probabilities.argmax(1) != negative).astype(int)]


def mcnemar(labels: Ints, a: Ints, b: Ints) -> dict[str, Any]:
    """Exact McNemar test (McNemar 1947; two-sided binomial) of predictions a and b, int (N,).

    Returns `n`, `both_right`, `only_a_right`, `only_b_right`, `both_wrong` and `p_value`, which is 1 where no image
    separates them. It takes the images as independent; near-duplicates make p too small, `differences` knows groups.
    """
    right_a, right_b = np.asarray(a) == labels, np.asarray(b) == labels
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    p_value = stats.binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    return {
        "n": len(labels),
        "both_right": int((right_a & right_b).sum()),
        "only_a_right": only_a,
        "only_b_right": only_b,
        "both_wrong": int((~right_a & ~right_b).sum()),
        "p_value": float(p_value),
    }


def differences(
    labels: Ints,
    a: Floats,
    b: Floats,
    groups: Ints,
    classes: Sequence[str],
    negative: str | None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Any]:
    """For each metric, nested as in `classification_metrics`: `a`, `b`, `difference` (b minus a), `interval`.

    a, b: probabilities (N, C) of the two classifiers. Both see the same resamples of groups. The interval is the
    difference +- 1.96 bootstrap standard errors (for losses and areas Student's t, as in `intervals`); for
    metrics that count errors, never less than the standard error of a single image that changes sides, so that few
    or no differences do not look like certainty. None where not defined.
    """

    def table(weights: Floats) -> Floats:
        both = [weighted_metrics(labels, p, classes, weights, negative) for p in (a, b)]
        return np.stack([np.stack(list(metrics.values()), 1) for metrics in both])

    def change(weights: Floats) -> Floats:
        first, second = table(weights)
        return second - first

    support = metric_support(labels, np.stack([a.argmax(1), b.argmax(1)]), classes, negative)
    point = table(np.ones((1, len(labels))))[:, 0]
    errors = quantiles = np.full(len(support), np.nan)
    if len(labels):
        errors = standard_errors(change, groups, resamples, seed)
        quantiles = stats.t.ppf(0.975, degrees_of_freedom(change, groups))
    paths = list(weighted_metrics(labels, a, classes, np.ones((1, len(labels))), negative))
    rows: dict[Path, Any] = {}
    for path, first, second, error, t in zip(paths, *point, errors, quantiles, strict=True):
        one_image = 1 / max(effective_number(support[path], groups), 1)
        half = t * error if path[-1] in (*LOSSES, *AREAS) else Z * max(error, one_image)
        low, high = plain(second - first - half), plain(second - first + half)
        rows[path] = {
            "a": plain(first),
            "b": plain(second),
            "difference": plain(second - first),
            "interval": None if low is None else [low, high],
        }
    return nest(rows)


def verdict(test: dict[str, Any], rows: dict[str, Any], a: str, b: str, what: str = "accuracy") -> str:
    """One sentence: can these images tell the two classifiers apart?

    test: what `mcnemar` returned; rows: what `differences` returned; a, b: the classifiers' names;
    what: the accuracy's name on these images ("sensitivity" where all show a tumour).
    They are told apart where the test's p is below 0.05 and the interval, which knows of groups, leaves out 0. A
    classifier that calls the largest class freely is more accurate without seeing better: the sentence names it where
    balanced accuracy does not follow.
    """
    accuracy, balanced = rows["accuracy"], rows["balanced_accuracy"]
    only_a, only_b, p, n = test["only_a_right"], test["only_b_right"], test["p_value"], test["n"]
    if accuracy["interval"] is None:
        return f"The images cannot tell {a} and {b} apart: there are none."
    change, alike = _points(accuracy), _points(balanced)
    p_words = "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.995 else "p = 1"
    facts = (
        f"of {n} images {b} alone is right on {only_b}, {a} alone on {only_a} (exact McNemar test, {p_words}); "
        f"{what} differs by {change}" + (f", balanced accuracy by {alike}" if alike != change else "")
    )
    apart = side(accuracy["interval"]) != 0
    if p < 0.05 and apart:
        better, worse, sign = (b, a, 1) if only_b > only_a else (a, b, -1)
        but = "" if side(balanced["interval"]) == sign else ", but not where each class counts alike"
        return f"The images can tell the two apart, {better} is more accurate than {worse}{but}: {facts}."
    if p < 0.05 or apart:
        return f"The images do not settle whether {a} and {b} differ, test and interval disagree: {facts}."
    return f"The images cannot tell {a} and {b} apart: {facts}."


def side(interval: Sequence[float]) -> int:
    """The side of 0 on which all of an interval lies, -1 or 1; 0 where it holds 0."""
    low, high = interval
    return int(low > 0) - int(high < 0)


def _points(row: dict[str, Any]) -> str:
    low, high = row["interval"]
    return f"{100 * row['difference']:+z.1f} points (95 % interval {100 * low:+z.1f} to {100 * high:+z.1f})"
