"""The folds of a study, pooled: each image held out is classified once, by a network that knows nobody of its group."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from brain_mri.errors import UserError
from brain_mri.evaluation.patients import tumours_alone, vote
from brain_mri.params import PIPELINES, Params
from brain_mri.statistics.comparison import compare
from brain_mri.statistics.intervals import intervals
from brain_mri.statistics.metrics import Floats, Ints, classification_metrics
from brain_mri.studies.sides import Side, find


def experiment(study: Path, fold: int) -> str:
    """The name of the DVC experiment that runs a fold of the study in this folder."""
    return f"{study.resolve().name}-fold-{fold}"


def held_out(study: Path, params: Params) -> dict[str, list["HeldOut"]]:
    """Return what each fold of the study in this folder holds out and how it is classified, by pipeline.

    UserError where a fold was not run or with other parameters than the others, or an image is held out by two."""
    return {
        pipeline: pooled_sides([_find(study, fold, pipeline) for fold in range(params.split.folds)], params)
        for pipeline in PIPELINES
    }


def _find(study: Path, fold: int, pipeline: str) -> Side:
    try:
        return find(f"{experiment(study, fold)}:{study.resolve()}:{pipeline}", Path.cwd())
    except UserError as error:
        again = f"`brain-mri folds {study} --run` runs them"
        raise UserError(f"{study}: fold {fold} was not run, or its results are not here; {again} ({error})") from None


def pooled_sides(sides: list[Side], params: Params) -> list["HeldOut"]:
    classes = params.dataset.classes
    for fold, side in enumerate(sides):
        expected = sides[0].params | {"split": sides[0].params["split"] | {"fold": fold}}
        if side.params | {"evaluate": None} != expected | {"evaluate": None}:
            raise UserError(f"{side.name}: run with other parameters than fold 0; run all folds anew (--run)")
    if (parts := sides[0].params["split"]["folds"]) != len(sides):
        raise UserError(
            f"{sides[0].name}: a split into {parts} folds, and split.folds is {len(sides)}; run all folds anew (--run)"
        )
    images = [side.images["test"] for side in sides]
    paths = np.concatenate([fold.paths for fold in images])
    if len(np.unique(paths)) < len(paths):
        raise UserError(f"{sides[0].name}: an image is held out by two folds; run them anew with one split.seed")
    rows = {row["path"]: row for side in sides for row in side.files.table("data/split/test.csv")}
    return [
        HeldOut(
            np.array([classes.index(label) for label in fold.labels]),
            fold.probabilities,
            fold.groups,
            np.array([rows[path]["patient"] for path in fold.paths]),
        )
        for fold in images
    ]


def pool(folds: dict[str, list["HeldOut"]], params: Params) -> dict[str, Any]:
    """Pool the held-out predictions of all folds, a table for each pipeline."""
    classes, negative, settings = params.dataset.classes, params.dataset.negative, params.evaluate
    return {
        pipeline: pool_held_out(held, classes, negative, settings.resamples, settings.seed)
        for pipeline, held in folds.items()
    }


def paired_verdict(folds: dict[str, list["HeldOut"]], params: Params) -> str:
    """One sentence: can all held-out slices together tell the two pipelines apart? Each fold holds out the same ones in
    both."""
    noaug, aug = (together(folds[name]) for name in PIPELINES)
    classes, negative, settings = params.dataset.classes, params.dataset.negative, params.evaluate
    sentence, *_ = compare(
        noaug.labels,
        noaug.probabilities,
        aug.probabilities,
        noaug.groups,
        classes,
        negative,
        PIPELINES,
        resamples=settings.resamples,
        seed=settings.seed,
    )
    return sentence


def pool_held_out(
    folds: list["HeldOut"], classes: list[str], negative: str | None, resamples: int, seed: int
) -> dict[str, Any]:
    """Return, for each of `views`, the metrics of all folds together with their intervals, and those of each fold."""
    of_folds = [views(fold, classes, negative) for fold in folds]
    pooled = views(together(folds), classes, negative)
    draws = resamples, seed
    return {
        name: {
            "metrics": view.metrics(),
            "intervals": intervals(view.labels, view.probabilities, view.groups, view.classes, view.negative, *draws),
            "folds": [of_fold[name].metrics() for of_fold in of_folds if name in of_fold],
        }
        for name, view in pooled.items()
    }


class HeldOut(NamedTuple):
    """N slices that a fold holds out."""

    labels: Ints  # (N,)
    probabilities: Floats  # (N, C)
    groups: Ints  # (N,)
    patients: np.ndarray  # str (N,), "" where unknown


def together(folds: list[HeldOut]) -> HeldOut:
    return HeldOut(*map(np.concatenate, zip(*folds, strict=True)))


@dataclass(frozen=True)
class View:
    """What is counted: slices, or patients."""

    labels: Ints
    probabilities: Floats
    groups: Ints
    classes: list[str]
    negative: str | None

    def metrics(self) -> dict[str, Any]:
        return classification_metrics(self.labels, self.probabilities, self.classes, self.negative)


def views(held_out: HeldOut, classes: list[str], negative: str | None) -> dict[str, View]:
    """Return the slices; where they are known the patients; where there are several the tumours alone."""
    labels, probabilities, groups, patients = held_out
    result = {"slices": View(labels, probabilities, groups, classes, negative)}
    truth, votes, slices = vote(labels, probabilities, patients)
    if len(truth):
        result["patients"] = View(truth, votes, groups[slices], classes, None)
    if negative and len(classes) > 2:
        shown, truth, shares = tumours_alone(labels, probabilities, classes.index(negative))
        kinds = [name for name in classes if name != negative]
        result["tumours_alone"] = View(truth, shares, groups[shown], kinds, None)
    return result


def summary(pooled: dict[str, Any]) -> list[list[str]]:
    """Rows for people: pipeline, of what, number, accuracy and balanced accuracy with intervals, the latter's mean and
    standard deviation over the folds."""
    rows = []
    for pipeline, table in pooled.items():
        for name, view in table.items():
            cells = [_cell(view["metrics"][key], view["intervals"][key]) for key in ("accuracy", "balanced_accuracy")]
            of_folds = [fold["balanced_accuracy"] for fold in view["folds"]]
            spread = f"{np.mean(of_folds):.3f} +- {np.std(of_folds, ddof=1):.3f}"
            rows.append([pipeline, name.replace("_", " "), str(view["metrics"]["n"]), *cells, spread])
    return rows


def _cell(value: float, bounds: list[float] | None) -> str:
    return f"{value:.3f}" + (f" ({bounds[0]:.3f} to {bounds[1]:.3f})" if bounds else "")
