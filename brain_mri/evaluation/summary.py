"""The tables of an evaluation: each pipeline by part of the test set and by external source, and the two compared.

A part is bool (N,) over the test images: all, the clean ones, the leaked ones. Logits are float32 (N, C), labels and
groups int (N,). Every function returns plain dictionaries for JSON, with None where a number is not defined.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from brain_mri.evaluation import calibration, conformal, errors, selective
from brain_mri.evaluation.patients import vote
from brain_mri.params import Params
from brain_mri.statistics import comparison
from brain_mri.statistics.intervals import intervals, mean_interval
from brain_mri.statistics.metrics import classification_metrics

Parts = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Outputs:
    """A pipeline's logits of the images, and the temperature that calibrates them."""

    val: np.ndarray
    test: np.ndarray
    external: np.ndarray
    temperature: float

    def calibrated(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the probabilities after temperature scaling: of validation, test and external images."""
        val, test, external = (
            calibration.apply_temperature(logits, self.temperature) for logits in (self.val, self.test, self.external)
        )
        return val, test, external


@dataclass(frozen=True)
class External:
    """N external images. `left_out` counts, by source, those that have a copy in training or validation."""

    sources: np.ndarray  # str (N,)
    labels: np.ndarray  # int (N,), -1 where the class is none of the study's ("tumour")
    has_tumour: np.ndarray  # bool (N,)
    groups: np.ndarray  # int (N,)
    left_out: Mapping[str, int]

    def by_source(self) -> dict[str, np.ndarray]:
        """Return which images each source gave, bool (N,); none where all were left out."""
        return {source: self.sources == source for source in sorted({*self.sources.tolist(), *self.left_out})}


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


def measure(labels: np.ndarray, probabilities: np.ndarray, groups: np.ndarray, params: Params) -> tuple[dict, dict]:
    """Return the metrics of a set of images and their intervals."""
    classes, negative, settings = params.dataset.classes, params.dataset.negative, params.evaluate
    metrics = classification_metrics(labels, probabilities, classes, negative)
    bounds = intervals(labels, probabilities, groups, classes, negative, settings.resamples, settings.seed)
    return metrics, bounds


def measure_parts(
    labels: np.ndarray, probabilities: np.ndarray, groups: np.ndarray, parts: Parts, params: Params
) -> tuple[dict, dict]:
    """Return metrics and their intervals for each part of the test set; a part without images has n = 0 alone."""
    metrics: dict[str, dict] = {name: {"n": 0} for name in parts}
    bounds: dict[str, dict] = {}
    for name, part in parts.items():
        if part.any():
            metrics[name], bounds[name] = measure(labels[part], probabilities[part], groups[part], params)
    return metrics, bounds


def measure_patients(
    labels: np.ndarray, probabilities: np.ndarray, groups: np.ndarray, patients: np.ndarray, params: Params
) -> tuple[dict, dict | None]:
    """Return the metrics of the patients that are known, by `vote`, and their intervals."""
    truth, votes, slices = vote(labels, probabilities, patients)
    return measure(truth, votes, groups[slices], params) if len(truth) else ({"n": 0}, None)


def measure_external(external: External, logits: np.ndarray, params: Params) -> tuple[dict, dict]:
    """Return metrics by source of external images, and their intervals.

    Of the images with a tumour it is counted how many are called any tumour; a source with images of two of the
    study's classes and no other gets all metrics besides."""
    probabilities = softmax(logits, axis=1)
    metrics: dict[str, dict] = {}
    bounds: dict[str, dict] = {}
    for source, at in external.by_source().items():
        labels, groups = external.labels[at], external.groups[at]
        left_out = external.left_out.get(source, 0)
        row: dict = {"n": len(labels), "groups": len(np.unique(groups)), "left_out": left_out}
        ends: dict = {}
        if (labels >= 0).all() and len(np.unique(labels)) > 1:
            all_metrics, ends = measure(labels, probabilities[at], groups, params)
            row |= all_metrics
        shown = external.has_tumour[at]
        if params.dataset.negative_class is not None and shown.any():
            truth, predicted, groups = labels[shown], probabilities[at][shown].argmax(1), groups[shown]
            known, draws = truth >= 0, (params.evaluate.resamples, params.evaluate.seed)
            called = mean_interval(predicted != params.dataset.negative_class, groups, *draws)
            right = mean_interval((predicted == truth)[known], groups[known], *draws)
            row |= {"n_with_tumour": called["n"], "called_tumour": called["value"]}
            row |= {"n_class_known": right["n"], "called_true_class": right["value"]}
            ends |= {"called_tumour": called["interval"], "called_true_class": right["interval"]}
        metrics[source], bounds[source] = row, ends
    return metrics, bounds


def external_sentences(metrics: Mapping[str, dict], bounds: Mapping[str, dict]) -> list[str]:
    """One sentence a source from the pipelines' results of `measure_external`: the share of tumours they see."""
    sentences = []
    for source, row in next(iter(metrics.values())).items():
        result = "no image of it shows a tumour" if row["n"] else "no image is left"
        if "called_tumour" in row:
            shares = [
                f"{pipeline} {rows[source]['called_tumour']:.3f} ({low:.3f}-{high:.3f})"
                for pipeline, rows in metrics.items()
                for low, high in [bounds[pipeline][source]["called_tumour"]]
            ]
            result = f"of {row['n_with_tumour']} images with a tumour these shares are called any tumour: "
            result += ", ".join(shares)
        copies = f"; left out as copies of images that train or validate: {row['left_out']}"
        sentences.append(f"external {source}: {result}{copies if row['left_out'] else ''}")
    return sentences


def calibrate(labels: np.ndarray, outputs: Outputs, parts: Parts, external: External) -> dict:
    """Return the calibration error before and after temperature scaling; the temperature is fitted on validation.

    By part, and for each external source all of whose images are of the study's classes."""

    def both(truth: np.ndarray, logits: np.ndarray) -> dict:
        scaled = calibration.apply_temperature(logits, outputs.temperature)
        return {
            "before": calibration.calibration_errors(truth, softmax(logits, axis=1)),
            "after": calibration.calibration_errors(truth, scaled),
        }

    table = {name: both(labels[part], outputs.test[part]) for name, part in parts.items()}
    by_source = {
        source: both(external.labels[at], outputs.external[at])
        for source, at in external.by_source().items()
        if (external.labels[at] >= 0).all()
    }
    return {"temperature": outputs.temperature, **table, "external": by_source}


def select(
    labels: Mapping[str, np.ndarray], outputs: Outputs, parts: Parts, external: External, params: Params
) -> dict:
    """Return what handing the least confident images to a person gives; the threshold is chosen on validation.

    An external image of which only "tumour" is known counts as right where it is called any tumour."""
    val, test, outside = outputs.calibrated()
    threshold = selective.threshold_for_error(labels["val"], val, params.evaluate.error)

    def row(truth: np.ndarray, probabilities: np.ndarray) -> dict:
        table = selective.selective_metrics(truth, probabilities)
        return table | selective.at_threshold(truth, probabilities, threshold)

    truth, judged = external.labels, external.labels >= 0
    if params.dataset.negative_class is not None:
        predictions = outside.argmax(1)
        truth = np.where(~judged & (predictions != params.dataset.negative_class), predictions, truth)
        judged = np.ones(len(truth), bool)
    table: dict = {"error_wanted": params.evaluate.error, "threshold": threshold}
    table["val"] = selective.at_threshold(labels["val"], val, threshold)
    table |= {name: row(labels["test"][part], test[part]) for name, part in parts.items()}
    table["external"] = {
        source: row(truth[at & judged], outside[at & judged]) for source, at in external.by_source().items()
    }
    return table


def exclude(
    labels: Mapping[str, np.ndarray], outputs: Outputs, parts: Parts, external: External, params: Params
) -> dict:
    """Return how often the classes that cannot be excluded hold the true one; validation decides what is excluded.

    The set of an external image of which only "tumour" is known holds the truth where it holds any tumour."""
    val, test, outside = outputs.calibrated()
    classes, level = np.array(params.dataset.classes), params.evaluate.sets
    thresholds = conformal.class_thresholds(labels["val"], val, level)

    def row(truth: np.ndarray, probabilities: np.ndarray) -> dict:
        sets = conformal.prediction_sets(probabilities, thresholds)
        tumours = np.arange(len(classes)) != params.dataset.negative_class
        known = truth >= 0
        holds = np.where(known, sets[np.arange(len(sets)), np.maximum(truth, 0)], sets[:, tumours].any(1))
        return conformal.set_metrics(holds, sets, np.where(known, classes[np.maximum(truth, 0)], "tumour"))

    return {
        "level": level,
        "thresholds": dict(zip(classes.tolist(), thresholds.tolist(), strict=True)),
        "val": row(labels["val"], val),
        **{name: row(labels["test"][part], test[part]) for name, part in parts.items()},
        "external": {source: row(external.labels[at], outside[at]) for source, at in external.by_source().items()},
    }


def count_errors(
    labels: np.ndarray, outputs: Mapping[str, Outputs], pipeline: str, parts: Parts, params: Params
) -> dict:
    """Return, by part, how many test images a pipeline gets wrong, which classes it confuses, and whether the other
    pipeline is wrong there too."""
    (other,) = outputs.keys() - {pipeline}
    own, others = (outputs[name].test.argmax(1) for name in (pipeline, other))
    return {
        name: errors.count_errors(labels[part], own[part], others[part], params.dataset.classes)
        for name, part in parts.items()
    }


def compare(
    labels: np.ndarray, outputs: Mapping[str, Outputs], groups: np.ndarray, parts: Parts, params: Params
) -> dict:
    """Return aug minus noaug, metric by metric, with McNemar's test and a sentence, by part."""
    noaug, aug = (softmax(one.test, axis=1) for one in outputs.values())
    classes, negative = params.dataset.classes, params.dataset.negative
    return {
        name: _compare(labels[part], noaug[part], aug[part], groups[part], classes, negative, params)
        for name, part in parts.items()
        if part.any()
    }


def compare_external(outputs: Mapping[str, Outputs], external: External, params: Params) -> dict:
    """Return, by external source, the same of the share of images with a tumour that is called any tumour."""
    table: dict[str, dict] = {}
    negative, classes = params.dataset.negative_class, comparison.TUMOUR_CALLS
    for source, at in external.by_source().items():
        shown = at & external.has_tumour
        if negative is not None and shown.any():
            labels, groups = np.ones(shown.sum(), int), external.groups[shown]
            noaug, aug = (comparison.tumour_calls(one.external[shown], negative) for one in outputs.values())
            row = _compare(labels, noaug, aug, groups, classes, None, params, "sensitivity")
            table[source] = row | {"aug_minus_noaug": {"sensitivity": row["aug_minus_noaug"]["accuracy"]}}
    return table


def _compare(
    labels: np.ndarray,
    noaug: np.ndarray,
    aug: np.ndarray,
    groups: np.ndarray,
    classes: Sequence[str],
    negative: str | None,
    params: Params,
    what: str = "accuracy",
) -> dict:
    names, draws = ("noaug", "aug"), {"resamples": params.evaluate.resamples, "seed": params.evaluate.seed}
    sentence, test, rows = comparison.compare(labels, noaug, aug, groups, classes, negative, names, what, **draws)
    return {
        "verdict": sentence,
        "mcnemar": test,
        "agreement": errors.agreement(labels, noaug.argmax(1), aug.argmax(1)),
        "aug_minus_noaug": rows,
    }
