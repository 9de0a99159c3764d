"""The section on shortcuts and robustness: is it the tumour that is seen, and what do noise and the like do?"""

from collections.abc import Iterator, Mapping
from typing import Any

from brain_mri.report import charts
from brain_mri.report.blocks import Heading, More, Pictures, Table
from brain_mri.report.pictures import embed
from brain_mri.report.study import PIPELINES, Study
from brain_mri.report.words import listed, percent, readable

PROBES = {
    "inpainted": "lesion inpainted",
    "mirrored": "lesion covered by the other side",
    "border_only": "border and background alone",
    "histogram_only": "shuffled pixels alone",
    "box_only": "box around the lesion alone",
}


def section(study: Study) -> Iterator[Any]:
    """Is it the tumour that the classifier sees, and what do noise, motion and the like do to it?"""
    metrics = study.metrics["probe"]
    for pipeline in study.order:
        yield metrics[pipeline]["verdict"]
    yield from changed(metrics)
    yield from moved(study, metrics)
    yield from sources(metrics)
    if not study.real:
        alt = "Phantoms of each class as the probes change them, and what each pipeline calls them; green is right."
        if pictures := embed(study, "plots/probe_examples.png", alt, "What the probes do"):
            yield More("What the probes do, in pictures", [Pictures(pictures)])
    yield Heading("Noise, motion and the like")
    yield from robustness({pipeline: metrics[pipeline]["robustness"] for pipeline in study.order})


def changed(metrics: Mapping[str, Any]) -> Iterator[Any]:
    """Right tumour calls that stay when the lesion is hidden, or shown alone."""
    tables = {pipeline: metrics[pipeline]["probes"] for pipeline in PIPELINES}
    rates = {
        pipeline: {PROBES[probe]: row["kept"] for probe, row in table.items() if row["n"]}
        for pipeline, table in tables.items()
    }
    if not any(rates.values()):
        reasons = {row["reason"] for row in tables["noaug"].values()}
        yield f"The probes found nothing to count: {listed(sorted(reasons))}."
        return
    ignoring = {
        f"a classifier that ignores the lesion ({pipeline})": {
            name: rate["if_lesion_ignored"] for name, rate in table.items() if rate["if_lesion_ignored"] is not None
        }
        for pipeline, table in rates.items()
    }
    title = "Right tumour calls that stay"
    note = "Who sees the tumour keeps few calls where the lesion is hidden, and most where it alone is shown."
    yield charts.rates("probes", title, rates, ignoring, "share of right tumour calls", note)
    rows = []
    for probe, table in tables["noaug"].items():
        for label in table["by_class"]:
            found = [tables[pipeline][probe]["by_class"][label] for pipeline in PIPELINES]
            rows.append([f"{PROBES[probe]}: {label}", *(cell for row in found for cell in (row["n"], row.get("kept")))])
    head = ["", *(f"{pipeline}, {what}" for pipeline in PIPELINES for what in ("calls", "stay"))]
    yield More("By class", [Table(f"{title}, by class, with 95 % intervals", head, rows)])


def moved(study: Study, metrics: Mapping[str, Any]) -> Iterator[Any]:
    """Lesions moved into heads without one."""
    found = {pipeline: metrics[pipeline]["transplant"] for pipeline in study.order}
    rows = [
        [name, row["n"], row["lesion"], row["sham"], "< 0.001" if row["p_value"] < 0.001 else row["p_value"]]
        for name, row in found.items()
        if row["n"]
    ]
    if not rows:
        yield f"No lesion was moved: {found[study.params.pipeline]['reason']}."
        return
    caption = "Lesions moved into heads without one: right calls that turn into the lesion's class, with 95 % intervals"
    yield Table(caption, ["", "right calls", "with the lesion", "with a sham", "p (McNemar test)"], rows)


def sources(metrics: Mapping[str, Any]) -> Iterator[Any]:
    """Whether the features tell where an image of one class comes from."""
    found = {
        f"{pipeline}, images of {label}": row
        for pipeline in PIPELINES
        for label, row in metrics[pipeline]["source"].items()
        if label not in ("n", "reason")
    }
    rows = [
        [name, row["n"], {"value": row["balanced_accuracy"], "interval": row["interval"]}, row["chance"]]
        for name, row in found.items()
        if row["balanced_accuracy"] is not None
    ]
    if not rows:
        reasons = {row["reason"] for row in [metrics["noaug"]["source"], *found.values()] if "reason" in row}
        yield f"Whether the features tell the source of an image could not be asked: {listed(sorted(reasons))}."
        return
    yield (
        "Can a linear model on the network's features tell which source an image of one class is from? Well above "
        "chance means that the features hold the source, besides or instead of the tumour."
    )
    head = ["", "images", "balanced accuracy", "chance"]
    yield Table("The source, told from the features, with 95 % intervals", head, rows)


def robustness(tables: Mapping[str, Mapping[str, Any]]) -> Iterator[Any]:
    """Accuracy under corruptions at rising strength."""
    first = next(iter(tables.values()))
    levels = list(first["mean"])
    curves: dict[str, charts.Curve] = {}
    for pipeline, table in tables.items():
        values = [table["clean"]["value"], *(table["mean"][level]["value"] for level in levels)]
        curves[pipeline] = (range(len(values)), values, {"color": charts.COLOURS[pipeline], "width": 2})
    title = f"Mean accuracy over the corruptions by strength, {first['n']:,} test images"
    falls = [f"{name} falls from {percent(y[0])} to {percent(y[-1])}" for name, (_, y, _) in curves.items()]
    axes = ("strength (0: unchanged)", "accuracy")
    yield charts.lines("robustness", title, curves, axes, f"{title}: {listed(falls)}.", ticks=["0", *levels])
    rows = [
        [f"{readable(kind)}, {pipeline}", table["clean"], *(table[kind][level] for level in levels)]
        for kind in first
        if kind not in ("n", "clean")
        for pipeline, table in tables.items()
    ]
    head = ["", "unchanged", *(f"strength {level}" for level in levels)]
    yield More("By corruption", [Table("Accuracy under corruptions, with 95 % intervals", head, rows)])
