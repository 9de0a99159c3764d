"""The section on what the answers rest on: heat maps, and how far they can be believed."""

from collections.abc import Mapping, Sequence
from typing import Any

from brain_mri.report import charts, pictures
from brain_mri.report.blocks import Cell, Chart, Charts, Heading, Missing, More, Pictures, Prose, Section, Table
from brain_mri.report.findings import order
from brain_mri.report.study import PIPELINES, Study
from brain_mri.report.words import cell, count, listed, number, spoken

SCORES = ("pointing_game", "energy_in_mask", "iou", "pixel_average_precision")
CURVES = {
    "deletion": "deletion (lower is better)",
    "insertion": "insertion (higher is better)",
    "road_most_relevant_first": "ROAD, highest first (lower is better)",
    "road_least_relevant_first": "ROAD, lowest first (higher is better)",
}
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
PALETTE = ("#3b82f6", "#d9730d", "#4b9b6e", "#c05299", "#8b6fd6", "#c9a227", "#8b8f98", "#20a4b8")


def section(study: Study) -> Section:
    """Scores beside chance, verdicts, pictures."""
    title = "What the answers rest on: heat maps"
    metrics = study.metrics.get("gradcam")
    if metrics is None:
        return Section(
            "explanations", title, [Missing("metrics/gradcam.json is not there (stage gradcam)", study.command)]
        )
    target = {"predicted": "the class that is predicted", "actual": "the actual class"}
    wanted = str(metrics.get("target", "predicted"))
    blocks: list[Any] = [
        Prose(
            f"The maps explain {target.get(wanted, f'the class {wanted}')}; they are scored on "
            f"{count(metrics['lesion_images'])} test images with an outlined lesion. A heat map is no segmentation, "
            "and a map on the lesion is no proof that the lesion decided."
        ),
        *shown(study),
    ]
    if metrics["lesion_images"]:
        blocks += localisation(metrics)
    if all("sanity" in metrics[pipeline] for pipeline in PIPELINES):
        blocks += sanity(study, metrics)
    if all("faithfulness" in metrics[pipeline] for pipeline in PIPELINES):
        blocks += faithfulness(study, metrics)
    if "agreement" in metrics:
        blocks += agreement(metrics)
    return Section("explanations", title, blocks)


def shown(study: Study) -> list[Any]:
    """Pictures: of real images the detail alone, of the study's own pipeline alone."""
    pipeline = study.params.pipeline
    detail = (
        "One test image with its outlined lesion where there is one, and beside it Grad-CAM, guided backpropagation "
        f"and guided Grad-CAM of {pipeline}."
    )
    found = pictures.explanation(study, pipeline, "detail", detail, f"One image and its maps, {pipeline}")
    if study.real:
        return [Pictures(found)] if found else [Missing("plots/gradcam is not there (stage gradcam)", study.command)]
    for name in order(study):
        alt = (
            f"Grad-CAM of {name} over phantoms of each class; a green title is a right prediction, a red one a wrong "
            "one, a white line the lesion's outline."
        )
        found += pictures.explanation(study, name, "grid", alt, f"Grad-CAM, {name}")
    more = pictures.explanation(
        study,
        pipeline,
        "methods",
        f"Every explanation method of {pipeline} on one phantom of each class.",
        f"All methods, {pipeline}",
    )
    more += pictures.explanation(
        study,
        pipeline,
        "cascade_maps",
        f"The maps of one phantom as the weights of {pipeline} are randomised from the output down, a row a method.",
        f"Maps as the weights are randomised, {pipeline}",
    )
    blocks: list[Any] = [Pictures(found)] if found else []
    return blocks + ([More("More pictures", [Pictures(more)])] if more else [])


def _methods(table: Mapping[str, Any]) -> list[str]:
    return [name for name, row in table.items() if isinstance(row, dict) and "pointing_game" in row]


def localisation(metrics: Mapping[str, Any]) -> list[Any]:
    """How well the maps lie on the lesions, beside chance."""
    methods = _methods(metrics[PIPELINES[0]])
    first = ("lesion_map", "grad_cam")
    ordered = sorted(methods, key=lambda name: first.index(name) if name in first else len(first))
    n = {m: metrics[PIPELINES[0]][m]["pointing_game"]["n"] for m in ordered}
    names = {m: spoken(m) + ("" if n[m] == metrics["lesion_images"] else f" ({n[m]} images)") for m in ordered}
    rates = {p: {names[m]: metrics[p][m]["pointing_game"] for m in ordered} for p in PIPELINES}
    references = {
        f"chance, {spoken(name)}": {names[m]: row["pointing_game"] for m in ordered}
        for name, row in metrics["chance"].items()
        if name != "area" and row["pointing_game"] is not None
    }
    title = "Pointing game by method, beside chance"
    blocks: list[Any] = [charts.rates("pointing", title, rates, references, "share of lesion images")]
    head = ["", *(f"{spoken(score)}, {p}" for score in SCORES for p in PIPELINES)]
    rows: list[list[str | Cell]] = [
        [f"{spoken(m)} ({n[m]} images)"] + [cell(metrics[p][m][score]) for score in SCORES for p in PIPELINES]
        for m in ordered
    ]
    rows += [
        [f"chance: {spoken(name)}", *(number(row[score]) for score in SCORES for _ in PIPELINES)]
        for name, row in metrics["chance"].items()
    ]
    blocks.append(
        More("All scores of all methods", [Table("Scores of the maps with 95 % intervals, beside chance", head, rows)])
    )
    offered = "lesion_map" if "lesion_map" in methods else "grad_cam"
    for key, what in (("pointing_game_by_class", "class"), ("pointing_game_by_size", "size of the lesion")):
        by = {p: metrics[p][offered].get(key) or {} for p in PIPELINES}
        kinds = {name: row for name, row in by[PIPELINES[0]].items() if row["n"]}
        if kinds:
            by_chance = ["chance: share of the image that is lesion"] if "chance" in next(iter(kinds.values())) else []
            lines: list[list[str | Cell]] = [
                [
                    _sized(name, row),
                    *(cell(by[p][name]) for p in PIPELINES),
                    *(number(row["chance"]) for _ in by_chance),
                ]
                for name, row in kinds.items()
            ]
            blocks.append(Table(f"Pointing game of {spoken(offered)} by {what}", ["", *PIPELINES, *by_chance], lines))
    return blocks


def _sized(name: str, row: Mapping[str, Any]) -> str:
    pixels = f", {row['pixels'][0]} to {row['pixels'][1]} pixels" if row.get("pixels") else ""
    return f"{name} ({row['n']} images{pixels})"


def sanity(study: Study, metrics: Mapping[str, Any]) -> list[Any]:
    """Do the maps change when what was learned is destroyed? Verdicts and curves."""
    blocks: list[Any] = [
        Heading("Do the maps depend on what was learned?"),
        Prose(
            "The network's weights are made random from its output down, and the maps compared with the learned "
            "ones. What is left of a map counts from 1, unchanged, to 0, as like as another image's map; below 0 it "
            "is less like that. A method whose maps outlive the weights shows the image, not the network."
        ),
    ]
    blocks.append(Charts([cascade(pipeline, metrics[pipeline]["sanity"]) for pipeline in order(study)]))
    verdicts = {pipeline: metrics[pipeline]["sanity"]["verdicts"] for pipeline in order(study)}
    rows: list[list[str | Cell]] = [
        [spoken(method), *("passes" if verdicts[p][method]["passes"] else "fails" for p in verdicts)]
        for method in verdicts[study.params.pipeline]
    ]
    sentences = [[p, row["sentence"]] for p, table in verdicts.items() for row in table.values()]
    return [
        *blocks,
        Table("Verdicts on the methods", ["", *verdicts], rows),
        More("The verdicts in words", [Table("Verdicts in words", ["pipeline", "verdict"], sentences, words=True)]),
    ]


def cascade(pipeline: str, table: Mapping[str, Any]) -> Chart:
    """What is left of each method's maps as the weights turn random from the output down."""
    steps = ["learned", *table["layers"]]
    curves: dict[str, tuple[Sequence[float], Sequence[float]]] = {
        spoken(method): (range(len(steps)), [1, *row["left"]])
        for method, row in table["cascading"].items()
        if "left" in row
    }
    styles = {
        name: {"color": PALETTE[place % len(PALETTE)], "dash": DASHES[place % len(DASHES)], "width": 2}
        for place, name in enumerate(curves)
    }
    title = f"What is left of the maps as weights turn random, {pipeline}, {table['n']} images"
    ends = [f"{name} {number(values[-1], 2)}" for name, (_, values) in curves.items()]
    alt = f"{title}. With all weights random is left: {listed(ends)}. Limit {table['limit']}."
    rows: list[list[str | Cell]] = [
        [step, *(number(values[place], 2) for _, values in curves.values())] for place, step in enumerate(steps)
    ]
    limit = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": table["limit"], "y1": table["limit"]}
    return charts.lines(
        f"sanity-{pipeline}",
        title,
        curves,
        styles,
        ("random down to this layer", "left of the map"),
        alt,
        Table(title, ["random down to", *curves], rows),
        xaxis={"tickvals": list(range(len(steps))), "ticktext": [charts.safe(step) for step in steps]},
        shapes=[limit | {"line": {"color": charts.GREY, "dash": "dot"}}],
    )


def faithfulness(study: Study, metrics: Mapping[str, Any]) -> list[Any]:
    """Does the answer change with the pixels that the map names?"""
    tables = {pipeline: metrics[pipeline]["faithfulness"] for pipeline in order(study)}
    blocks: list[Any] = [
        Heading("Do the maps name the pixels that decide?"),
        Prose("Areas under the curves of deletion, insertion and ROAD; a random map is the chance level."),
    ]
    for pipeline, table in tables.items():
        methods = [name for name, row in table.items() if isinstance(row, dict)]
        rows: list[list[str | Cell]] = [
            [spoken(method), *(cell(table[method][curve]) for curve in CURVES)] for method in methods
        ]
        caption = f"Faithfulness, {pipeline}, {table['n']} images, with 95 % intervals"
        found = Table(caption, ["", *CURVES.values()], rows)
        blocks.append(found if pipeline == study.params.pipeline else More(f"The same for {pipeline}", [found]))
    alts = [
        (p, f"Curves of deletion, insertion and ROAD by method for {p}; their areas stand in the tables above.")
        for p in tables
    ]
    drawn = [
        picture for p, alt in alts for picture in pictures.explanation(study, p, "faithfulness", alt, f"Curves, {p}")
    ]
    return blocks + ([More("The curves behind the areas", [Pictures(drawn)])] if drawn else [])


def agreement(metrics: Mapping[str, Any]) -> list[Any]:
    """How alike the two pipelines' maps of one image are, and how stable each is."""
    table = metrics["agreement"]
    measures = ("rank_correlation", "ssim", "hog_correlation")
    rows: list[list[str | Cell]] = []
    for method, row in table.items():
        if isinstance(row, dict):
            rows.append(
                [spoken(method)] + [c for m in measures for c in (cell(row[m]), Cell(number(row["other_image"][m])))]
            )
    head = ["", *(text for m in measures for text in (spoken(m), "of another image"))]
    found = [Table(f"Likeness of the two pipelines' maps, {table['n']} images", head, rows)]
    for pipeline in PIPELINES:
        steady = metrics[pipeline].get("stability")
        if steady:
            lines: list[list[str | Cell]] = [
                [spoken(method), *(cell(row[change][m]) for change in ("shift", "noise") for m in measures)]
                for method, row in steady.items()
                if isinstance(row, dict)
            ]
            names = ["", *(f"{change}, {spoken(m)}" for change in ("shift", "noise") for m in measures)]
            found.append(
                Table(f"Likeness under a small shift and faint noise, {pipeline}, {steady['n']} images", names, lines)
            )
    return [More("Agreement of the pipelines' maps, and stability", found)]
