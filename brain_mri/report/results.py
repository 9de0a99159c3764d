"""The sections on the results: metrics with intervals, differences, external images, published numbers."""

from typing import Any

from brain_mri.report import charts
from brain_mri.report.blocks import Cell, Heading, Missing, More, Prose, Section, Table
from brain_mri.report.findings import own_part
from brain_mri.report.study import PIPELINES, Study
from brain_mri.report.words import bounds, count, listed, number, signed

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
EXTERNAL = {
    "called_tumour": "tumours called some tumour",
    "called_true_class": "tumours called by their class",
    "accuracy": "accuracy",
}
PARTS = {"clean": "Clean test images", "all": "All test images", "leaked": "Leaked test images"}


def at(table: Any, path: tuple[str, ...]) -> Any:
    """The entry at a path of keys; None where there is none."""
    for key in path:
        table = None if table is None else table.get(key)
    return table


def parts(study: Study) -> list[str]:
    """The parts of the test set that have images; `all` alone where it is the clean part as well."""
    n = {part: study.metrics["noaug"]["test"][part]["n"] for part in PARTS}
    return [part for part in PARTS if n[part] and not (part == "clean" and n["clean"] == n["all"])]


def section(study: Study) -> Section:
    """Both pipelines side by side."""
    blocks: list[Any] = [overview(study)]
    for part in parts(study):
        n = study.metrics["noaug"]["test"][part]["n"]
        blocks.append(Heading(f"{PARTS[part]} ({count(n)})"))
        blocks.append(Prose(study.metrics["comparison"][part]["verdict"]))
        blocks.append(metrics_table(study, part))
        blocks.append(More("By class: precision, recall, F1", [class_table(study, part)]))
    blocks += external(study)
    return Section("results", "Both pipelines side by side", blocks)


def overview(study: Study) -> Any:
    """Accuracy by part and sensitivity by outside source, as one chart."""
    table: dict[str, dict[str, Any]] = {}
    for pipeline in PIPELINES:
        metrics, bounds_of = study.metrics[pipeline], study.metrics["intervals"][pipeline]
        rows = {
            f"accuracy, {part}": {"value": metrics["test"][part]["accuracy"], "interval": bounds_of[part]["accuracy"]}
            for part in parts(study)
        }
        part = own_part(study)
        own = {
            "value": at(metrics, ("test", part, "tumour", "sensitivity")),
            "interval": at(bounds_of, (part, "tumour", "sensitivity")),
        }
        for source, row in (metrics.get("external") or {}).items():
            if row.get("called_tumour") is not None:
                rows.setdefault(f"sensitivity, own {part}", own)
                name = f"sensitivity, external {source}"
                rows[name] = {"value": row["called_tumour"], "interval": bounds_of["external"][source]["called_tumour"]}
        table[pipeline] = rows
    title = "Accuracy by part of the test set"
    if any(name.startswith("sensitivity") for name in table[PIPELINES[0]]):
        title += ", and sensitivity on the study's own and on external images"
    return charts.rates("overview", title, table, note="Marks are the measured values, bars their 95 % intervals.")


def metrics_table(study: Study, part: str) -> Table:
    """Rows of METRICS, columns noaug, aug and their difference."""
    differences = study.metrics["comparison"][part]["aug_minus_noaug"]
    rows: list[list[str | Cell]] = []
    for path, name in METRICS.items():
        cells = [
            Cell(
                number(at(study.metrics[pipeline]["test"][part], path)),
                bounds(at(study.metrics["intervals"][pipeline][part], path)),
            )
            for pipeline in PIPELINES
        ]
        change = at(differences, path) or {}
        cells.append(Cell(signed(change.get("difference")), _signed_bounds(change.get("interval"))))
        rows.append([name, *cells])
    caption = f"{PARTS[part]}: metrics with 95 % intervals"
    return Table(caption, ["", *PIPELINES, "aug minus noaug"], rows)


def _signed_bounds(interval: Any) -> str:
    return "" if interval is None else f"{signed(interval[0])} to {signed(interval[1])}"


def class_table(study: Study, part: str) -> Table:
    rows: list[list[str | Cell]] = []
    for label in study.params.dataset.classes:
        for metric, name in (("precision", "precision"), ("recall", "recall"), ("f1", "F1")):
            path = ("classes", label, metric)
            support = study.metrics["noaug"]["test"][part]["classes"][label]["support"]
            cells = [
                Cell(
                    number(at(study.metrics[pipeline]["test"][part], path)),
                    bounds(at(study.metrics["intervals"][pipeline][part], path)),
                )
                for pipeline in PIPELINES
            ]
            rows.append([f"{label}: {name}", count(support), *cells])
    return Table(f"{PARTS[part]}: by class, with 95 % intervals", ["", "images", "noaug", "aug"], rows)


def external(study: Study) -> list[Any]:
    """The share of outside tumours that is called some tumour, a row a source."""
    sources = study.metrics["noaug"].get("external") or {}
    if not sources:
        return [Heading("External images"), Prose("The study has no external images (params.yaml: external).")]
    rows: list[list[str | Cell]] = []
    for source in sources:
        for key, name in EXTERNAL.items():
            values = {p: study.metrics[p]["external"][source].get(key) for p in PIPELINES}
            if all(value is None for value in values.values()):
                continue
            row = sources[source]
            n = {"accuracy": row["n"], "called_true_class": row.get("n_class_known", 0)}.get(
                key, row.get("n_with_tumour", row["n"])
            )
            cells = [
                Cell(number(value), bounds(study.metrics["intervals"][p]["external"][source].get(key)))
                for p, value in values.items()
            ]
            rows.append([f"{source}: {name}", count(n), count(row["groups"]), *cells])
    out = [f"{count(row['left_out'])} of {source}" for source, row in sources.items() if row.get("left_out")]
    left = f": {listed(out)}" if out else ""
    head = ["", "images", "groups", "noaug", "aug"]
    blocks: list[Any] = [
        Heading("External images"),
        Prose(f"Images from other collections, by source. Copies of images that train or validate are left out{left}."),
        Table("External images: shares with 95 % intervals", head, rows),
    ]
    for source, row in (study.metrics["comparison"].get("external") or {}).items():
        blocks.append(Prose(f"{source}: {row['verdict']}"))
    return blocks


def published(study: Study) -> Section | None:
    """The report's published numbers beside the study's, where the study is the paper's."""
    if not study.params.evaluate.published:
        return None
    rows = study.table("plots/comparison/published.csv")
    if not rows:
        return Section(
            "published",
            "Beside the published tables",
            [Missing("plots/comparison/published.csv has no rows", study.command)],
        )
    body = []
    for row in rows:
        ours = float(row["measured"]) if row["measured"] else None
        theirs = float(row["published"])
        whole = row["metric"].endswith("support")
        shown = [count(int(theirs)), count(int(ours or 0))] if whole else [number(theirs, 4), number(ours, 4)]
        gap = "" if whole or ours is None else signed(ours - theirs)
        body.append([f"{row['pipeline']}: {row['metric'].replace('_', ' ').replace('.', ', ')}", *shown, gap])
    text = "The published numbers are of all test images, leaked ones included, and have no intervals."
    table = Table("Published and measured", ["", "published", "measured", "measured minus published"], body)
    return Section("published", "Beside the published tables", [Prose(text), table])
