"""gradcam: explain the classifier's answers to test images, and measure how far the maps can be believed.

Reads   models/{noaug,aug}.keras, data/split/test.csv, data/cropped, data/logits, params `gradcam`, `evaluate`.
Writes  metrics/gradcam.json (how well the maps lie on the outlined lesions of the test set, beside chance;
        faithfulness; randomised weights with a verdict; stability; agreement of the two pipelines), and for the figures
        data/maps/{noaug,aug}/: samples.npz (Grad-CAM, guided backpropagation and Guided Grad-CAM of samples of each
        class, right and wrong predictions), methods.npz (every method, one sample a class), curves.npz (deletion,
        insertion, ROAD), cascade.npz (one sample's maps as the weights are randomised).

What takes many passes is measured on at most `gradcam.images` lesion images; each number has its `n`.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from brain_mri import results
from brain_mri.errors import run
from brain_mri.explanation import faithfulness, localisation, summary
from brain_mri.explanation.maps import displayed, normalise
from brain_mri.explanation.saliency import Explainer
from brain_mri.explanation.summary import CONTROLS, MANY_PASSES, Cases, without
from brain_mri.files import read_arrays, replacing, write_arrays
from brain_mri.images.dataset import groups_of, labels_of, load_images, load_masks, read_samples
from brain_mri.network.machine import set_up
from brain_mri.network.saved import load_for
from brain_mri.params import PIPELINES, Params, load_params

SHOWN = ("guided_backpropagation", "guided_grad_cam")  # in figure 4, after Grad-CAM or the lesion map


def main() -> None:
    params = load_params()
    set_up(params.train.threads)
    classes = params.dataset.classes
    samples = read_samples("data/split/test.csv")
    labels = labels_of(samples, classes)
    images, masks = (load(samples, params.model.image_size) for load in (load_images, load_masks))
    cases = Cases(images, masks, labels, groups_of(samples), targets=labels)
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
    with replacing("data/maps") as folder:
        for pipeline in PIPELINES:
            model, _ = load_for(classes, f"models/{pipeline}.keras")
            explainer = Explainer(model, params.gradcam.named_layer, params.dataset.negative_class)
            predictions = read_arrays(f"data/logits/{pipeline}.npz")["test"].argmax(1)
            explained = replace(cases, targets=targets(params, labels, predictions))
            write_samples(explainer, explained, predictions, folder / pipeline, params)
            table[pipeline] = measure(pipeline, explainer, explained, few, params, folder / pipeline)
            write_cascade(explainer, explained, predictions, params, folder / pipeline)
            of_model = without(explainer.methods, CONTROLS)
            maps[pipeline] = explainer.explain(images[few], labels[few], of_model, params.evaluate.batch_size)
    table["chance"] = summary.chance(masks[outlined])
    table["agreement"] = {"n": len(few), **summary.agree(maps["noaug"], maps["aug"], cases.take(few), params)}
    results.write("metrics/gradcam.json", table)


def targets(params: Params, labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """Return the class whose evidence is explained for each image, int (N,), as `gradcam.target` says."""
    known = {"predicted": predictions, "actual": labels}
    target = params.gradcam.target
    return known[target] if target in known else np.full_like(labels, params.dataset.classes.index(target))


def measure(pipeline: str, explainer: Explainer, cases: Cases, few: np.ndarray, params: Params, folder: Path) -> dict:
    """Return a pipeline's tables and write the curves behind them; `few` are the places of what takes many passes."""
    outlined = np.any(cases.masks, axis=(1, 2))
    quick = without(explainer.methods, MANY_PASSES)
    some, hit = cases.take(few), outlined[few]
    maps = explainer.explain(some.images, some.targets, None, params.evaluate.batch_size)
    table: dict = {"layer": explainer.layer, "map_size": explainer.parts.trunk.output.shape[1:3]}
    table |= summary.localise(explainer, cases.take(outlined), quick, params, pipeline)
    scores = summary.score({method: maps[method][hit] for method in MANY_PASSES}, some.masks[hit])
    table |= summary.tabulate([scores], some.take(hit), params)

    areas, curves = summary.faithful(explainer.model, maps, some, params, pipeline)
    arrays = {name: np.stack(list(lines.values())) for name, lines in curves.items()}
    fractions = {f"{name}_fractions": np.array(values) for name, values in faithfulness.FRACTIONS.items()}
    write_arrays(folder / "curves.npz", {"methods": np.array(list(maps)), **arrays, **fractions})
    randomised = summary.randomise(explainer, maps, some, params, pipeline)
    for verdict in randomised["verdicts"].values():
        print(f"{pipeline}: {verdict['sentence']}")
    return table | {
        "faithfulness": {"n": len(few), **areas},
        "sanity": {"n": len(few), **randomised},
        "stability": {"n": len(few), **summary.stable(explainer, maps, some, params)},
    }


def write_samples(explainer: Explainer, cases: Cases, predictions: np.ndarray, folder: Path, params: Params) -> None:
    """Write maps to look at, 0 to 1: of `gradcam.samples_per_class` samples a class, and by every method of one."""
    classes, outlined = params.dataset.classes, np.any(cases.masks, axis=(1, 2))
    wanted = {
        "samples": (params.gradcam.samples_per_class, (params.model.architecture.explanation, *SHOWN)),
        "methods": (1, explainer.methods),
    }
    for name, (each, methods) in wanted.items():
        places = choose(cases.labels, predictions, outlined, len(classes), each)
        shown = cases.take(places)
        maps = explainer.explain(shown.images, shown.targets, methods)
        arrays = {"methods": np.array(methods), "maps": np.stack([displayed(m, maps[m]) for m in methods])}
        arrays |= {"images": shown.images[..., 0], "masks": shown.masks}
        calls = {"labels": shown.labels, "predictions": predictions[places], "targets": shown.targets}
        detail = {"detail": np.array(first_lesion(shown.labels, predictions[places], shown.masks))}
        write_arrays(folder / f"{name}.npz", arrays | calls | detail)


def write_cascade(explainer: Explainer, cases: Cases, predictions: np.ndarray, params: Params, folder: Path) -> None:
    """Write what becomes of one sample's maps, 0 to 1, as the weights are randomised."""
    place = first_lesion(cases.labels, predictions, cases.masks)
    steps = summary.cascade_maps(explainer, cases.take([place]), params)
    maps = np.stack([[normalise(values[None])[0] for values in maps.values()] for maps in steps.values()])
    arrays = {"steps": np.array(list(steps)), "methods": np.array(list(steps["as learned"])), "maps": maps}
    calls = {"labels": cases.labels[[place]], "predictions": predictions[[place]], "targets": cases.targets[[place]]}
    write_arrays(folder / "cascade.npz", arrays | calls)


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
