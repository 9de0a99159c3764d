"""Does a saliency map depend on what the network learned? Its weights are destroyed and the maps compared.

Maps are (N, H, W); signed ones are compared by `saliency.importance`. All likenesses are of two maps of the same image,
1 for equal ones, and do not depend on the maps' scale. A map that the destroyed network leaves empty, as Grad-CAM's may
be for a class, is like nothing: one draw of random weights says little, two or three say more.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import cv2
import numpy as np
from scipy.stats import rankdata

from brain_mri.explanation.maps import importance, normalise
from brain_mri.network import keras  # loaded without TensorFlow's messages

LIMIT = 0.25  # of a map may be left when the network is random
MEASURES = ("rank_correlation", "ssim", "hog_correlation")

Maps = dict[str, np.ndarray]  # method -> (N, H, W)
Likeness = dict[str, np.ndarray]  # measure -> (N,), or means (steps,)


def similarity(one: np.ndarray, other: np.ndarray) -> Likeness:
    """How alike two sets of non-negative maps (N, H, W) are: the measures of Adebayo 2018, section 3, float64 (N,).

    `rank_correlation` (Spearman) and `hog_correlation` (Pearson, of `hog`) lie in -1..1, `ssim` too. A map of one
    value has no order and no gradients: its two correlations are 0.
    """
    return _likeness(_describe(one), _describe(other))


class _Described(NamedTuple):
    """What the measures need of maps, so that maps which are compared often are described once."""

    maps: np.ndarray  # (N, H, W), the maximum of each 1
    ranks: np.ndarray  # (N, pixels)
    edges: np.ndarray  # (N, hog)


def _describe(maps: np.ndarray) -> _Described:
    maps = normalise(importance(maps))
    return _Described(maps, rankdata(maps.reshape(len(maps), maps.shape[1] * maps.shape[2]), axis=1), hog(maps))


def _likeness(one: _Described, other: _Described) -> Likeness:
    return {
        "rank_correlation": _pearson(one.ranks, other.ranks),
        "ssim": np.array([ssim(a, b) for a, b in zip(one.maps, other.maps, strict=True)], np.float64),
        "hog_correlation": _pearson(one.edges, other.edges),
    }


def ssim(one: np.ndarray, other: np.ndarray) -> float:
    """Mean structural similarity of two maps (H, W) in 0..1 (Wang 2004, eq. 13, with its window and constants).

    The 11x11 Gaussian window (standard deviation 1.5) stays inside the image, so H and W are at least 11.
    """

    def mean(x: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(x, (11, 11), 1.5)[5:-5, 5:-5]

    one, other = one.astype(np.float64), other.astype(np.float64)
    a, b = mean(one), mean(other)
    variances = mean(one * one) - a * a + mean(other * other) - b * b
    covariance = mean(one * other) - a * b
    c1, c2 = 0.01**2, 0.03**2
    return float(np.mean((2 * a * b + c1) * (2 * covariance + c2) / ((a * a + b * b + c1) * (variances + c2))))


def hog(maps: np.ndarray) -> np.ndarray:
    """Histograms of oriented gradients of maps (N, H, W), a row each (Dalal 2005): 8x8 cells, 9 unsigned orientations.

    Cells are an eighth of the map (16 pixels of 128, the size that Adebayo 2018 take), what is left over at the right
    and below is cut off; blocks of 3x3 cells, L2 norm clipped at 0.2 and normed again.
    """
    n, tall, wide = maps.shape[0], maps.shape[1] // 8, maps.shape[2] // 8
    down, across = np.gradient(maps[:, : 8 * tall, : 8 * wide].astype(np.float64), axis=(1, 2))
    angle = np.minimum((np.rad2deg(np.arctan2(down, across)) % 180 / 20).astype(int), 8)
    row = np.arange(8 * tall)[:, None] // tall
    cell = (np.arange(n)[:, None, None] * 8 + row) * 8 + np.arange(8 * wide) // wide
    votes = np.bincount((cell * 9 + angle).ravel(), np.hypot(down, across).ravel(), n * 8 * 8 * 9) / (tall * wide)
    cells = votes.reshape(n, 8, 8, 9)
    blocks = np.lib.stride_tricks.sliding_window_view(cells, (3, 3), axis=(1, 2)).reshape(n, 36, 81)
    blocks = np.minimum(_unit(blocks), 0.2)
    return _unit(blocks).reshape(n, 36 * 81)


def _unit(blocks: np.ndarray) -> np.ndarray:
    return blocks / np.sqrt((blocks**2).sum(axis=-1, keepdims=True) + 1e-10)


def _pearson(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    one, other = (rows - rows.mean(axis=1, keepdims=True) for rows in (one, other))
    size = np.sqrt((one**2).sum(axis=1) * (other**2).sum(axis=1))
    return (one * other).sum(axis=1) / np.where(size > 0, size, 1)


def randomisations(model: keras.Model, mode: str, steps: int, seed: int = 0) -> Iterator[str]:
    """Destroy the model's weights in place, step by step from the logits down; yield each step's lowest layer.

    `cascading`: each step adds to the ones before, the last leaves nothing learned; `independent`: one step at a time,
    the rest stays as learned (Adebayo 2018, section 4). Step 1 is the logits' layer alone, the others share the layers
    below evenly. The weights return when the loop ends.
    """
    units: list[list[keras.layers.Layer]] = []
    for layer in model.layers:
        if any(len(variable.shape) > 1 for variable in layer.weights):
            units.append([layer])
        elif layer.weights and units:
            units[-1].append(layer)  # a normalisation goes with the convolution before it
    below = np.array_split(np.arange(len(units) - 1)[::-1], max(steps - 1, 1))
    groups: list[list[int]] = [[len(units) - 1], *(part.tolist() for part in below if len(part))]
    learned = model.get_weights()
    try:
        for group in groups:
            if mode == "independent":
                model.set_weights(learned)
            for index in group:
                for layer in units[index]:
                    layer.set_weights(_initial_weights(layer, (seed, index)))
            yield units[group[-1]][0].name
    finally:
        model.set_weights(learned)


def _initial_weights(layer: keras.layers.Layer, seed: tuple[int, int]) -> list[np.ndarray]:
    """As before training: kernels drawn after He 2015, normalisation without effect, no bias."""
    rng, weights = np.random.default_rng(seed), []
    for variable in layer.weights:
        shape = tuple(variable.shape)
        if len(shape) > 1:
            weights.append(rng.normal(0, np.sqrt(2 / np.prod(shape[:-1])), shape).astype(np.float32))
        else:
            ones = variable.name in ("gamma", "moving_variance")
            weights.append(np.full(shape, float(ones), np.float32))
    return weights


def randomisation_test(
    model: keras.Model,
    learned: Maps,
    maps: Callable[[], Maps],
    mode: str,
    steps: int,
    seeds: Sequence[int] = (0,),
) -> tuple[list[str], dict[str, dict[str, Any]]]:
    """Compare the learned maps with those of the model as its weights are destroyed, step by step, once a seed.

    `maps()` makes the maps of the model as it is at that moment, always the images and classes of `learned`; of one
    image alone chance cannot be told and counts as 0. Memory holds two sets of maps. Returns the lowest layer of each
    step and {method: {measure: likeness to the learned map of the same image, `other_image`: {measure: to that of
    another image, what chance gives}, `left`: see `_left`}}, all means over images and seeds, (steps,).
    """
    before = {method: _describe(values) for method, values in learned.items()}
    others = {method: _of_other_images(described) for method, described in before.items()}
    layers: dict[str, None] = {}
    runs: list[list[dict[str, tuple[Likeness, Likeness]]]] = []

    def compare(method: str, values: np.ndarray) -> tuple[Likeness, Likeness]:
        now = _describe(values)
        return _likeness(before[method], now), _likeness(others[method], now)

    with ThreadPoolExecutor() as threads:  # NumPy and OpenCV let go of the interpreter's lock while they compute
        for seed in seeds:
            runs.append([])
            for layer in randomisations(model, mode, steps, seed):
                layers[layer] = None
                now = maps()
                runs[-1].append(dict(zip(now, threads.map(compare, now.keys(), now.values()), strict=True)))

    def means(method: str, which: int) -> Likeness:
        found = {name: [[step[method][which][name] for step in run] for run in runs] for name in MEASURES}
        return {name: np.mean(values, axis=(0, 2)) for name, values in found.items()}

    table: dict[str, dict[str, Any]] = {}
    for method in learned:
        same, other = means(method, 0), means(method, 1)
        table[method] = {**same, "other_image": other, "left": _left(same, other)}
    return list(layers), table


def _left(same: Likeness, other: Likeness) -> np.ndarray:
    """What is left of a method's maps after each step, (steps,): 1 for all, 0 for as much as chance gives.

    Per measure (likeness - chance) / (1 - chance), then the mean of the measures. Chance is taken anew at each step,
    because it depends on the maps: two maps that are empty but for a spot are alike whatever they show, and dense ones
    that a random network gives are not.
    """
    return np.mean([(same[name] - other[name]) / np.maximum(1 - other[name], 1e-6) for name in MEASURES], axis=0)


def verdict(method: str, layers: Sequence[str], left: np.ndarray) -> dict[str, Any]:
    """Whether a method `passes` a cascading test, and the `sentence` that says so.

    A map that shows what the network learned must be gone once the upper half of its layers is random, and stay
    so: passed where from the middle step on at most LIMIT is `left`. The paper gives no threshold; this one lies
    between what plain gradients keep and what guided backpropagation keeps in a trained compact network.
    """
    middle = (len(layers) - 1) // 2
    most = float(left[middle:].max())
    sentence = (
        f"{method} {'passes' if most <= LIMIT else 'fails'}: with the weights random from the logits down to "
        f"{layers[middle]} or further, up to {max(most, 0):.0%} of its map is left (limit {LIMIT:.0%})"
    )
    return {"passes": most <= LIMIT, "sentence": sentence}


def other_image(one: np.ndarray, other: np.ndarray) -> Likeness:
    """What `similarity` gives by chance: each map of `one` beside another image's of `other`, 0 where there is none.

    Of another class where images come sorted by class: the map half of the images further on."""
    return _likeness(_of_other_images(_describe(one)), _describe(other))


def _of_other_images(described: _Described) -> _Described:
    half = len(described.maps) // 2
    return _Described(*(np.roll(part, half, axis=0) if half else 0 * part for part in described))


def stability(
    still: Maps,
    maps: Callable[[np.ndarray], Maps],
    images: np.ndarray,
    shift: int = 4,
    noise: float = 2.0,
    seed: int = 0,
) -> dict[str, dict[str, Likeness]]:
    """Compare `still`, the maps of images (N, H, W, C), with those of the images changed as no reader would notice.

    `shift`: by so many pixels down and right, the border repeated; the maps are shifted back and compared where both
    have a value. `noise`: Gaussian, of this standard deviation in grey levels. Returns {method: {change: likeness}}.
    """
    height, width = images.shape[1:3]
    moved = np.pad(images, ((0, 0), (shift, 0), (shift, 0), (0, 0)), mode="edge")[:, :height, :width]
    noisy = images + np.random.default_rng(seed).normal(0, noise, images.shape)
    shifted, shaken = maps(moved), maps(np.clip(noisy, 0, 255).astype(np.float32))
    return {
        method: {
            "shift": similarity(values[:, : height - shift, : width - shift], shifted[method][:, shift:, shift:]),
            "noise": similarity(values, shaken[method]),
        }
        for method, values in still.items()
    }
