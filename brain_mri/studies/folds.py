"""The folds of a study, pooled: every image is classified once, by a network that saw neither it nor its patient."""

from pathlib import Path
from typing import Any

import numpy as np

from brain_mri.errors import UserError
from brain_mri.params import PIPELINES, Params
from brain_mri.statistics.intervals import intervals
from brain_mri.statistics.metrics import Floats, Ints, classification_metrics
from brain_mri.studies.sides import Side, find


def experiment(study: Path, fold: int) -> str:
    """The name of the DVC experiment that runs a fold of the study in this folder."""
    return f"{study.resolve().name}-fold-{fold}"


def pool(study: Path, params: Params) -> dict[str, Any]:
    """Pool the held-out predictions of all folds of the study in this folder, a table for each pipeline.

    UserError where a fold was not run, or an image is held out by two folds."""
    folds = range(params.split.folds)
    place = study.resolve().relative_to(Path.cwd().resolve())
    return {
        pipeline: _pool([find(f"{experiment(study, fold)}:{place}:{pipeline}", Path.cwd()) for fold in folds], params)
        for pipeline in PIPELINES
    }


def _pool(sides: list[Side], params: Params) -> dict[str, Any]:
    classes, negative = params.dataset.classes, params.dataset.negative
    images = [side.images["test"] for side in sides]
    paths = np.concatenate([fold.paths for fold in images])
    if len(np.unique(paths)) < len(paths):
        raise UserError(f"{sides[0].name}: an image is held out by two folds; run them anew with one split.seed")
    labels = np.array([classes.index(label) for fold in images for label in fold.labels])
    groups = np.concatenate([fold.groups for fold in images])
    probabilities = np.concatenate([fold.probabilities for fold in images])
    rows = {row["path"]: row for side in sides for row in side.files.table("data/split/test.csv")}
    patients = np.array([rows[path]["patient"] for path in paths])
    known = patients != ""

    def measure(labels: Ints, probabilities: Floats, groups: Ints, classes: list[str], none: str | None) -> dict:
        settings = params.evaluate.resamples, params.evaluate.seed
        return {
            "metrics": classification_metrics(labels, probabilities, classes, none),
            "intervals": intervals(labels, probabilities, groups, classes, none, *settings),
        }

    table = {
        "folds": [classification_metrics(*_of(fold, classes), classes, negative) for fold in images],
        "slices": measure(labels, probabilities, groups, classes, negative),
    }
    if known.any():
        chosen = np.flatnonzero(known)
        truth, votes, first = vote(
            labels[chosen], probabilities[chosen], np.unique(patients[chosen], return_inverse=True)[1]
        )
        table["patients"] = measure(truth, votes, groups[chosen][first], classes, None)
    tumours = [place for place, name in enumerate(classes) if name != negative]
    if negative and len(tumours) > 1:
        # As those report who have tumours alone: the likeliest of the tumours is the answer.
        at = np.isin(labels, tumours)
        shares = probabilities[at][:, tumours]
        answers = np.searchsorted(tumours, labels[at]), shares / shares.sum(1, keepdims=True)
        table["tumours_alone"] = measure(*answers, groups[at], [classes[place] for place in tumours], None)
    return table


def _of(images: Any, classes: list[str]) -> tuple[Ints, Floats]:
    return np.array([classes.index(label) for label in images.labels]), images.probabilities


def summary(pooled: dict[str, Any]) -> list[list[str]]:
    """Rows for people: pipeline, of what, images, accuracy, balanced accuracy, the folds' least and most accuracy."""
    rows = []
    for pipeline, table in pooled.items():
        spread = [fold["accuracy"] for fold in table["folds"]]
        for name in ("slices", "patients", "tumours_alone"):
            if name in table:
                metrics, bounds = table[name]["metrics"], table[name]["intervals"]
                cells = [_cell(metrics[key], bounds[key]) for key in ("accuracy", "balanced_accuracy")]
                folds = f"{min(spread):.3f} to {max(spread):.3f}" if name == "slices" else ""
                rows.append([pipeline, name.replace("_", " "), str(metrics["n"]), *cells, folds])
    return rows


def _cell(value: float, bounds: list[float] | None) -> str:
    return f"{value:.3f}" + (f" ({bounds[0]:.3f} to {bounds[1]:.3f})" if bounds else "")


def vote(labels: Ints, probabilities: Floats, patients: Ints) -> tuple[Ints, Floats, Ints]:
    """Return for each of P patients the label, the votes, and the place of the first slice.

    labels, patients: int (N,), probabilities float (N, C) of N slices. A patient's label is that of most slices. The
    votes, float (P, C), rows summing to 1, are the shares of the slices called by each class; between classes with as
    many slices the mean probability decides."""
    _, first, members = np.unique(patients, return_index=True, return_inverse=True)
    count, classes = len(first), probabilities.shape[1]
    calls, truth = np.zeros((count, classes)), np.zeros((count, classes))
    means = np.zeros((count, classes))
    np.add.at(calls, (members, probabilities.argmax(1)), 1)
    np.add.at(truth, (members, labels), 1)
    np.add.at(means, members, probabilities)
    sizes = np.bincount(members, minlength=count)[:, None]
    # Less than what one slice more would count.
    votes = calls / sizes + means / sizes / (2 * sizes)
    return truth.argmax(1), votes / votes.sum(1, keepdims=True), first
