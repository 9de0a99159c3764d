"""95 % intervals from a bootstrap that draws whole groups (near-duplicates, patients), not single images.

The bootstrap gives each metric's standard error. A percentile interval would use its quantiles directly, but covers
only 70 to 90 % of the time where errors are few, and has no width at all where there are none (bench/coverage.py). So:

- metrics in 0..1: the standard error becomes an effective number of images, n = m (1 - m) / se^2, and that Wilson's
  score interval, with Student's t in place of the normal quantile (Korn and Graubard, Survey Methodology 24, 1998, take
  the same two steps to Clopper and Pearson's). Where no resample differs (a recall of 1), n is Kish's effective number
  of the images that the metric rests on;
- log loss and Brier score: symmetric on the log scale;
- areas: on the logit scale (for ROC curves: Qin and Hotilovac, Statistical Methods in Medical Research 17, 2008);
- Student's t has as many degrees of freedom as the kurtosis of the groups' influences leaves (Satterthwaite's match of
  moments): few where a few large groups, such as patients, carry the result. But for losses the degrees are halved, at
  least 4, because the kurtosis of a sample falls short of its source's (half and 4: by simulation, bench/coverage.py).
  Of an area only the limit towards 0.5 has it: an area that came out too near to 1 has too small a standard error, one
  that came out too low has not.

Where an area of 1 is a likely outcome, no interval with two honest tails covers 95 %: that outcome's interval holds the
truth, and the others miss it on one side only, so that 97.5 % is what can be had.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from scipy import stats
from scipy.special import expit, logit

from brain_mri.statistics.metrics import Bools, Floats, Ints, Path, nest, plain, ratio, weighted_metrics

Z = float(stats.norm.ppf(0.975))
LOSSES = ("log_loss", "brier")
AREAS = ("macro_roc_auc", "roc_auc", "average_precision")
RESAMPLES = 2000
LEAST_FREEDOM = 4
BLOCKS = 500  # at most so many parts for the jackknife
WEIGHTS = 400_000  # held in memory at once, so that it does not grow with the images

Key = TypeVar("Key")


def intervals(
    labels: Ints,
    probabilities: Floats,
    groups: Ints,
    classes: Sequence[str],
    negative: str | None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Any]:
    """[low, high] of each metric of `classification_metrics`, in the same nesting; None where it is not defined.

    groups: int (N,), images of one group are drawn together. Raises as `classification_metrics` does.
    """
    point = weighted_metrics(labels, probabilities, classes, np.ones((1, len(labels))), negative)
    if not len(labels):
        return nest(dict.fromkeys(point))

    def statistic(weights: Floats) -> Floats:
        return np.stack(list(weighted_metrics(labels, probabilities, classes, weights, negative).values()), 1)

    errors = standard_errors(statistic, groups, resamples, seed)
    degrees = degrees_of_freedom(statistic, groups)
    support = metric_support(labels, probabilities.argmax(1)[None], classes, negative)
    table: dict[Path, list[float | None] | None] = {}
    for (path, (value,)), error, freedom in zip(point.items(), errors, degrees, strict=True):
        if np.isnan(value):
            table[path] = None
        elif path[-1] in LOSSES:
            table[path] = log_interval(value, error, stats.t.ppf(0.975, freedom))
        elif path[-1] in AREAS:
            table[path] = area_interval(value, error, effective_number(support[path], groups), freedom)
        else:
            table[path] = score_interval(value, error, effective_number(support[path], groups), freedom)
    return nest(table)


def mean_interval(values: npt.ArrayLike, groups: Ints, resamples: int = RESAMPLES, seed: int = 0) -> dict[str, Any]:
    """Mean of per-image values in 0..1 (hits, rates, overlaps) with its interval: `n`, `value`, `interval`.

    values: (N,); NaN marks an image without a value, which is left out. Raises ValueError outside 0..1.
    """
    values = np.asarray(values, float)
    kept = ~np.isnan(values)
    return {"n": int(kept.sum())} | mean_intervals({"": values[kept]}, np.asarray(groups)[kept], resamples, seed)[""]


def mean_intervals(
    values: Mapping[Key, npt.ArrayLike], groups: Ints, resamples: int = RESAMPLES, seed: int = 0
) -> dict[Key, dict[str, Any]]:
    """Mean and interval, `value` and `interval`, of several values in 0..1 of the same images, each (N,) without NaN.

    Both are None where there is no image. Raises ValueError outside 0..1.
    """
    if not len(groups):
        return {name: {"value": None, "interval": None} for name in values}
    table = np.stack([np.asarray(column, float) for column in values.values()], 1)
    if table.min() < 0 or table.max() > 1:
        raise ValueError(f"values: {table.min()} to {table.max()}, expected 0 to 1")

    def mean(weights: Floats) -> Floats:
        return ratio(weights @ table, weights.sum(1, keepdims=True))

    errors, degrees = standard_errors(mean, groups, resamples, seed), degrees_of_freedom(mean, groups)
    number = effective_number(np.ones(len(table), bool), groups)
    return {
        name: {"value": float(value), "interval": score_interval(value, error, number, freedom)}
        for name, value, error, freedom in zip(values, table.mean(0), errors, degrees, strict=True)
    }


def standard_errors(
    statistic: Callable[[Floats], Floats], groups: Ints, resamples: int = RESAMPLES, seed: int = 0
) -> Floats:
    """Bootstrap standard errors (M,) of a statistic that maps weights (B, N) to values (B, M).

    Resamples in which a value is not defined (NaN) are left out for that value. The factor G / (G - 1) on the variance
    of G groups removes its bias for means.
    """
    rows = np.concatenate([statistic(weights) for weights in resampled_weights(groups, resamples, seed)])
    number = len(np.unique(groups))
    return np.ma.masked_invalid(rows).std(0).filled(0) * np.sqrt(number / max(number - 1, 1))


def degrees_of_freedom(statistic: Callable[[Floats], Floats], groups: Ints) -> Floats:
    """Degrees of freedom (M,) of each standard error: 2 G / (k - 1) for G influences of kurtosis k, at least 1.

    The influences are those of a jackknife that leaves out one group in turn (of many groups, one block of them).
    """
    _, group = np.unique(groups, return_inverse=True)
    block = group % BLOCKS
    number = block.max() + 1
    chunk = max(WEIGHTS // len(block), 1)
    parts = (np.arange(start, min(start + chunk, number)) for start in range(0, number, chunk))
    left_out = np.concatenate([statistic((block != part[:, None]).astype(float)) for part in parts])
    defined = np.ma.masked_invalid(left_out)
    influence = (defined - defined.mean(0)).filled(0)
    kurtosis = ratio((influence**4).mean(0), (influence**2).mean(0) ** 2)
    return np.maximum(2 * number / np.maximum(np.nan_to_num(kurtosis, nan=number) - 1, 1e-9), 1)


def score_interval(value: float, error: float, number: float, freedom: float = np.inf) -> list[float | None]:
    """Wilson's interval (JASA 22, 1927) of a metric in 0..1 from its standard error and the degrees of freedom of that;
    where the error is 0, from `number` images."""
    value = min(max(value, 0.0), 1.0)
    effective, z = number, Z
    if error > 1e-9 and 0 < value < 1:
        effective, z = value * (1 - value) / error**2, quantile(freedom)
    centre = (value + z**2 / (2 * effective)) / (1 + z**2 / effective)
    half = z / (1 + z**2 / effective) * np.sqrt(value * (1 - value) / effective + z**2 / (4 * effective**2))
    return [plain(max(centre - half, 0.0)), plain(min(centre + half, 1.0))]


def quantile(freedom: float) -> float:
    """Return the 97.5 % quantile of Student's t for half of so many degrees of freedom."""
    return float(stats.t.ppf(0.975, max(freedom / 2, LEAST_FREEDOM)))


def area_interval(value: float, error: float, number: float, freedom: float) -> list[float | None]:
    """Interval of an area in 0..1 on the logit scale, wider towards 0.5 where `freedom` (degrees) is small.

    An area of 0 or 1, and one that no resample changes, has the `score_interval` of `number` images."""
    if error < 1e-9 or not 0 < value < 1:
        return score_interval(value, 0.0, number)
    t = quantile(freedom)
    down, up = (t, Z) if value > 0.5 else (Z, t)
    scale = error / (value * (1 - value))
    return [plain(expit(logit(value) - down * scale)), plain(expit(logit(value) + up * scale))]


def log_interval(value: float, error: float, z: float) -> list[float | None] | None:
    """Interval of a positive metric, symmetric on the log scale; None where no resample differs."""
    if value <= 0 or error < 1e-9:
        return None
    return [plain(value * np.exp(-z * error / value)), plain(value * np.exp(z * error / value))]


def metric_support(labels: Ints, predictions: Ints, classes: Sequence[str], negative: str | None) -> dict[Path, Bools]:
    """The images that each metric rests on, bool (N,): all, those of a class, or those predicted as it.

    predictions: (P, N), of one or of several classifiers that are compared."""
    everything = np.ones(len(labels), bool)
    names = ("accuracy", "balanced_accuracy", "macro_f1", "macro_roc_auc", *LOSSES)
    table: dict[Path, Any] = {(name,): everything for name in names}
    if negative is not None:
        no = list(classes).index(negative)
        table["tumour", "sensitivity"], table["tumour", "specificity"] = labels != no, labels == no
    for c, name in enumerate(classes):
        called = (predictions == c).any(0)
        table["classes", name, "precision"] = called
        table["classes", name, "f1"] = called | (labels == c)
        table.update({("classes", name, metric): labels == c for metric in ("recall", "roc_auc", "average_precision")})
    return table


def effective_number(support: Bools, groups: Ints) -> float:
    """Kish's effective number of images where those of one group are copies of one; 0 for no image."""
    _, sizes = np.unique(np.asarray(groups)[support], return_counts=True)
    return float(sizes.sum() ** 2 / max((sizes**2).sum(), 1))


def resampled_weights(groups: Ints, resamples: int = RESAMPLES, seed: int = 0) -> Iterator[Floats]:
    """Yield weights (B, N) in chunks: how often each image's group was drawn, of as many draws as there are groups."""
    rng = np.random.default_rng((seed, 0xB007))
    _, group = np.unique(groups, return_inverse=True)
    number = group.max() + 1
    chunk = max(WEIGHTS // len(group), 1)
    for start in range(0, resamples, chunk):
        draws = rng.multinomial(number, np.full(number, 1 / number), min(chunk, resamples - start))
        yield draws[:, group].astype(float)
