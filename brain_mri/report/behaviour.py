"""The sections on how the classifiers behave: learning curves, confusion, calibration, selective prediction."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from brain_mri.errors import UserError
from brain_mri.evaluation import calibration, selective
from brain_mri.report import charts
from brain_mri.report.blocks import Charts, More, Table
from brain_mri.report.study import PIPELINES, Study, command
from brain_mri.report.words import listed, number, percent
from brain_mri.statistics.metrics import confusion_matrix

TRAINING = {
    "epochs": "epochs run",
    "best_epoch": "best epoch (lowest validation loss)",
    "final_train_accuracy": "training accuracy at the end",
    "final_val_accuracy": "validation accuracy at the end",
    "best_val_accuracy": "best validation accuracy",
    "best_val_loss": "best validation loss",
}


def learning(study: Study) -> Iterator[Any]:
    """Learning curves and what training reached."""
    histories = {p: rows for p in PIPELINES if (rows := study.table(f"plots/history/{p}.csv"))}
    if histories:
        yield Charts([charts.learning(histories, metric) for metric in ("accuracy", "loss")])
        yield "With augmentation, training accuracy is measured on the augmented images, which are harder."
    else:
        yield study.missing("plots/history is not there (stages train_noaug, train_aug)")
    reached = [[name, *(study.metrics[p]["training"][key] for p in PIPELINES)] for key, name in TRAINING.items()]
    yield Table("What training reached", ["", *PIPELINES], reached)


def confusion(study: Study) -> Iterator[Any]:
    """Confusion matrices of both pipelines, the clean part first."""
    classes = study.params.dataset.classes
    found = {pipeline: matrices(study, pipeline) for pipeline in PIPELINES}
    for part in dict.fromkeys(part for tables in found.values() for part in tables):
        yield Charts(
            [
                charts.confusion(
                    f"confusion-{p}-{part}", f"{charts.NAMES[p]}, {part} test images", tables[part], classes
                )
                for p, tables in found.items()
                if part in tables
            ]
        )
    if not any(found.values()):
        yield study.missing("neither data/predictions nor plots/confusion is there (stage evaluate)")


def matrices(study: Study, pipeline: str) -> dict[str, np.ndarray]:
    """Confusion matrices, int (C, C), by part: all, and clean where that is another set."""
    classes = study.params.dataset.classes
    predictions = study.predictions(pipeline)
    if predictions is None:
        rows = study.table(f"plots/confusion/{pipeline}.csv") or []
        if unknown := {row[key] for row in rows for key in ("actual", "predicted")} - set(classes):
            raise UserError(
                f"plots/confusion/{pipeline}.csv: {min(unknown)!r} is none of dataset.classes; run "
                f"`{command(study.name)}`"
            )
        actual, predicted = (np.array([classes.index(r[key]) for r in rows], int) for key in ("actual", "predicted"))
        return {"all": confusion_matrix(actual, predicted, len(classes))} if rows else {}
    called, clean = predictions.before.argmax(1), predictions.clean
    parts = {"clean": clean, "all": np.ones(len(clean), bool)}
    return {
        part: confusion_matrix(predictions.labels[at], called[at], len(classes))
        for part, at in parts.items()
        if part == "all" or 0 < at.sum() < len(at)
    }


def calibrated(study: Study) -> Iterator[Any]:
    """Calibration before and after temperature scaling."""
    tables = {pipeline: study.metrics[pipeline]["calibration"] for pipeline in PIPELINES}
    temperatures = listed([f"{pipeline} {table['temperature']:.2f}" for pipeline, table in tables.items()])
    yield (
        "A confidence of 0.9 should be right nine times in ten. Before and after dividing by the temperature, which is "
        f"fitted on validation images: {temperatures}. Below 1 it makes the network surer, above 1 less sure."
    )
    items = []
    for pipeline, table in tables.items():
        if found := study.predictions(pipeline):
            diagrams = {
                when: calibration.reliability_diagram(found.labels, shares, calibration.equal_width_edges())
                for when, shares in (("before", found.before), ("after", found.after))
            }
            errors = {when: table["all"][when]["ece_equal_width"] for when in diagrams}
            items.append(charts.reliability(pipeline, diagrams, errors))
    yield Charts(items) if items else study.missing("data/predictions is not there (stage evaluate): no charts")
    sets = {pipeline: _sets(study, table) for pipeline, table in tables.items()}
    rows = [
        [name, *(sets[p][name][when]["ece_equal_width"] for p in PIPELINES for when in ("before", "after"))]
        for name in sets["noaug"]
    ]
    head = ["", *(f"{pipeline}, {when}" for pipeline in PIPELINES for when in ("before", "after"))]
    yield Table("ECE, 15 bins of equal width", head, rows)


def _sets(study: Study, table: dict[str, Any]) -> dict[str, Any]:
    """The rows of a table by part and external source."""
    return {part: table[part] for part in study.parts} | {f"external {s}": row for s, row in table["external"].items()}


def abstaining(study: Study) -> Iterator[Any]:
    """What handing the least confident images to a person gives."""
    curves: dict[str, charts.Curve] = {}
    accuracies = []
    for pipeline in PIPELINES:
        found = study.predictions(pipeline)
        if found is None or not len(found.labels):
            continue
        coverage, risk = selective.risk_coverage(found.labels, found.after)
        places = np.unique(np.linspace(0, len(coverage) - 1, 200).round().astype(int))
        line = {"color": charts.COLOURS[pipeline], "width": 2}
        curves[pipeline] = (coverage[places].tolist(), (1 - risk[places]).tolist(), line)
        half = 1 - risk[np.searchsorted(coverage, 0.5)]
        accuracies.append(f"{pipeline} {percent(half)} at half coverage, {percent(1 - risk[-1])} at full")
    if curves:
        title = "Accuracy of what is answered, most confident images first, all test images"
        points = np.linspace(0.1, 1, 10).tolist()
        alt = f"{title}: {listed(accuracies)}."
        yield charts.lines("selective", title, curves, ("coverage", "accuracy"), alt, points=points)
    else:
        yield study.missing("data/predictions is not there (stage evaluate): no chart")
    tables = {pipeline: study.metrics[pipeline]["selective"] for pipeline in PIPELINES}
    for pipeline, table in tables.items():
        wanted, val = percent(table["error_wanted"]), table["val"]
        if table["threshold"] is None:
            yield f"{pipeline}: no confidence brings the error on validation down to {wanted}."
        else:
            yield (
                f"{pipeline} answers where its confidence is at least {number(table['threshold'])}: on validation that "
                f"keeps the error at {percent(val['error'])} (wanted: at most {wanted}) with a coverage of "
                f"{percent(val['coverage'])}. On other images the error may be higher, as the table shows."
            )
    columns = ("coverage", "error", "aurc")
    sets = {pipeline: {"validation": table["val"]} | _sets(study, table) for pipeline, table in tables.items()}
    rows = [[name, *(sets[p][name].get(key) for p in PIPELINES for key in columns)] for name in sets["noaug"]]
    head = ["", *(f"{pipeline}, {what}" for pipeline in PIPELINES for what in ("coverage", "error", "AURC"))]
    yield Table("Coverage and error at the threshold, and AURC (lower is better)", head, rows)


def excluding(study: Study) -> Iterator[Any]:
    """How often the classes that cannot be excluded hold the true one, and how many they are."""
    tables = {pipeline: study.metrics[pipeline].get("sets") for pipeline in PIPELINES}
    if not all(tables.values()):  # older results
        return
    yield (
        f"The set of classes that are not excluded is to hold {percent(tables['aug']['level'])} of each class: a class "
        "is excluded where its probability is below that of nearly all its validation images. For images like those "
        "of validation the sets keep the promise; for images from elsewhere nothing is promised."
    )
    sets = {pipeline: {"validation": table["val"]} | _sets(study, table) for pipeline, table in tables.items()}
    columns = ("coverage", "mean_size", "single")
    rows = [[name, *(sets[p][name][key] for p in PIPELINES for key in columns)] for name in sets["noaug"]]
    head = [
        f"{pipeline}, {what}" for pipeline in PIPELINES for what in ("holds the truth", "mean size", "of one class")
    ]
    yield Table("Sets of classes that are not excluded", ["", *head], rows)
    kinds = [
        [f"{name}: {kind}", *(sets[pipeline][name]["by_class"].get(kind) for pipeline in PIPELINES)]
        for name, row in sets["noaug"].items()
        for kind in row["by_class"]
    ]
    yield More("By class", [Table("Share whose set holds the true class", ["", *PIPELINES], kinds)])
