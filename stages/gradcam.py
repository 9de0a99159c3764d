"""gradcam: show what the classifier's answer to test images rests on, and measure how far the maps can be believed.

Reads   models/{noaug,aug}.keras, data/split/test.csv, data/cropped, params `gradcam`, `pipeline`, `dataset.negative`.
Writes  plots/gradcam/{noaug,aug}/: detail.png (figure 4: one sample), grid.png (figure 5: all classes, right and wrong
        predictions marked), methods.png (every method, one sample a class), faithfulness.png (deletion, insertion,
        ROAD), cascade.png and cascade_maps.png (the weights randomised); the study's own pipeline once more as
        plots/gradcam/test; metrics/gradcam.json: how well the maps lie on the outlined lesions of the test set, beside
        chance; faithfulness; randomised weights with a verdict; stability; agreement of the two pipelines.

What takes many passes is measured on at most `gradcam.images` lesion images; each number has its `n`.
"""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from brain_mri.errors import run
from brain_mri.explanation import localisation, summary
from brain_mri.explanation.saliency import Explainer, displayed, normalise
from brain_mri.explanation.summary import CONTROLS, MANY_PASSES, Cases, Measure, without
from brain_mri.figures import explanations as figures
from brain_mri.figures.results import PIPELINE_NAMES
from brain_mri.files import replacing, write_json
from brain_mri.images.dataset import groups_of, labels_of, load_images, load_masks, read_samples
from brain_mri.network.batches import predict_logits
from brain_mri.network.machine import set_up
from brain_mri.network.saved import load_for
from brain_mri.params import Params, load_params

PIPELINES = ("noaug", "aug")
SHOWN = ("guided_backpropagation", "guided_grad_cam")  # in figure 4, after Grad-CAM or the lesion map


def main() -> None:
    params = load_params()
    set_up(params.train.threads)
    samples = read_samples("data/split/test.csv")
    labels = labels_of(samples, params.dataset.classes)
    images, masks = (load(samples, params.model.image_size) for load in (load_images, load_masks))
    cases = Cases(images, masks, labels, groups_of(samples), targets=labels)
    how = Measure(params.dataset.classes, params.evaluate.batch_size, params.evaluate.resamples, params.evaluate.seed)
    outlined = np.any(masks, axis=(1, 2))
    few = summary.evenly(labels, outlined, params.gradcam.images)
    table: dict = {
        "target": params.gradcam.target,
        "test_images": len(cases),
        "lesion_images": int(outlined.sum()),
        "tolerance": localisation.TOLERANCE,
        "threshold": localisation.THRESHOLD,
    }
    maps = {}
    with replacing("plots/gradcam") as folder:
        for pipeline in PIPELINES:
            model, _ = load_for(params.dataset.classes, f"models/{pipeline}.keras")
            explainer = Explainer(model, params.gradcam.named_layer, params.dataset.negative_class)
            predictions = predict_logits(model, images, how.batch_size).argmax(1)
            explained = replace(cases, targets=targets(params, labels, predictions))
            draw(pipeline, explainer, explained, predictions, folder / pipeline, params)
            table[pipeline] = measure(pipeline, explainer, explained, few, how, folder / pipeline, params.plots.dpi)
            draw_cascade(pipeline, explainer, explained, predictions, how, folder / pipeline, params)
            of_model = without(explainer.methods, CONTROLS)
            maps[pipeline] = explainer.explain(images[few], labels[few], of_model, how.batch_size)
        shutil.copytree(folder / params.pipeline, folder / "test")
    table["chance"] = summary.chance(masks[outlined])
    table["agreement"] = {"n": len(few), **summary.agree(maps["noaug"], maps["aug"], cases.take(few), how)}
    write_json("metrics/gradcam.json", table)


def targets(params: Params, labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """Return the class whose evidence is explained for each image, int (N,), as `gradcam.target` says."""
    known = {"predicted": predictions, "actual": labels}
    target = params.gradcam.target
    return known[target] if target in known else np.full_like(labels, params.dataset.classes.index(target))


def measure(
    pipeline: str, explainer: Explainer, cases: Cases, few: np.ndarray, how: Measure, folder: Path, dpi: int
) -> dict:
    """Return a pipeline's tables and draw the curves behind them; `few` are the places of what takes many passes."""
    outlined, name = np.any(cases.masks, axis=(1, 2)), PIPELINE_NAMES[pipeline]
    quick = without(explainer.methods, MANY_PASSES)
    some, hit = cases.take(few), outlined[few]
    maps = explainer.explain(some.images, some.targets, None, how.batch_size)
    table: dict = {"layer": explainer.layer, "map_size": explainer.parts.trunk.output.shape[1:3]}
    table |= summary.localise(explainer, cases.take(outlined), quick, how, pipeline)
    scores = summary.score({method: maps[method][hit] for method in MANY_PASSES}, some.masks[hit])
    table |= summary.tabulate([scores], some.take(hit), how)

    faithfulness, curves = summary.faithful(explainer.model, maps, some, how, pipeline)
    figures.curves(curves, summary.curve_fractions(), f"{name}, {len(few)} images", folder / "faithfulness.png", dpi)
    randomised = summary.randomise(explainer, maps, some, how, pipeline)
    for verdict in randomised["verdicts"].values():
        print(f"{pipeline}: {verdict['sentence']}")
    left = {mode: {method: row["left"] for method, row in randomised[mode].items()} for mode in summary.MODES}
    title = f"{name}: weights randomised from the logits down, and a part at a time; {len(few)} images"
    figures.cascade(left, randomised["layers"], randomised["limit"], title, folder / "cascade.png", dpi)
    return table | {
        "faithfulness": {"n": len(few), **faithfulness},
        "sanity": {"n": len(few), **randomised},
        "stability": {"n": len(few), **summary.stable(explainer, maps, some, how)},
    }


def draw(
    pipeline: str, explainer: Explainer, cases: Cases, predictions: np.ndarray, folder: Path, params: Params
) -> None:
    """Draw figures 4 and 5, and every method on one sample a class."""
    classes, each = params.dataset.classes, params.gradcam.samples_per_class
    outlined = np.any(cases.masks, axis=(1, 2))
    chosen = choose(cases.labels, predictions, outlined, len(classes), each)
    shown = cases.take(chosen)
    maps = maps_to_see(explainer, shown, (explainer.offered, *SHOWN))
    grey, said = shown.images[..., 0], predictions[chosen]
    figures.explanation_grid(
        grey, maps[explainer.offered], shown.masks, shown.labels, said, classes, each, folder / "grid.png", params.plots
    )
    detail = first_lesion(shown.labels, said, shown.masks)
    figures.explanation_detail(
        grey[detail],
        {method: values[detail] for method, values in maps.items()},
        shown.masks[detail],
        caption(shown, said, detail, classes),
        folder / "detail.png",
        params.plots,
    )
    one_each = cases.take(one := choose(cases.labels, predictions, outlined, len(classes), 1))
    figures.methods_grid(
        one_each.images[..., 0],
        maps_to_see(explainer, one_each, explainer.methods),
        one_each.masks,
        [caption(one_each, predictions[one], place, classes) for place in range(len(one))],
        folder / "methods.png",
        params.plots,
    )


def draw_cascade(
    pipeline: str,
    explainer: Explainer,
    cases: Cases,
    predictions: np.ndarray,
    how: Measure,
    folder: Path,
    params: Params,
) -> None:
    """Draw what becomes of one sample's maps as the weights are randomised."""
    place = first_lesion(cases.labels, predictions, cases.masks)
    steps = {
        step: {method: normalise(values[None])[0] for method, values in maps.items()}
        for step, maps in summary.cascade_maps(explainer, cases.take([place]), how).items()
    }
    title = f"{PIPELINE_NAMES[pipeline]}: {caption(cases, predictions, place, params.dataset.classes)}"
    figures.cascade_maps(steps, title, folder / "cascade_maps.png", params.plots)


def maps_to_see(explainer: Explainer, cases: Cases, methods: Sequence[str]) -> dict[str, np.ndarray]:
    """Return maps to look at, 0 to 1."""
    maps = explainer.explain(cases.images, cases.targets, methods)
    return {method: displayed(method, values) for method, values in maps.items()}


def caption(cases: Cases, predictions: np.ndarray, place: int, classes: Sequence[str]) -> str:
    """Say of an image what it is, what it is called, and which class is explained."""
    actual, said, target = (classes[values[place]] for values in (cases.labels, predictions, cases.targets))
    return f"actual {actual}, predicted {said}" + (f", explained {target}" if target != said else "")


def choose(labels: np.ndarray, predictions: np.ndarray, outlined: np.ndarray, classes: int, each: int) -> np.ndarray:
    """Return the places of `each` samples a class: half of them wrong predictions where there are as many, those with
    an outlined lesion first, otherwise in the order of the table."""
    chosen: list[int] = []
    for label in range(classes):
        places = np.flatnonzero(labels == label)
        places = places[np.argsort(~outlined[places], kind="stable")]
        right, wrong = (places[(predictions[places] == label) == hit] for hit in (True, False))
        wrong = wrong[: max(each // 2, each - len(right))]
        chosen += [*right[: each - len(wrong)], *wrong]
    return np.array(chosen)


def first_lesion(labels: np.ndarray, predictions: np.ndarray, masks: np.ndarray) -> int:
    """Return the place of the first right prediction with an outlined lesion, or 0 where there is none."""
    return int(np.argmax((labels == predictions) & masks.any((1, 2))))


if __name__ == "__main__":
    run(main)
