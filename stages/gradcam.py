"""gradcam: show what the predicted class of test images rests on.

Reads   models/{noaug,aug}.keras, data/split/test.csv, data/cropped, params `gradcam`, `pipeline`.
Writes  plots/gradcam/{noaug,aug}/detail.png (figure 4: one sample, all methods), grid.png (figure 5: all classes, right
        and wrong predictions marked), and the study's own pipeline once more as plots/gradcam/test;
        metrics/gradcam.json: how well the maps lie on the outlined lesions of the test set, beside chance.
"""

from pathlib import Path

import numpy as np

from core.evaluation.bootstrap import mean_interval
from core.explanation import localisation
from core.explanation.saliency import Explainer, importance, normalise
from core.figures import explanations as figures
from core.files import progress, replacing, run, write_json
from core.images.dataset import groups_of, labels_of, load_images, load_masks, read_samples
from core.network.model import load_for
from core.network.training import predict_logits, set_up
from core.params import Params, load_params

PIPELINES = ("noaug", "aug")
SHOWN = ("grad_cam", "guided_backpropagation", "guided_grad_cam")
SCORED = ("gradient", "grad_cam_pp", *SHOWN)


def main() -> None:
    params = load_params()
    set_up(params.train.threads)
    samples = read_samples("data/split/test.csv")
    labels = labels_of(samples, params.dataset.classes)
    images = load_images(samples, params.model.image_size)
    masks = load_masks(samples, params.model.image_size)
    groups = groups_of(samples)
    with replacing("plots/gradcam") as folder:
        scored = {
            pipeline: explain_pipeline(pipeline, folder, images, labels, masks, groups, params)
            for pipeline in progress(PIPELINES, "gradcam")
        }
    outlined = np.any(masks, axis=(1, 2))
    by_chance = localisation.chance(masks[outlined]) if outlined.any() else {}
    chance = {name: {score: float(values.mean()) for score, values in rows.items()} for name, rows in by_chance.items()}
    write_json("metrics/gradcam.json", {"lesion_images": int(outlined.sum()), **scored, "chance": chance})


def explain_pipeline(
    pipeline: str,
    folder: Path,
    images: np.ndarray,
    labels: np.ndarray,
    masks: np.ndarray,
    groups: np.ndarray,
    params: Params,
) -> dict:
    """Draw a pipeline's figures and return the scores of its maps on the images with an outlined lesion."""
    classes, each = params.dataset.classes, params.gradcam.samples_per_class
    model, _ = load_for(classes, f"models/{pipeline}.keras")
    predictions = predict_logits(model, images, params.evaluate.batch_size).argmax(1)
    explainer = Explainer(model, None if params.gradcam.layer == "last" else params.gradcam.layer)

    outlined = np.any(masks, axis=(1, 2))
    chosen = choose(labels, predictions, outlined, len(classes), each)
    maps = explainer.explain(images[chosen], predictions[chosen], SHOWN)
    shown = {method: normalise(importance(values)) for method, values in maps.items()}
    for name in [pipeline, "test"] if pipeline == params.pipeline else [pipeline]:
        figures.explanation_grid(
            images[chosen, :, :, 0],
            shown["grad_cam"],
            masks[chosen],
            labels[chosen],
            predictions[chosen],
            classes,
            each,
            folder / name / "grid.png",
            params.plots,
        )
        detail = first_lesion(labels[chosen], predictions[chosen], masks[chosen])
        place = chosen[detail]
        title = f"actual {classes[labels[place]]}, predicted {classes[predictions[place]]}"
        detail_maps = {method: values[detail] for method, values in shown.items()}
        figures.explanation_detail(
            images[place, :, :, 0], detail_maps, masks[place], title, folder / name / "detail.png", params.plots
        )
    at = np.flatnonzero(outlined)
    return score(explainer, images[at], predictions[at], labels[at], masks[at], groups[at], params) if len(at) else {}


def score(
    explainer: Explainer,
    images: np.ndarray,
    predictions: np.ndarray,
    labels: np.ndarray,
    masks: np.ndarray,
    groups: np.ndarray,
    params: Params,
) -> dict:
    """Score the maps of the predicted class on lesions: means with 95 % intervals, Grad-CAM's pointing by class too."""
    maps = explainer.explain(images, predictions, SCORED, params.evaluate.batch_size)
    table: dict = {"layer": explainer.layer}
    draws = {"resamples": params.evaluate.resamples, "seed": params.evaluate.seed}
    for method, values in maps.items():
        scores = localisation.scores(importance(values), masks)
        table[method] = {name: mean_interval(each, groups, **draws) for name, each in scores.items()}
        if method == "grad_cam":
            hits = scores["pointing_game"]
            table[method]["pointing_game_by_class"] = {
                name: mean_interval(hits[labels == place], groups[labels == place], **draws)
                for place, name in enumerate(params.dataset.classes)
                if (labels == place).any()
            }
    return table


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
