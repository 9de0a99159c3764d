"""The section on what the answers rest on: heat maps, and how far they can be believed."""

from collections.abc import Iterator, Mapping
from typing import Any

from brain_mri.report import charts
from brain_mri.report.blocks import Chart, Charts, Heading, More, Picture, Pictures, Table
from brain_mri.report.pictures import embed
from brain_mri.report.study import PIPELINES, Study
from brain_mri.report.words import listed, number, readable

SCORES = ("pointing_game", "energy_in_mask", "iou", "pixel_average_precision")
LIKENESS = ("rank_correlation", "ssim", "hog_correlation")
CHANGES = ("shift", "noise")
CURVES = {
    "deletion": "deletion (lower is better)",
    "insertion": "insertion (higher is better)",
    "road_most_relevant_first": "ROAD, highest first (lower is better)",
    "road_least_relevant_first": "ROAD, lowest first (higher is better)",
}
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
PALETTE = ("#3b82f6", "#d9730d", "#4b9b6e", "#c05299", "#8b6fd6", "#c9a227", "#8b8f98", "#20a4b8")


def section(study: Study) -> Iterator[Any]:
    """Scores beside chance, verdicts, pictures."""
    metrics = study.metrics["gradcam"]
    target = metrics["target"]
    words = {"predicted": "the class that is predicted", "actual": "the actual class"}
    yield (
        f"The maps explain {words.get(target, f'the class {target}')}; they are scored on "
        f"{metrics['lesion_images']:,} test images with an outlined lesion. A heat map is no segmentation, and a map "
        "on the lesion is no proof that the lesion decided."
    )
    yield from pictures(study)
    if metrics["lesion_images"]:
        yield from localisation(metrics)
    own_first = {pipeline: metrics[pipeline] for pipeline in study.order}
    yield from sanity({pipeline: table["sanity"] for pipeline, table in own_first.items()})
    yield from faithfulness(study, {pipeline: table["faithfulness"] for pipeline, table in own_first.items()})
    yield More("Agreement of the pipelines' maps, and stability", [*agreement(metrics)])


def methods(table: Mapping[str, Any]) -> dict[str, Any]:
    """The rows of a table that are of a method, or of another kind of map."""
    fixed = ("n", "layer", "map_size", "faithfulness", "sanity", "stability")
    return {name: row for name, row in table.items() if name not in fixed}


def pictures(study: Study) -> Iterator[Any]:
    """Pictures: of real images the detail alone, of the study's own pipeline alone."""
    own = study.params.pipeline

    def picture(pipeline: str, name: str, alt: str, caption: str) -> list[Picture]:
        return embed(study, f"plots/gradcam/{pipeline}/{name}.png", alt, f"{caption}, {pipeline}")

    alt = "One test image with its outlined lesion where there is one, and beside it Grad-CAM, guided backpropagation "
    found = picture(own, "detail", f"{alt}and guided Grad-CAM of {own}.", "One image and its maps")
    more = []
    if not study.real:
        for name in study.order:
            alt = f"Grad-CAM of {name} over phantoms of each class; a green title is a right prediction, a red one a "
            found += picture(name, "grid", f"{alt}wrong one, a white line the lesion's outline.", "Grad-CAM")
        alt = f"Every explanation method of {own} on one phantom of each class."
        more = picture(own, "methods", alt, "All methods")
        alt = f"The maps of one phantom as the weights of {own} are randomised from the output down, a row a method."
        more += picture(own, "cascade_maps", alt, "Maps as the weights are randomised")
    yield Pictures(found) if found else study.missing("plots/gradcam is not there (stage figures)")
    if more:
        yield More("More pictures", [Pictures(more)])


def localisation(metrics: Mapping[str, Any]) -> Iterator[Any]:
    """How well the maps lie on the lesions, beside chance."""
    tables = {pipeline: methods(metrics[pipeline]) for pipeline in PIPELINES}
    offered = "lesion_map" if "lesion_map" in tables["noaug"] else "grad_cam"
    first = ("lesion_map", "grad_cam")
    ordered = sorted(tables["noaug"], key=lambda name: first.index(name) if name in first else len(first))
    n = {method: tables["noaug"][method]["pointing_game"]["n"] for method in ordered}
    names = {m: readable(m) + ("" if n[m] == metrics["lesion_images"] else f" ({n[m]} images)") for m in ordered}
    rates = {p: {names[m]: table[m]["pointing_game"] for m in ordered} for p, table in tables.items()}
    references = {
        f"chance, {readable(name)}": dict.fromkeys(names.values(), row["pointing_game"])
        for name, row in metrics["chance"].items()
        if name != "area"
    }
    title = "Pointing game by method, beside chance"
    yield charts.rates("pointing", title, rates, references, "share of lesion images")
    rows = [
        [f"{readable(m)} ({n[m]} images)", *(tables[p][m][score] for score in SCORES for p in PIPELINES)]
        for m in ordered
    ]
    rows += [
        [f"chance: {readable(name)}", *(row[score] for score in SCORES for _ in PIPELINES)]
        for name, row in metrics["chance"].items()
    ]
    head = ["", *(f"{readable(score)}, {pipeline}" for score in SCORES for pipeline in PIPELINES)]
    caption = "Scores of the maps with 95 % intervals, beside chance"
    yield More("All scores of all methods", [Table(caption, head, rows)])
    for key, kind in (("pointing_game_by_class", "class"), ("pointing_game_by_size", "size of the lesion")):
        rows = []
        for name, row in tables["noaug"][offered][key].items():
            if row["n"]:
                pixels = ", {} to {} pixels".format(*row["pixels"]) if "pixels" in row else ""
                found = [tables[pipeline][offered][key][name] for pipeline in PIPELINES]
                rows.append([f"{name} ({row['n']} images{pixels})", *found, row["chance"]])
        head = ["", *PIPELINES, "chance: share of the image that is lesion"]
        yield Table(f"Pointing game of {readable(offered)} by {kind}", head, rows)


def sanity(tables: Mapping[str, Any]) -> Iterator[Any]:
    """Do the maps change when what was learned is destroyed? Curves and verdicts."""
    yield Heading("Do the maps depend on what was learned?")
    yield (
        "The network's weights are made random from its output down, and the maps compared with the learned ones. What "
        "is left of a map counts from 1, unchanged, to 0, as like as another image's map; below 0 it is less like "
        "that. A method whose maps outlive the weights shows the image, not the network."
    )
    yield Charts([cascade(pipeline, table) for pipeline, table in tables.items()])
    verdicts = {pipeline: table["verdicts"] for pipeline, table in tables.items()}
    rows = [
        [readable(method), *("passes" if table[method]["passes"] else "fails" for table in verdicts.values())]
        for method in next(iter(verdicts.values()))
    ]
    yield Table("Verdicts on the methods", ["", *verdicts], rows)
    rows = [[p, row["sentence"]] for p, table in verdicts.items() for row in table.values()]
    yield More("The verdicts in words", [Table("Verdicts in words", ["pipeline", "verdict"], rows, words=True)])


def cascade(pipeline: str, table: Mapping[str, Any]) -> Chart:
    """What is left of each method's maps as the weights turn random from the output down."""
    steps = ["learned", *table["layers"]]
    curves: dict[str, charts.Curve] = {}
    for place, (method, row) in enumerate(table["cascading"].items()):
        line = {"color": PALETTE[place % len(PALETTE)], "dash": DASHES[place % len(DASHES)], "width": 2}
        curves[readable(method)] = (range(len(steps)), [1, *row["left"]], line)
    title = f"What is left of the maps as weights turn random, {pipeline}, {table['n']} images"
    ends = listed([f"{name} {number(y[-1], 2)}" for name, (_, y, _) in curves.items()])
    alt = f"{title}. With all weights random is left: {ends}. Limit {table['limit']}."
    limit = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": table["limit"], "y1": table["limit"]}
    limit["line"] = {"color": charts.GREY, "dash": "dot"}
    axes = ("random down to this layer", "left of the map")
    return charts.lines(f"sanity-{pipeline}", title, curves, axes, alt, steps, shapes=[limit])


def faithfulness(study: Study, tables: Mapping[str, Any]) -> Iterator[Any]:
    """Does the answer change with the pixels that the map names?"""
    yield Heading("Do the maps name the pixels that decide?")
    yield "Areas under the curves of deletion, insertion and ROAD; a random map is the chance level."
    drawn = []
    for pipeline, table in tables.items():
        rows = [[readable(method), *(row[curve] for curve in CURVES)] for method, row in methods(table).items()]
        caption = f"Faithfulness, {pipeline}, {table['n']} images, with 95 % intervals"
        found = Table(caption, ["", *CURVES.values()], rows)
        yield found if pipeline == study.params.pipeline else More(f"The same for {pipeline}", [found])
        alt = f"Curves of deletion, insertion and ROAD by method for {pipeline}; their areas stand in the tables above."
        drawn += embed(study, f"plots/gradcam/{pipeline}/faithfulness.png", alt, f"Curves, {pipeline}")
    if drawn:
        yield More("The curves behind the areas", [Pictures(drawn)])


def agreement(metrics: Mapping[str, Any]) -> Iterator[Table]:
    """How alike the two pipelines' maps of one image are, and how stable each is."""
    table = metrics["agreement"]
    rows = [
        [readable(method), *(cell for m in LIKENESS for cell in (row[m], row["other_image"][m]))]
        for method, row in methods(table).items()
    ]
    head = ["", *(text for m in LIKENESS for text in (readable(m), "of another image"))]
    yield Table(f"Likeness of the two pipelines' maps, {table['n']} images", head, rows)
    for pipeline in PIPELINES:
        table = metrics[pipeline]["stability"]
        rows = [
            [readable(method), *(row[change][m] for change in CHANGES for m in LIKENESS)]
            for method, row in methods(table).items()
        ]
        head = ["", *(f"{change}, {readable(m)}" for change in CHANGES for m in LIKENESS)]
        yield Table(f"Likeness under a small shift and faint noise, {pipeline}, {table['n']} images", head, rows)
