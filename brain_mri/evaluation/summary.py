"""The tables of an evaluation: each pipeline by part of the test set and by outside source, and the two compared.

A part is bool (N,) over the test images: all, the clean ones, the leaked ones. Logits are float32 (N, C), labels and
groups int (N,). Every function returns plain dictionaries for JSON, with None where a number is not defined.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import softmax

from brain_mri.evaluation import calibration, errors, selective
from brain_mri.statistics import comparison
from brain_mri.statistics.intervals import intervals, mean_interval
from brain_mri.statistics.metrics import classification_metrics, tumour_sensitivity

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


@dataclass(frozen=True)
class Outside:
    """N images from elsewhere. `left_out` counts, by source, those that have a copy in training or validation."""

    sources: np.ndarray  # str (N,)
    labels: np.ndarray  # int (N,), -1 where the class is none of the study's ("some tumour")
    ill: np.ndarray  # bool (N,): the image shows a tumour
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


def external(outside: Outside, logits: np.ndarray, how: Measure) -> tuple[dict, dict]:
    """Return metrics by source of images from elsewhere, and their intervals.

    Of the images with a tumour it is counted how many are called some tumour; a source with images of two of the
    study's classes and no other gets all metrics besides."""
    probabilities = softmax(logits, axis=1)
    metrics: dict[str, dict] = {}
    bounds: dict[str, dict] = {}
    for source, at in outside.by_source().items():
        labels, groups = outside.labels[at], outside.groups[at]
        metrics[source] = {
            "n": len(labels),
            "groups": len(np.unique(groups)),
            "left_out": outside.left_out.get(source, 0),
        }
        bounds[source] = {}
        if (labels >= 0).all() and len(np.unique(labels)) > 1:
            metrics[source] |= classification_metrics(labels, probabilities[at], how.classes, how.negative)
            bounds[source] |= intervals(
                labels, probabilities[at], groups, how.classes, how.negative, how.resamples, how.seed
            )
        ill = outside.ill[at]
        if how.negative is not None and ill.any():
            shown, known = probabilities[at][ill], labels[ill] >= 0
            sensitivity = tumour_sensitivity(shown, how.classes, how.negative, labels[ill])
            metrics[source] |= {"n_with_tumour": sensitivity.pop("n"), **sensitivity}
            called = (shown.argmax(1) != how.classes.index(how.negative)).astype(float)
            right = (shown.argmax(1) == labels[ill]).astype(float)
            for name, hits, counted in (("called_tumour", called, known | True), ("called_true_class", right, known)):
                row = mean_interval(hits[counted], groups[ill][counted], how.resamples, how.seed)
                bounds[source][name] = row["interval"]
    return metrics, bounds


def external_in_words(metrics: Mapping[str, dict], bounds: Mapping[str, dict]) -> list[str]:
    """One sentence a source from the pipelines' metrics and intervals of `external`: the share of tumours they see."""
    sentences = []
    for source, row in next(iter(metrics.values())).items():
        told = "no image of it shows a tumour" if row["n"] else "no image is left"
        if "called_tumour" in row:
            shares = [
                f"{pipeline} {rows[source]['called_tumour']:.3f} ({low:.3f}-{high:.3f})"
                for pipeline, rows in metrics.items()
                for low, high in [bounds[pipeline][source]["called_tumour"]]
            ]
            told = f"of {row['n_with_tumour']} images with a tumour these shares are called some tumour: "
            told += ", ".join(shares)
        copies = f"; left out as copies of images that train or validate: {row['left_out']}"
        sentences.append(f"external {source}: {told}{copies if row['left_out'] else ''}")
    return sentences


def calibrate(labels: np.ndarray, said: Outputs, parts: Parts, outside: Outside) -> dict:
    """Return the calibration error before and after temperature scaling; the temperature is fitted on validation.

    By part, and for each outside source all of whose images are of the study's classes."""

    def both(truth: np.ndarray, logits: np.ndarray) -> dict:
        scaled = calibration.apply_temperature(logits, said.temperature)
        return {
            "before": calibration.calibration_errors(truth, softmax(logits, axis=1)),
            "after": calibration.calibration_errors(truth, scaled),
        }

    table = {name: both(labels[part], said.test[part]) for name, part in parts.items()}
    elsewhere = {
        source: both(outside.labels[at], said.external[at])
        for source, at in outside.by_source().items()
        if (outside.labels[at] >= 0).all()
    }
    return {"temperature": said.temperature, **table, "external": elsewhere}


def select(labels: Mapping[str, np.ndarray], said: Outputs, parts: Parts, outside: Outside, how: Measure) -> dict:
    """Return what handing the least confident images to a person gives; the threshold is chosen on validation.

    An outside image of which only "some tumour" is known counts as right where it is called some tumour."""
    val, test, elsewhere = (
        calibration.apply_temperature(logits, said.temperature) for logits in (said.val, said.test, said.external)
    )
    threshold = selective.threshold_for_error(labels["val"], val, how.error)

    def row(truth: np.ndarray, probabilities: np.ndarray) -> dict:
        table = selective.selective_metrics(truth, probabilities)
        return table | selective.at_threshold(truth, probabilities, threshold)

    truth, judged = outside.labels, outside.labels >= 0
    if how.negative is not None:
        predictions = elsewhere.argmax(1)
        called = predictions != how.classes.index(how.negative)
        truth, judged = np.where(~judged & called, predictions, truth), np.ones(len(truth), bool)
    table: dict = {"error_wanted": how.error, "threshold": threshold}
    table["val"] = selective.at_threshold(labels["val"], val, threshold)
    table |= {name: row(labels["test"][part], test[part]) for name, part in parts.items()}
    table["external"] = {
        source: row(truth[at & judged], elsewhere[at & judged]) for source, at in outside.by_source().items()
    }
    return table


def count_errors(labels: np.ndarray, outputs: Mapping[str, Outputs], pipeline: str, parts: Parts, how: Measure) -> dict:
    """Return, by part, how many test images a pipeline gets wrong, which classes it confuses, and whether the other
    pipeline is wrong there too."""
    (other,) = outputs.keys() - {pipeline}
    own, others = (outputs[name].test.argmax(1) for name in (pipeline, other))
    return {
        name: errors.count_errors(labels[part], own[part], others[part], how.classes) for name, part in parts.items()
    }


def compare(labels: np.ndarray, outputs: Mapping[str, Outputs], groups: np.ndarray, parts: Parts, how: Measure) -> dict:
    """Return aug minus noaug, metric by metric, with McNemar's test and a sentence, by part."""
    return {
        name: _compare(labels[part], [softmax(said.test[part], axis=1) for said in outputs.values()], groups[part], how)
        for name, part in parts.items()
        if part.any()
    }


def compare_external(outputs: Mapping[str, Outputs], outside: Outside, how: Measure) -> dict:
    """Return, by outside source, the same of the share of images with a tumour that is called some tumour."""
    table: dict[str, dict] = {}
    for source, at in outside.by_source().items():
        ill = at & outside.ill
        if how.negative is not None and ill.any():
            no = how.classes.index(how.negative)
            called = [np.eye(2)[(said.external[ill].argmax(1) != no).astype(int)] for said in outputs.values()]
            seen = replace(how, classes=("none", "tumour"), negative=None)
            row = _compare(np.ones(ill.sum(), int), called, outside.groups[ill], seen, "sensitivity")
            table[source] = row | {"aug_minus_noaug": {"sensitivity": row["aug_minus_noaug"]["accuracy"]}}
    return table


def _compare(
    labels: np.ndarray, said: Sequence[np.ndarray], groups: np.ndarray, how: Measure, what: str = "accuracy"
) -> dict:
    noaug, aug = said
    predictions = noaug.argmax(1), aug.argmax(1)
    test = comparison.mcnemar(labels, *predictions)
    rows = comparison.differences(labels, noaug, aug, groups, how.classes, how.negative, how.resamples, how.seed)
    return {
        "verdict": comparison.verdict(test, rows, "noaug", "aug", what),
        "mcnemar": test,
        "agreement": errors.agreement(labels, *predictions),
        "aug_minus_noaug": rows,
    }
