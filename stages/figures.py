"""figures: draw what the other stages found. No number is computed here that another stage has measured.

Reads   the tables and arrays that the stages leave in data, metrics and plots/history, params `plots`, `crop`,
        `gradcam.samples_per_class`, `evaluate.published`.
Writes  plots/*.png: crop_steps (figure 1 of the paper), resolutions, copies and copy_pairs (the audit),
        learning_curves (figure 2), confusion_{noaug,aug} (figure 3), by_class (Tables III and IV), calibration,
        selective, errors, probes, probe_examples, robustness; plots/gradcam/{noaug,aug}: detail (figure 4: one
        sample), grid (figure 5: all classes, right and wrong predictions marked), methods, faithfulness, cascade and
        cascade_maps.

Pictures are kept under version control, so patients' images are few: two of each kind of error, phantoms eight.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from scipy.special import softmax

from brain_mri import results
from brain_mri.decoding.decode import read_grey
from brain_mri.errors import UserError, run
from brain_mri.evaluation import calibration, errors, published, selective
from brain_mri.figures import data, evaluation, explanations, probing
from brain_mri.figures.evaluation import PIPELINE_NAMES
from brain_mri.files import read_arrays, read_csv, replacing
from brain_mri.images.badimage import Limits
from brain_mri.images.crop import cut_out, find_head
from brain_mri.images.dataset import Sample, labels_of, load_images, read_records, read_samples
from brain_mri.params import PIPELINES, Params, load_params
from brain_mri.statistics.metrics import confusion_matrix

SIDE = 200  # pixels: of an image among the errors and the copies


def main() -> None:
    params = load_params()
    draw_data(params)
    draw_copies(params)
    draw_results(params)
    draw_errors(params)
    draw_probes(params)
    with replacing("plots/gradcam") as folder:
        for pipeline in PIPELINES:
            draw_explanations(pipeline, folder / pipeline, params)


def draw_data(params: Params) -> None:
    """Figure 1, a head of each class on its way through the crop, and the sizes of all images before and after it."""
    sizes = read_csv("data/sizes.csv")
    labels = {row["path"]: row["label"] for row in read_csv("data/raw.csv")}
    limits = Limits(params.crop.min_side, params.crop.max_pixels)
    steps = {}
    for label in params.dataset.classes:
        path = next((row["path"] for row in sizes if labels[row["path"]] == label), None)
        if path is None:
            raise UserError(f"data/sizes.csv: no image of {label}, which dataset.classes names; run `dvc repro`")
        grey = read_grey(Path("data/raw") / path, limits)
        head = find_head(grey, params.crop)
        steps[label] = head, cut_out(head, params.crop)
    data.crop_steps(steps, params.plots.dpi)
    before, after = ([(int(row[f"{kind}height"]), int(row[f"{kind}width"])) for row in sizes] for kind in ("", "cut_"))
    data.resolutions(before, after, params.crop.size, params.plots.dpi)


def draw_copies(params: Params) -> None:
    """What the audit counted, and for each class a pair from Training and Testing, a mirrored or turned one if any."""
    data.copies(results.read("metrics/split.json", results.Split).audit, params.plots.dpi)
    samples = {record.path: Sample(**vars(record), group="") for record in read_records("data/cropped.csv")}
    pairs = read_csv("data/duplicates.csv")
    pairs.sort(key=lambda row: (row["orientation"] == "identity", float(row["score"])))
    examples: dict[str, tuple] = {}
    for row in pairs:
        both = [samples[row[name]] for name in ("first", "second")]
        label = both[0].label
        if label not in examples and {sample.part for sample in both} == {"Training", "Testing"}:
            caption = f"{label}: {row['orientation']}, {float(row['score']):.3f}"
            examples[label] = (*load_images(both, SIDE)[..., 0], caption)
    data.copy_pairs([examples[label] for label in sorted(examples)], params.plots.dpi)


def draw_results(params: Params) -> None:
    """Figures 2 and 3, Tables III and IV, reliability and selective prediction, of both pipelines."""
    dpi, classes = params.plots.dpi, params.dataset.classes
    evaluation.learning_curves({name: read_csv(f"plots/history/{name}.csv") for name in PIPELINES}, dpi)
    labels = labels_of(read_samples("data/split/test.csv"), classes)
    diagrams, curves = {}, {}
    for pipeline in PIPELINES:
        outputs = read_arrays(f"data/logits/{pipeline}.npz")
        matrix = confusion_matrix(labels, outputs["test"].argmax(1), len(classes))
        path = f"plots/confusion_{pipeline}.png"
        evaluation.confusion(matrix, classes, PIPELINE_NAMES[pipeline], path, params.plots.colormap, dpi)
        before = softmax(outputs["test"], axis=1)
        after = calibration.apply_temperature(outputs["test"], float(outputs["temperature"]))
        edges = calibration.equal_width_edges()
        diagrams[pipeline] = [calibration.reliability_diagram(labels, shares, edges) for shares in (before, after)]
        curves[pipeline] = selective.risk_coverage(labels, after)
    tables = {name: results.read(f"metrics/{name}.json", results.Evaluation) for name in PIPELINES}
    measured = {name: table.test.all.classes or {} for name, table in tables.items()}
    intervals = results.read("metrics/intervals.json", results.Both[results.Intervals])
    bounds = {name: getattr(intervals, name).all.classes or {} for name in PIPELINES}
    evaluation.by_class(measured, bounds, published.CLASSES if params.evaluate.published else {}, dpi)
    evaluation.calibration(diagrams, dpi)
    evaluation.selective(curves, dpi)


def draw_errors(params: Params) -> None:
    """The study's own pipeline's most confident errors and least sure right answers, and the suspected labels."""
    samples = {s.path: s for name in ("val", "test") for s in read_samples(f"data/split/{name}.csv")}
    pictures = {
        kind: (rows, load_images([samples[row["image"]] for row in rows], SIDE)[..., 0])
        for kind, rows in choose_errors(params).items()
    }
    evaluation.errors(pictures, errors_shown(params), params.plots.dpi)


def choose_errors(params: Params) -> dict[str, list[dict[str, str]]]:
    """Return the rows of data/errors to show by kind; of an image and its copies one, where it comes first."""
    groups = {s.path: s.group for name in ("val", "test") for s in read_samples(f"data/split/{name}.csv")}
    rows = [row for row in read_csv("data/errors/errors.csv") if row["pipeline"] == params.pipeline]
    ranked = {f"{kind} ({params.pipeline})": [row for row in rows if row["kind"] == kind] for kind in errors.KINDS}
    ranked["suspected label (both)"] = read_csv("data/errors/label_suspects.csv")
    drawn: set[str] = set()
    chosen: dict[str, list[dict[str, str]]] = {kind: [] for kind in ranked}
    for kind, candidates in ranked.items():
        for row in candidates:
            group = groups[row["image"]]
            if group not in drawn and len(chosen[kind]) < errors_shown(params):
                drawn.add(group)
                chosen[kind].append(row)
    return chosen


def errors_shown(params: Params) -> int:
    return 8 if params.dataset.source == "phantom" else 2


def draw_probes(params: Params) -> None:
    """The shortcut probes, what they showed the networks, and accuracy under corruptions."""
    probed = results.read("metrics/probe.json", results.Probe)
    tables = {"noaug": probed.noaug, "aug": probed.aug}
    probing.probes(tables, params.plots.dpi)
    probing.robustness({name: table.robustness for name, table in tables.items()}, params.plots.dpi)
    probing.probe_examples(read_arrays("data/probed/examples.npz"), params.plots.dpi)


def draw_explanations(pipeline: str, folder: Path, params: Params) -> None:
    """Figures 4 and 5, every method on one sample a class, and how far the maps can be believed."""
    classes, style, name = params.dataset.classes, params.plots, PIPELINE_NAMES[pipeline]
    kinds = ("samples", "methods", "curves", "cascade")
    samples, methods, curves, cascade = (read_arrays(f"data/maps/{pipeline}/{kind}.npz") for kind in kinds)
    calls = samples["labels"], samples["predictions"]
    grid = samples["images"], samples["maps"][0], samples["masks"], *calls
    explanations.explanation_grid(*grid, classes, params.gradcam.samples_per_class, folder / "grid.png", style)
    place = int(samples["detail"])
    maps = dict(zip(samples["methods"].tolist(), samples["maps"][:, place], strict=True))
    title = captions(samples, classes)[place]
    detail = samples["images"][place], maps, samples["masks"][place], title
    explanations.explanation_detail(*detail, folder / "detail.png", style)
    maps = dict(zip(methods["methods"].tolist(), methods["maps"], strict=True))
    explanations.methods_grid(
        methods["images"], maps, methods["masks"], captions(methods, classes), folder / "methods.png", style
    )

    measured = getattr(results.read("metrics/gradcam.json", results.Gradcam), pipeline)
    title = f"{name}, {measured.faithfulness.n} images"
    explanations.curves(curves, title, folder / "faithfulness.png", style.dpi)
    title = f"{name}: weights randomised from the logits down, and a part at a time; {measured.sanity.n} images"
    explanations.cascade(measured.sanity, title, folder / "cascade.png", style.dpi)
    title = f"{name}: {captions(cascade, classes)[0]}"
    explanations.cascade_maps(cascade, title, folder / "cascade_maps.png", style)


def captions(shown: Mapping[str, np.ndarray], classes: list[str]) -> list[str]:
    """Say of each image what it is, what it is called, and which class is explained."""
    rows = zip(*(shown[key].tolist() for key in ("labels", "predictions", "targets")), strict=True)
    return [
        f"actual {classes[label]}, predicted {classes[prediction]}"
        + (f", explained {classes[target]}" if target != prediction else "")
        for label, prediction, target in rows
    ]


if __name__ == "__main__":
    run(main)
