"""The tables of the explanations: how well the maps lie on lesions, and how far they can be believed.

Every function returns plain dictionaries for JSON. A mean has `n`, `value` and a 95 % `interval` drawn by group; where
there is no image, n is 0 and the others are None.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from brain_mri.explanation import faithfulness, localisation, sanity
from brain_mri.explanation.maps import LESION_MAP, importance
from brain_mri.explanation.saliency import Explainer
from brain_mri.files import progress
from brain_mri.network import keras  # loaded without TensorFlow's messages
from brain_mri.params import Params
from brain_mri.statistics.intervals import mean_interval

CONTROLS = ("sobel", "random")  # they know nothing of the model, so nothing is asked of them about it
MANY_PASSES = ("integrated_gradients",)
# The verdict is the cascade's; the other mode is a picture of which layers count, and leaves out what takes long.
MODES = {"cascading": CONTROLS, "independent": (*CONTROLS, *MANY_PASSES)}  # the methods that each leaves out
BLOCK = 64  # images whose maps are in memory at once; not a batch size, because random maps are drawn by block
STEPS, SEEDS = 5, (0, 1)  # of weight randomisation
SHIFT, NOISE = 4, 2.0  # pixels, grey levels

Scores = Mapping[str, Mapping[str, np.ndarray]]  # method -> score -> (N,)


@dataclass(frozen=True)
class Cases:
    """Images to explain: uint8 (N, S, S, 1), with masks, bool (N, S, S); the others are int (N,)."""

    images: np.ndarray
    masks: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    targets: np.ndarray  # the class whose evidence is shown

    def take(self, places: Any) -> "Cases":
        """Return the images at `places`, an index array, a slice or a bool array."""
        return Cases(*(part[places] for part in vars(self).values()))

    def __len__(self) -> int:
        return len(self.images)


def mean(values: np.ndarray, groups: np.ndarray, params: Params) -> dict[str, Any]:
    """Mean and interval of values in 0..1, (N,)."""
    return mean_interval(values, groups, params.evaluate.resamples, params.evaluate.seed)


def signed_mean(values: np.ndarray, groups: np.ndarray, params: Params) -> dict[str, Any]:
    """Mean and interval of values in -1..1, (N,), such as correlations: those of (1 + values) / 2, scaled back."""
    row = mean((1 + np.clip(values, -1, 1)) / 2, groups, params)
    if not row["n"]:
        return row
    return row | {"value": 2 * row["value"] - 1, "interval": [2 * bound - 1 for bound in row["interval"]]}


def without(methods: Iterable[str], left_out: Sequence[str]) -> tuple[str, ...]:
    """Return the methods but for those left out, in their order."""
    return tuple(method for method in methods if method not in left_out)


def evenly(labels: np.ndarray, among: np.ndarray, count: int) -> np.ndarray:
    """Return at most `count` places where `among`, bool (N,), holds, or of all where it holds nowhere.

    Sorted by class and spread evenly, so that each class has its share."""
    places = np.flatnonzero(among) if among.any() else np.arange(len(labels))
    places = places[np.argsort(labels[places], kind="stable")]
    return places[np.unique(np.linspace(0, len(places) - 1, min(count, len(places))).round().astype(int))]


def localise(explainer: Explainer, cases: Cases, methods: Sequence[str], params: Params, what: str) -> dict:
    """Score the maps of lesion images: {method: {score: mean}}; the pointing game of Grad-CAM and of the lesion map by
    class and size as well."""
    rows = [
        score(explainer.explain(part.images, part.targets, methods, params.evaluate.batch_size, start), part.masks)
        for start, part in progress(list(_blocks(cases)), f"{what}: maps of {BLOCK} images")
    ]
    return tabulate(rows, cases, params)


def score(maps: Mapping[str, np.ndarray], masks: np.ndarray) -> Scores:
    """Every score of every method's maps: {method: {score: (N,)}}."""
    return {method: localisation.scores(importance(values), masks) for method, values in maps.items()}


def tabulate(blocks: Sequence[Scores], cases: Cases, params: Params) -> dict:
    """Put the scores of the cases, given block by block, into the table of `localise`."""
    table: dict = {}
    for method in blocks[0]:
        scores = {name: np.concatenate([block[method][name] for block in blocks]) for name in localisation.SCORES}
        table[method] = {name: mean(values, cases.groups, params) for name, values in scores.items()}
        if method in ("grad_cam", LESION_MAP):
            table[method] |= _pointing_by(scores["pointing_game"], cases, params)
    return table


def _blocks(cases: Cases) -> Any:
    starts = range(0, len(cases), BLOCK) or [0]  # of no case at all, one empty block
    return ((start, cases.take(slice(start, start + BLOCK))) for start in starts)


def _pointing_by(hits: np.ndarray, cases: Cases, params: Params) -> dict:
    """The pointing game by class, and by thirds of the lesions' sizes; `chance` is their share of the image."""
    areas = cases.masks.sum(axis=(1, 2))

    def row(part: np.ndarray) -> dict:
        chance = cases.masks[part].mean() if part.any() else None
        return mean(hits[part], cases.groups[part], params) | {"chance": chance}

    low, high = np.quantile(areas, [1 / 3, 2 / 3]) if len(areas) else (0, 0)
    thirds = {"small": areas <= low, "medium": (areas > low) & (areas <= high), "large": areas > high}
    return {
        "pointing_game_by_class": {
            name: row(cases.labels == place) for place, name in enumerate(params.dataset.classes)
        },
        "pointing_game_by_size": {
            name: row(part) | {"pixels": [areas[part].min(), areas[part].max()] if part.any() else None}
            for name, part in thirds.items()
        },
    }


def chance(masks: np.ndarray) -> dict:
    """What maps that saw neither image nor model score on the lesions: {map: {score: mean}}."""
    return {
        name: {score: float(values.mean()) if len(values) else None for score, values in scores.items()}
        for name, scores in localisation.chance(masks).items()
    }


def faithful(
    model: keras.Model, maps: Mapping[str, np.ndarray], cases: Cases, params: Params, what: str
) -> tuple[dict, dict[str, dict[str, np.ndarray]]]:
    """Return the areas of deletion, insertion and ROAD for maps of the cases, and the mean curves behind them.

    The table is {method: {curve: mean}}; the curves {curve: {method: (fractions,)}}, at `faithfulness.FRACTIONS`."""
    table: dict = {}
    curves: dict[str, dict[str, np.ndarray]] = {kind: {} for kind in faithfulness.FRACTIONS}
    batch_size, seed = params.evaluate.batch_size, params.evaluate.seed
    for method in progress(maps, f"{what}: faithfulness", len(maps)):
        table[method], relevance = {}, importance(maps[method])
        for kind, fractions in faithfulness.FRACTIONS.items():
            given = (cases.images, relevance, cases.targets, model.predict_on_batch, fractions)
            values = faithfulness.curves(kind, *given, batch_size, seed)
            table[method][kind] = mean(np.clip(faithfulness.area(values, fractions), 0, 1), cases.groups, params)
            curves[kind][method] = values.mean(axis=0)
    return table, curves


def randomise(explainer: Explainer, learned: Mapping[str, np.ndarray], cases: Cases, params: Params, what: str) -> dict:
    """Compare the maps of the cases, `learned`, with those of randomised weights.

    {mode: {method: {measure: a mean a step, other_image: its chance level, left: a share a step}}}, the layers of the
    steps, and for each method a verdict on the cascade."""
    table: dict = {"seeds": len(SEEDS), "limit": sanity.LIMIT}
    for mode, left_out in progress(MODES.items(), f"{what}: randomised weights", len(MODES)):
        kept = {method: learned[method] for method in without(learned, left_out)}
        explain = partial(explainer.explain, cases.images, cases.targets, tuple(kept), params.evaluate.batch_size)
        layers, rows = sanity.randomisation_test(explainer.model, kept, explain, mode, STEPS, SEEDS)
        table |= {"layers": layers, mode: rows}
        if mode == "cascading":
            table["verdicts"] = {method: sanity.verdict(method, layers, row["left"]) for method, row in rows.items()}
    return table


def cascade_maps(explainer: Explainer, case: Cases, params: Params) -> dict[str, dict[str, np.ndarray]]:
    """Maps of one image, {step: {method: (S, S)}}: as learned, then as the weights are randomised from the logits."""
    methods = without(explainer.methods, CONTROLS)

    def maps() -> dict[str, np.ndarray]:
        found = explainer.explain(case.images, case.targets, methods, params.evaluate.batch_size)
        return {method: importance(values)[0] for method, values in found.items()}

    steps = {"as learned": maps()}
    for layer in sanity.randomisations(explainer.model, "cascading", STEPS, SEEDS[0]):
        steps[layer] = maps()
    return steps


def stable(explainer: Explainer, still: Mapping[str, np.ndarray], cases: Cases, params: Params) -> dict:
    """How alike the maps of the cases, `still`, stay under a small shift and a small noise.

    {method: {change: {measure: mean}}}."""
    kept = {method: still[method] for method in without(still, CONTROLS)}

    def maps(images: np.ndarray) -> dict[str, np.ndarray]:
        return explainer.explain(images, cases.targets, tuple(kept), params.evaluate.batch_size)

    found = sanity.stability(kept, maps, cases.images, SHIFT, NOISE, params.evaluate.seed)
    return {
        method: {change: _likeness(measures, cases, params) for change, measures in changes.items()}
        for method, changes in found.items()
    }


def agree(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray], cases: Cases, params: Params) -> dict:
    """How alike two models' maps of the cases are: {method: {measure: mean}}, and how alike maps of two images are."""
    return {
        method: _likeness(sanity.similarity(values, other[method]), cases, params)
        | {"other_image": {name: likes.mean() for name, likes in sanity.other_image(values, other[method]).items()}}
        for method, values in one.items()
    }


def _likeness(measures: Mapping[str, np.ndarray], cases: Cases, params: Params) -> dict:
    return {measure: signed_mean(values, cases.groups, params) for measure, values in measures.items()}
