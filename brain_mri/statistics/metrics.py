"""Metrics of a classifier from labels and probabilities; every one may be weighted, so that the bootstrap shares them.

Shapes: labels int (N,) in 0..C-1, probabilities float (N, C) with rows that sum to 1, classes the C names.
What is not defined (no image of a class, nothing predicted as it) is NaN in arrays and None in dictionaries.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from brain_mri.errors import UserError

Floats = npt.NDArray[np.floating[Any]]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.integer[Any]]
Path = tuple[str, ...]  # where a metric stands in the nested dictionary: ("classes", "glioma", "recall")


def classification_metrics(
    labels: Ints, probabilities: Floats, classes: Sequence[str], negative: str | None
) -> dict[str, Any]:
    """Every metric of one set of images, as a nested dictionary of plain numbers.

    `n`, `accuracy`, `balanced_accuracy` (mean recall), `macro_f1`, `macro_roc_auc` (means over the classes that have
    images), `log_loss` (nats; probabilities clipped at 2.2e-16, as scikit-learn does), `brier` (summed over classes,
    0 to 2; Brier 1950), `tumour` (`sensitivity`, `specificity`: any class but `negative` against `negative`; left out
    where `negative` is None) and `classes`, for each name `support`, `precision`, `recall`, `f1` and against the rest
    `roc_auc`, `average_precision`. A class without images has `support` 0 and None in all others.

    Raises UserError for probabilities that are not finite, ValueError for shapes or names that do not fit.
    """
    table = weighted_metrics(labels, probabilities, classes, np.ones((1, len(labels))), negative)
    support = np.bincount(labels, minlength=len(classes))
    metrics = nest({path: plain(values[0]) for path, values in table.items()})
    rows = {name: {"support": int(support[c]), **metrics["classes"][name]} for c, name in enumerate(classes)}
    return {"n": len(labels), **metrics, "classes": rows}


def weighted_metrics(
    labels: Ints, probabilities: Floats, classes: Sequence[str], weights: Floats, negative: str | None
) -> dict[Path, Floats]:
    """The metrics of `classification_metrics` for B weightings of the images at once.

    weights: (B, N), not negative; an image of weight 2 counts as two images, one of weight 0 as none.
    Returns path -> (B,), NaN where a metric is not defined. Raises as `classification_metrics` does.
    """
    probabilities = _checked(labels, probabilities, classes, negative)
    weights = np.asarray(weights, float)
    count = len(classes)
    confusion = _weighted_confusion(labels, probabilities.argmax(1), weights, count)
    total, support = weights.sum(1), confusion.sum(2)
    present = support > 0
    correct = confusion[:, range(count), range(count)]
    absent = np.where(present, 0.0, np.nan)
    recall = ratio(correct, support)
    precision = ratio(correct, confusion.sum(1)) + absent
    f1 = ratio(2 * correct, support + confusion.sum(1)) + absent
    columns = np.ascontiguousarray(weights.T)
    ranked = [_rank_metrics(labels == c, probabilities[:, c], columns) for c in range(count)]
    truth = np.eye(count)[labels]
    certainty = np.maximum(probabilities[np.arange(len(labels)), labels], np.finfo(float).eps)
    table: dict[Path, Floats] = {
        ("accuracy",): ratio(correct.sum(1), total),
        ("balanced_accuracy",): _mean_defined(recall),
        ("macro_f1",): _mean_defined(f1),
        ("macro_roc_auc",): _mean_defined(np.stack([area for area, _ in ranked], 1)),
        ("log_loss",): ratio(weights @ -np.log(certainty), total),
        ("brier",): ratio(weights @ ((probabilities - truth) ** 2).sum(1), total),
    }
    if negative is not None:
        no = list(classes).index(negative)
        tumours = total - support[:, no]
        missed = confusion[:, :, no].sum(1) - correct[:, no]
        table["tumour", "sensitivity"] = ratio(tumours - missed, tumours)
        table["tumour", "specificity"] = recall[:, no]
    for c, name in enumerate(classes):
        row = {
            "precision": precision[:, c],
            "recall": recall[:, c],
            "f1": f1[:, c],
            "roc_auc": ranked[c][0],
            "average_precision": ranked[c][1],
        }
        table.update({("classes", name, metric): values for metric, values in row.items()})
    return table


def confusion_matrix(labels: Ints, predictions: Ints, n: int) -> npt.NDArray[np.int64]:
    """Counts (n, n): rows are the true classes, columns the predicted ones."""
    cells = np.asarray(labels, np.int64) * n + predictions
    return np.bincount(cells, minlength=n * n).reshape(n, n)


def nest(table: Mapping[Path, Any]) -> dict[str, Any]:
    """Turn path -> value into nested dictionaries."""
    nested: dict[str, Any] = {}
    for path, value in table.items():
        place = nested
        for key in path[:-1]:
            place = place.setdefault(key, {})
        place[path[-1]] = value
    return nested


def look_up(table: Any, path: tuple[str, ...]) -> Any:
    """Return what stands in nested dictionaries under these keys; None where there is none."""
    for key in path:
        table = table.get(key) if isinstance(table, dict) else None
    return table


def plain(value: Any) -> float | None:
    """A number for JSON; None for what is not finite."""
    return float(value) if np.isfinite(value) else None


def ratio(numerator: npt.ArrayLike, denominator: npt.ArrayLike) -> Floats:
    """`numerator / denominator`, NaN where the denominator is 0; shapes broadcast."""
    above, below = np.broadcast_arrays(np.asarray(numerator, float), np.asarray(denominator, float))
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)


def _checked(labels: Ints, probabilities: Floats, classes: Sequence[str], negative: str | None) -> Floats:
    probabilities = np.asarray(probabilities, float)
    if probabilities.shape != (len(labels), len(classes)):
        raise ValueError(f"probabilities: {probabilities.shape}, expected {(len(labels), len(classes))}")
    if len(labels) and not 0 <= np.min(labels) <= np.max(labels) < len(classes):
        raise ValueError(f"labels: {np.min(labels)} to {np.max(labels)}, expected 0 to {len(classes) - 1}")
    if negative is not None and negative not in classes:
        raise ValueError(f"negative: {negative!r}, expected None or one of {list(classes)}")
    broken = int((~np.isfinite(probabilities)).any(1).sum())
    if broken:
        raise UserError(
            f"probabilities: {broken} of {len(labels)} images have values that are not finite; the training"
            " diverged: lower the learning rate and train again"
        )
    return probabilities


def _weighted_confusion(labels: Ints, predictions: Ints, weights: Floats, n: int) -> Floats:
    cells = np.eye(n * n)[labels * n + predictions]
    return (weights @ cells).reshape(-1, n, n)


def _rank_metrics(positive: Bools, scores: Floats, columns: Floats) -> tuple[Floats, Floats]:
    """Area under the ROC curve (ties count half) and average precision, each (B,), for weights as columns (N, B)."""
    order = np.argsort(-scores, kind="stable")
    ranked, hit = scores[order], np.flatnonzero(positive[order])
    first, last = (np.searchsorted(-ranked, -ranked[hit], side) for side in ("left", "right"))  # the tie of each hit
    drawn = columns[order]
    hits = drawn[hit]
    # Weight before each rank: of all images, and of the hits alone.
    none = np.zeros((1, columns.shape[1]))
    every, found = (np.concatenate([none, part.cumsum(0)]) for part in (drawn, hits))
    found_first, found_last = (found[np.searchsorted(hit, rank)] for rank in (first, last))
    false_alarms = (every[first] - found_first + every[last] - found_last) / 2
    positives, negatives = found[-1], every[-1] - found[-1]
    area = 1 - ratio((hits * false_alarms).sum(0), positives * negatives)
    precision = found_last / np.maximum(every[last], np.finfo(columns.dtype).tiny)
    return area, ratio((hits * precision).sum(0), positives)


def _mean_defined(values: Floats) -> Floats:
    """Mean over axis 1 of what is not NaN; NaN where all are."""
    defined = ~np.isnan(values)
    return ratio(np.where(defined, values, 0).sum(1), defined.sum(1))
