"""The section on shortcuts and robustness: is it the tumour that is seen, and what do noise and the like do?"""

from collections.abc import Mapping, Sequence
from typing import Any

from brain_mri.report import charts, pictures
from brain_mri.report.blocks import Cell, Chart, Heading, Missing, More, Pictures, Prose, Section, Table
from brain_mri.report.findings import order
from brain_mri.report.study import PIPELINES, Study
from brain_mri.report.words import DASH, cell, count, listed, number, percent, spoken


def section(study: Study) -> Section:
    """Is it the tumour that the classifier sees, and what do noise, motion and the like do to it?"""
    title = "Is it the tumour? Shortcut probes and robustness"
    metrics = study.metrics.get("probe")
    if metrics is None:
        return Section("probes", title, [Missing("metrics/probe.json is not there (stage probe)", study.command)])
    blocks: list[Any] = [Prose(metrics[pipeline]["verdict"]) for pipeline in order(study)]
    blocks += [*changed(metrics), *moved(study, metrics), *sources(metrics)]
    if not study.real:
        alt = "Phantoms of each class as the probes change them, and what each pipeline calls them; green is right."
        picture = pictures.embed(study.folder / "plots/probe_examples.png", alt, "What the probes do", wide=True)
        blocks += [More("What the probes do, in pictures", [Pictures([picture])])] if picture else []
    return Section("probes", title, blocks + robustness(study, metrics))


def changed(metrics: Mapping[str, Any]) -> list[Any]:
    """Right tumour calls that stay when the lesion is hidden, or shown alone."""
    names = {
        "inpainted": "lesion inpainted",
        "mirrored": "lesion covered by the other side",
        "border_only": "border and background alone",
        "histogram_only": "shuffled pixels alone",
        "box_only": "box around the lesion alone",
    }
    rates: dict[str, dict[str, Any]] = {}
    for pipeline in PIPELINES:
        table = metrics[pipeline]["probes"]
        rates[pipeline] = {names.get(key, spoken(key)): row["kept"] for key, row in table.items() if row["n"]}
    if not any(rates.values()):
        reasons = {row.get("reason", "") for row in metrics[PIPELINES[0]]["probes"].values()}
        return [Prose(f"The probes found nothing to count: {listed(sorted(filter(None, reasons)))}.")]
    ignoring = {
        f"a classifier that ignores the lesion ({pipeline})": {
            name: rate["if_lesion_ignored"] for name, rate in table.items() if rate.get("if_lesion_ignored") is not None
        }
        for pipeline, table in rates.items()
    }
    title = "Right tumour calls that stay"
    note = "Who sees the tumour keeps few calls where the lesion is hidden, and most where it alone is shown."
    blocks: list[Any] = [charts.rates("probes", title, rates, ignoring, "share of right tumour calls", note)]
    rows: list[list[str | Cell]] = []
    for key, row in metrics[PIPELINES[0]]["probes"].items():
        for label in row.get("by_class", {}):
            found = [metrics[pipeline]["probes"][key]["by_class"][label] for pipeline in PIPELINES]
            rows.append(
                [f"{names.get(key, spoken(key))}: {label}"]
                + [c for r in found for c in (Cell(count(r["n"])), cell(r["kept"]) if r["n"] else Cell(DASH))]
            )
    head = ["", *(text for p in PIPELINES for text in (f"{p}, calls", f"{p}, stay"))]
    return [
        *blocks,
        More("By class", [Table("Right tumour calls that stay, by class, with 95 % intervals", head, rows)]),
    ]


def moved(study: Study, metrics: Mapping[str, Any]) -> list[Any]:
    """Lesions moved into heads without one."""
    rows: list[list[str | Cell]] = []
    for pipeline in order(study):
        row = metrics[pipeline]["transplant"]
        if row["n"]:
            p_value = "< 0.001" if row["p_value"] < 0.001 else number(row["p_value"])
            rows.append([pipeline, count(row["n"]), cell(row["lesion"]), cell(row["sham"]), p_value])
    if not rows:
        return [Prose(f"No lesion was moved: {metrics[study.params.pipeline]['transplant']['reason']}.")]
    caption = "Lesions moved into heads without one: right calls that turn into the lesion's class, with 95 % intervals"
    return [Table(caption, ["", "right calls", "with the lesion", "with a sham", "p (McNemar test)"], rows)]


def sources(metrics: Mapping[str, Any]) -> list[Any]:
    """Whether the features tell where an image of one class comes from."""
    rows: list[list[str | Cell]] = []
    for pipeline in PIPELINES:
        for label, row in metrics[pipeline]["source"].items():
            if isinstance(row, dict) and row["balanced_accuracy"] is not None:
                rate = {"value": row["balanced_accuracy"], "interval": row["interval"]}
                rows.append([f"{pipeline}, images of {label}", count(row["n"]), cell(rate), number(row["chance"])])
    if not rows:
        reason = metrics[PIPELINES[0]]["source"].get("reason")
        return (
            [Prose(f"Whether the features tell the source of an image could not be asked: {reason}.")] if reason else []
        )
    text = (
        "Can a linear model on the network's features tell which source an image of one class is from? Well above "
        "chance means that the features hold the source, besides or instead of the tumour."
    )
    head = ["", "images", "balanced accuracy", "chance"]
    return [Prose(text), Table("The source, told from the features, with 95 % intervals", head, rows)]


def robustness(study: Study, metrics: Mapping[str, Any]) -> list[Any]:
    """Accuracy under corruptions at rising strength."""
    tables = {pipeline: metrics[pipeline]["robustness"] for pipeline in order(study)}
    first = next(iter(tables.values()))
    kinds = [name for name, row in first.items() if isinstance(row, dict) and "value" not in row]
    curves, styles, said = {}, {}, []
    for pipeline, table in tables.items():
        values = [table["clean"]["value"], *(row["value"] for row in table["mean"].values())]
        curves[pipeline] = (range(len(values)), values)
        styles[pipeline] = {"color": charts.COLOURS[pipeline], "width": 2}
        said.append(f"{pipeline} falls from {percent(values[0])} to {percent(values[-1])}")
    n = count(first["n"])
    title = f"Mean accuracy over the corruptions by strength, {n} test images"
    alt = f"{title}: {listed(said)}."
    panels: list[Chart] = [
        charts.lines(
            "robustness",
            title,
            curves,
            styles,
            ("strength (0: unchanged)", "accuracy"),
            alt,
            None,
            xaxis={"tickvals": list(range(len(first["mean"]) + 1))},
        )
    ]
    levels: Sequence[str] = list(first["mean"])
    rows: list[list[str | Cell]] = [
        [f"{spoken(kind)}, {pipeline}", cell(table["clean"]), *(cell(table[kind][level]) for level in levels)]
        for kind in kinds
        for pipeline, table in tables.items()
    ]
    table_of = Table(
        "Accuracy under corruptions, with 95 % intervals",
        ["", "unchanged", *(f"strength {level}" for level in levels)],
        rows,
    )
    return [Heading("Noise, motion and the like"), *panels, More("By corruption", [table_of])]
