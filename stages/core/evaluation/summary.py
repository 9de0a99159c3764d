"""The tables of an evaluation: each pipeline by part of the test set and by outside source, and the two compared.

A part is bool (N,) over the test images: all, the clean ones, the leaked ones. Logits are float32 (N, C), labels and
groups int (N,). Every function returns plain dictionaries for JSON, with None where a number is not defined.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from core.evaluation import calibration, comparison, errors, selective
from core.evaluation.bootstrap import intervals, mean_interval
from core.evaluation.metrics import classification_metrics, tumour_sensitivity

Parts = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Measure:
    """What to measure with; the keys of `params.yaml`, `dataset` and `evaluate`, of the same names say what each is."""

    classes: Sequence[str]
    negative: str | None
    resamples: int
    seed: int
    error: float


@dataclass(frozen=True)
class Outputs:
    """What a pipeline says of the images: logits, and the temperature that calibrates them."""

    val: np.ndarray
    test: np.ndarray
    external: np.ndarray
    temperature: float


def training_summary(history: list[dict[str, str]]) -> dict[str, float]:
    """Table III: what training reached at its end and at its best."""
    column = {name: [float(row[name]) for row in history] for name in history[0]}
    best = int(np.argmin(column["val_loss"]))
    return {
        "epochs": len(history),
        "best_epoch": best + 1,
        "final_train_accuracy": column["accuracy"][-1],
        "final_val_accuracy": column["val_accuracy"][-1],
        "best_val_accuracy": max(column["val_accuracy"]),
        "best_val_loss": column["val_loss"][best],
    }


def by_part(
    labels: np.ndarray, probabilities: np.ndarray, groups: np.ndarray, parts: Parts, how: Measure
) -> tuple[dict, dict]:
    """Return metrics and their intervals for each part of the test set; a part without images has n = 0 alone."""
    classes, negative = how.classes, how.negative
    metrics: dict[str, dict] = {}
    bounds: dict[str, dict] = {}
    for name, part in parts.items():
        if not part.any():
            metrics[name] = {"n": 0}
            continue
        metrics[name] = classification_metrics(labels[part], probabilities[part], classes, negative)
        bounds[name] = intervals(
            labels[part], probabilities[part], groups[part], classes, negative, how.resamples, how.seed
        )
    return metrics, bounds


def external(
    sources: np.ndarray, labels: np.ndarray, ill: np.ndarray, groups: np.ndarray, logits: np.ndarray, how: Measure
) -> tuple[dict, dict]:
    """Return metrics by source of images from elsewhere, and their intervals.

    `sources` str (N,); `labels` int (N,), -1 where the class is none of the study's ("some tumour"); `ill` bool (N,):
    the image shows a tumour. Of those it is counted how many are called some tumour; a source with images of two of
    the study's classes and no other gets all metrics besides."""
    probabilities = softmax(logits, axis=1)
    metrics: dict[str, dict] = {}
    bounds: dict[str, dict] = {}
    for source in np.unique(sources):
        at = sources == source
        metrics[source] = {"n": int(at.sum()), "groups": len(np.unique(groups[at]))}
        if (labels[at] >= 0).all() and len(np.unique(labels[at])) > 1:
            metrics[source] |= classification_metrics(labels[at], probabilities[at], how.classes, how.negative)
        if how.negative is not None and (at & ill).any():
            shown = probabilities[at & ill]
            metrics[source] |= tumour_sensitivity(shown, how.classes, how.negative, labels[at & ill])
            called = (shown.argmax(1) != how.classes.index(how.negative)).astype(float)
            row = mean_interval(called, groups[at & ill], how.resamples, how.seed)
            bounds[source] = {"called_tumour": row["interval"]}
    return metrics, bounds


def calibrate(labels: np.ndarray, said: Outputs, parts: Parts) -> dict:
    """Return the calibration error before and after temperature scaling; the temperature is fitted on validation."""
    after = calibration.apply_temperature(said.test, said.temperature)
    return {"temperature": said.temperature} | {
        name: {
            "before": calibration.calibration_errors(labels[part], softmax(said.test[part], axis=1)),
            "after": calibration.calibration_errors(labels[part], after[part]),
        }
        for name, part in parts.items()
    }


def select(
    labels: Mapping[str, np.ndarray],
    said: Outputs,
    parts: Parts,
    how: Measure,
) -> dict:
    """Return what handing the least confident images to a person gives; the threshold is chosen on validation."""
    val, test = (calibration.apply_temperature(logits, said.temperature) for logits in (said.val, said.test))
    threshold = selective.threshold_for_error(labels["val"], val, how.error)
    table: dict = {"error_wanted": how.error, "threshold": threshold}
    table["val"] = selective.at_threshold(labels["val"], val, threshold)
    for name, part in parts.items():
        table[name] = selective.selective_metrics(labels["test"][part], test[part])
        table[name] |= selective.at_threshold(labels["test"][part], test[part], threshold)
    if len(said.external) and threshold is not None:
        confidence = calibration.apply_temperature(said.external, said.temperature).max(1)
        table["external"] = {"n": len(said.external), "coverage": float((confidence >= threshold).mean())}
    return table


def compare(
    labels: np.ndarray,
    outputs: Mapping[str, Outputs],
    groups: np.ndarray,
    parts: Parts,
    how: Measure,
) -> dict:
    """Return aug minus noaug, metric by metric, with McNemar's test and a sentence, by part."""
    a, b = (softmax(said.test, axis=1) for said in outputs.values())
    table = {}
    for name, part in parts.items():
        if part.any():
            test = comparison.mcnemar(labels[part], a[part].argmax(1), b[part].argmax(1))
            rows = comparison.differences(
                labels[part],
                a[part],
                b[part],
                groups[part],
                how.classes,
                how.negative,
                how.resamples,
                how.seed,
            )
            agreement = errors.agreement(labels[part], a[part].argmax(1), b[part].argmax(1))
            sentence = comparison.verdict(test, rows["accuracy"], *outputs)
            table[name] = {"verdict": sentence, "mcnemar": test, "agreement": agreement, "aug_minus_noaug": rows}
    return table
