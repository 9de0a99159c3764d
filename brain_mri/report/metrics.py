"""The sections on the metrics: both pipelines with intervals, their difference, external images, published numbers."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from brain_mri.report import charts
from brain_mri.report.blocks import Cell, Heading, More, Table
from brain_mri.report.study import PIPELINES, Study
from brain_mri.report.words import listed, number
from brain_mri.statistics.metrics import look_up

METRICS = {
    ("accuracy",): "accuracy",
    ("balanced_accuracy",): "balanced accuracy",
    ("macro_f1",): "macro F1",
    ("macro_roc_auc",): "macro ROC AUC",
    ("tumour", "sensitivity"): "sensitivity",
    ("tumour", "specificity"): "specificity",
    ("log_loss",): "log loss",
    ("brier",): "Brier score",
}
OF_CLASS = {"precision": "precision", "recall": "recall", "f1": "F1"}
EXTERNAL = {  # key: name, key of the number of images
    "called_tumour": ("tumours called any tumour", "n_with_tumour"),
    "called_true_class": ("tumours called by their class", "n_class_known"),
    "accuracy": ("accuracy", "n"),
}
PARTS = {"clean": "Clean test images", "all": "All test images", "leaked": "Leaked test images"}


def section(study: Study) -> Iterator[Any]:
    """Both pipelines side by side."""
    yield overview(study)
    for part in study.parts:
        yield Heading(f"{PARTS[part]} ({study.sizes[part]:,})")
        yield study.metrics["comparison"][part]["verdict"]
        yield metrics_table(study, part)
        yield More("By class: precision, recall, F1", [class_table(study, part)])
    yield from patients(study)
    if "folds" in study.metrics:
        yield Heading("Every fold of the split, pooled")
        yield folds_table(study)
    yield Heading("External images")
    yield from external(study)


def overview(study: Study) -> Any:
    """Accuracy by part and sensitivity by external source, as one chart."""
    part, title = study.own_part, "Accuracy by part of the test set"
    seen = {name for name, row in study.metrics["noaug"]["external"].items() if row.get("called_tumour") is not None}
    rows: dict[str, tuple[str, ...]] = {f"accuracy, {part}": (part, "accuracy") for part in study.parts}
    if seen:
        title += ", and sensitivity on the study's own and on external images"
        rows[f"sensitivity, own {part}"] = (part, "tumour", "sensitivity")
        rows |= {f"sensitivity, external {name}": ("external", name, "called_tumour") for name in sorted(seen)}
    rates = {pipeline: {row: study.rate(pipeline, *path) for row, path in rows.items()} for pipeline in PIPELINES}
    return charts.rates("overview", title, rates, note="Marks are the measured values, bars their 95 % intervals.")


def metrics_table(study: Study, part: str) -> Table:
    """Rows of METRICS, columns noaug, aug and their difference."""
    differences = study.metrics["comparison"][part]["aug_minus_noaug"]
    rows = []
    for path, name in METRICS.items():
        change = look_up(differences, path) or {"difference": None, "interval": None}
        ends = " to ".join(number(end, sign="+") for end in change["interval"] or ())
        difference = Cell(number(change["difference"], sign="+"), ends)
        rows.append([name, *(study.rate(pipeline, part, *path) for pipeline in PIPELINES), difference])
    return Table(f"{PARTS[part]}: metrics with 95 % intervals", ["", *PIPELINES, "aug minus noaug"], rows)


def patients(study: Study) -> Iterator[Any]:
    """The patients that are known, each with one answer."""
    row = study.metrics[study.params.pipeline].get("patients") or {"n": 0}
    if not row["n"]:
        return
    yield Heading(f"Patients ({row['n']:,})")
    yield "Of all test images those of a known patient; a patient's answer is the class that most slices are called."
    rows: list[list[Any]] = [
        ["patients called right", row["n"], *(study.rate(pipeline, "patients", "accuracy") for pipeline in PIPELINES)]
    ]
    rows += [
        [
            label,
            of["support"],
            *(study.rate(pipeline, "patients", "classes", label, "recall") for pipeline in PIPELINES),
        ]
        for label, of in row["classes"].items()
        if of["support"]
    ]
    yield Table("Patients called right, with 95 % intervals", ["", "patients", *PIPELINES], rows)


VIEWS = {"slices": "slices", "patients": "patients, by most of their slices", "tumours_alone": "slices, tumours alone"}


def folds_table(study: Study) -> Table:
    """Rows of what is counted and metric, the folds' mean and standard deviation beside the pooled value."""
    rows = []
    for name, title in VIEWS.items():
        for key in ("accuracy", "balanced_accuracy"):
            cells: list[Any] = []
            for pipeline in PIPELINES:
                if view := study.metrics["folds"][pipeline].get(name):
                    of_folds = [fold[key] for fold in view["folds"]]
                    spread = f"{number(np.mean(of_folds))} \u00b1 {number(np.std(of_folds, ddof=1))} over folds"
                    cells += [{"value": view["metrics"][key], "interval": view["intervals"][key]}, spread]
            if cells:
                count = study.metrics["folds"]["noaug"][name]["metrics"]["n"]
                rows.append([f"{title}: {key.replace('_', ' ')}", count, *cells])
    header = ["", "n"] + [text for pipeline in PIPELINES for text in (pipeline, "")]
    return Table("Held-out images of all folds, with 95 % intervals", header, rows)


def class_table(study: Study, part: str) -> Table:
    """Rows of class and metric."""
    rows = [
        [f"{label}: {name}", row["support"], *(study.rate(p, part, "classes", label, key) for p in PIPELINES)]
        for label, row in study.metrics["noaug"]["test"][part]["classes"].items()
        for key, name in OF_CLASS.items()
    ]
    return Table(f"{PARTS[part]}: by class, with 95 % intervals", ["", "images", *PIPELINES], rows)


def external(study: Study) -> Iterator[Any]:
    """The share of external tumours that is called any tumour, a row a source."""
    sources = study.metrics["noaug"]["external"]
    if not sources:
        yield "The study has no external images (params.yaml: external)."
        return
    left = listed([f"{row['left_out']:,} of {source}" for source, row in sources.items() if row["left_out"]])
    yield (
        "Images from other collections, by source. Copies of images that train or validate are left out"
        f"{f': {left}' if left else ''}."
    )
    rows = [
        [f"{source}: {name}", row[n], row["groups"], *(study.rate(p, "external", source, key) for p in PIPELINES)]
        for source, row in sources.items()
        for key, (name, n) in EXTERNAL.items()
        if row.get(key) is not None
    ]
    yield Table("External images: shares with 95 % intervals", ["", "images", "groups", *PIPELINES], rows)
    for source, row in study.metrics["comparison"]["external"].items():
        yield f"{source}: {row['verdict']}"


def published(study: Study) -> Iterator[Any]:
    """The report's published numbers beside the study's, where the study is the paper's."""
    if not study.params.evaluate.published:
        return
    rows = study.table("plots/comparison/published.csv")
    if not rows:
        yield study.missing("plots/comparison/published.csv has no rows")
        return
    yield "The published numbers are of all test images, leaked ones included, and have no intervals."
    body: list[list[Any]] = []
    for row in rows:
        name = f"{row['pipeline']}: {row['metric'].replace('_', ' ').replace('.', ', ')}"
        ours, theirs = float(row["measured"] or "nan"), float(row["published"])
        if row["metric"].endswith("support"):
            body.append([name, int(theirs), int(ours), ""])
        else:
            body.append([name, number(theirs, 4), number(ours, 4), number(ours - theirs, sign="+")])
    yield Table("Published and measured", ["", "published", "measured", "measured minus published"], body)
