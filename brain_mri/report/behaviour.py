"""The sections on how the classifiers behave: learning curves, confusion, calibration, abstaining."""

from typing import Any

import numpy as np

from brain_mri.evaluation import calibration, selective
from brain_mri.report import charts, diagrams
from brain_mri.report.blocks import Cell, Charts, Missing, Prose, Section, Table
from brain_mri.report.curves import matrices, predictions
from brain_mri.report.results import at, parts
from brain_mri.report.study import PIPELINES, Study
from brain_mri.report.words import listed, number, percent


def learning(study: Study) -> Section:
    """Learning curves and what training reached."""
    histories = {p: rows for p in PIPELINES if (rows := study.table(f"plots/history/{p}.csv"))}
    names = {
        "epochs": "epochs run",
        "best_epoch": "best epoch (lowest validation loss)",
        "final_train_accuracy": "training accuracy at the end",
        "final_val_accuracy": "validation accuracy at the end",
        "best_val_accuracy": "best validation accuracy",
        "best_val_loss": "best validation loss",
    }
    reached = [
        [name, *(_plain(study.metrics[p]["training"].get(key)) for p in PIPELINES)] for key, name in names.items()
    ]
    blocks: list[Any] = [Table("What training reached", ["", "noaug", "aug"], reached)]
    if histories:
        blocks.insert(0, Charts([diagrams.learning(histories, metric) for metric in ("accuracy", "loss")]))
        blocks.insert(
            1, Prose("With augmentation, training accuracy is measured on the augmented images, which are harder.")
        )
    else:
        blocks.insert(0, Missing("plots/history is not there (stages train_noaug, train_aug)", study.command))
    return Section("learning", "Learning curves", blocks)


def _plain(value: Any) -> str:
    return str(value) if isinstance(value, int) else number(value)


def confusion(study: Study) -> Section:
    """Confusion matrices of both pipelines, the clean part first."""
    found = {pipeline: matrices(study, pipeline) for pipeline in PIPELINES}
    blocks: list[Any] = []
    for part in dict.fromkeys(part for table in found.values() for part in table):
        items = [
            diagrams.confusion(
                f"confusion-{p}-{part}", f"{charts.NAMES[p]}, {part} test images", m[part], study.params.dataset.classes
            )
            for p, m in found.items()
            if part in m
        ]
        blocks.append(Charts(items))
    if not blocks:
        blocks.append(Missing("neither data/predictions nor plots/confusion is there (stage evaluate)", study.command))
    return Section("confusion", "Confusion", blocks)


def calibrated(study: Study) -> Section:
    """Calibration before and after temperature scaling."""
    items = []
    for pipeline in PIPELINES:
        said = predictions(study, pipeline)
        if said is not None:
            edges = calibration.equal_width_edges()
            both = {
                when: calibration.reliability_diagram(said.labels, p, edges)
                for when, p in (("before", said.before), ("after", said.after))
            }
            table = study.metrics[pipeline]["calibration"]["all"]
            items.append(diagrams.reliability(pipeline, both, {when: table[when]["ece_equal_width"] for when in both}))
    rows: list[list[str | Cell]] = []
    sets: list[tuple[str, tuple[str, ...]]] = [(part, (part,)) for part in parts(study)]
    sets += [(f"external {s}", ("external", s)) for s in study.metrics["noaug"]["calibration"].get("external", {})]
    for name, path in sets:
        cells = [
            number(at(study.metrics[p]["calibration"], (*path, when, "ece_equal_width")))
            for p in PIPELINES
            for when in ("before", "after")
        ]
        rows.append([name, *cells])
    temperatures = listed([f"{p} {study.metrics[p]['calibration']['temperature']:.2f}" for p in PIPELINES])
    head = ["", "noaug, before", "noaug, after", "aug, before", "aug, after"]
    blocks: list[Any] = [
        Prose(
            "A confidence of 0.9 should be right nine times in ten. Before and after dividing by the temperature, "
            f"which is fitted on validation images: {temperatures}. Below 1 it makes the network surer, above 1 less "
            "sure."
        ),
        Charts(items) if items else Missing("data/predictions is not there (stage evaluate): no charts", study.command),
        Table("ECE, 15 bins of equal width", head, rows),
    ]
    return Section("calibration", "Calibration", blocks)


def abstaining(study: Study) -> Section:
    """What handing the least confident images to a person gives."""
    curves, styles, said_in_words = {}, {}, []
    for pipeline in PIPELINES:
        said = predictions(study, pipeline)
        if said is None or not len(said.labels):
            continue
        coverage, risk = selective.risk_coverage(said.labels, said.after)
        places = np.unique(np.linspace(0, len(coverage) - 1, 200).round().astype(int))
        curves[pipeline] = (coverage[places].tolist(), (1 - risk[places]).tolist())
        styles[pipeline] = {"color": charts.COLOURS[pipeline], "width": 2}
        half = int(np.searchsorted(coverage, 0.5))
        said_in_words.append(f"{pipeline} {percent(1 - risk[half])} at half coverage, {percent(1 - risk[-1])} at full")
    blocks: list[Any] = []
    for pipeline in PIPELINES:
        row = study.metrics[pipeline]["selective"]
        if row["threshold"] is None:
            blocks.append(
                Prose(
                    f"{pipeline}: no confidence brings the error on validation down to {percent(row['error_wanted'])}."
                )
            )
        else:
            blocks.append(
                Prose(
                    f"{pipeline} answers where its confidence is at least {row['threshold']:.3f}: on validation that "
                    f"keeps the error at {percent(row['val']['error'])} (wanted: at most "
                    f"{percent(row['error_wanted'])}) with a coverage of {percent(row['val']['coverage'])}. "
                    "Elsewhere the error may be higher, as the table shows."
                )
            )
    if curves:
        title = "Accuracy of what is answered, most confident images first, all test images"
        alt = f"{title}: {listed(said_in_words)}."
        rows = _at_coverages(curves)
        table = Table(title, ["coverage", *curves], rows)
        blocks.insert(0, charts.lines("selective", title, curves, styles, ("coverage", "accuracy"), alt, table))
    else:
        blocks.insert(0, Missing("data/predictions is not there (stage evaluate): no chart", study.command))
    blocks.append(_selective_table(study))
    return Section("selective", "Handing unsure images to a person", blocks)


def _at_coverages(curves: dict[str, Any]) -> list[list[str]]:
    wanted = np.linspace(0.1, 1, 10)
    return [[f"{c:.1f}", *(number(float(np.interp(c, *curve))) for curve in curves.values())] for c in wanted]


def _selective_table(study: Study) -> Table:
    rows: list[list[str | Cell]] = []
    tables = study.metrics["noaug"]["selective"]
    outside = tables.get("external", {})
    sets: list[tuple[str, tuple[str, ...]]] = [("validation", ("val",)), *((part, (part,)) for part in parts(study))]
    if "n" in outside:
        sets += [("external", ("external",))] if outside["n"] else []
    else:
        sets += [(f"external {source}", ("external", source)) for source in outside]
    for name, path in sets:
        cells = []
        for pipeline in PIPELINES:
            row = at(study.metrics[pipeline]["selective"], path)
            cells += [number(row.get("coverage")), number(row.get("error")), number(row.get("aurc"))]
        rows.append([name, *cells])
    head = ["", *(f"{p}, {what}" for p in PIPELINES for what in ("coverage", "error", "AURC"))]
    return Table("Coverage and error at the threshold, and AURC (lower is better)", head, rows)
