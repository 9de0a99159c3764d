"""Does the network use what a saliency map marks? Pixels are changed in the map's order; the probability must follow.

Images are raw grey levels (N, H, W, C), maps finite (N, H, W), higher is more relevant; `predict` takes float32 images
(n, H, W, C) and returns probabilities (n, classes). A curve is the probability of the chosen class after each
fraction of the pixels was changed:

| curve | what changes, most relevant pixels first | a faithful map's area |
|---|---|---|
| deletion | they become the image's mean grey (Petsiuk 2018, section 4.1; there the data set's mean) | small |
| insertion | those of a blurred image become sharp (Petsiuk 2018, section 4.1) | large |
| road_most_relevant_first | they become `impute`d, plus a small noise: remove and debias (Rong 2022) | small |
| road_least_relevant_first | the same, least relevant pixels first | large |

Rong's curve is the accuracy; the probability is the same question with less noise on few images. The changed images are
none that the network was trained on, so a curve shows the network's faith in the map and its faith in odd images
together; compare methods with `random`, never a value with 0 or 1.
"""

from collections.abc import Callable, Sequence

import cv2
import numpy as np

FRACTIONS: dict[str, Sequence[float]] = {
    "deletion": np.linspace(0, 1, 11).round(2).tolist(),
    "insertion": np.linspace(0, 1, 11).round(2).tolist(),
    "road_most_relevant_first": (0.1, 0.3, 0.5, 0.7, 0.9),
    "road_least_relevant_first": (0.1, 0.3, 0.5, 0.7, 0.9),
}
BLUR = 5 / 224  # standard deviation as a share of the height, Petsiuk 2018: 5 pixels of 224
NOISE = 0.01 * 255  # grey levels, as in the code published with Rong 2022
NEIGHBOURS = np.array([[1, 2, 1], [2, 0, 2], [1, 2, 1]], np.float32) / 12  # Rong 2022, section 4.2


def curves(
    kind: str,
    images: np.ndarray,
    maps: np.ndarray,
    classes: np.ndarray,
    predict: Callable[[np.ndarray], np.ndarray],
    fractions: Sequence[float] = (),
    batch_size: int = 28,
    seed: int = 0,
) -> np.ndarray:
    """Curves (N, fractions) of a kind of FRACTIONS, at its fractions unless others are given (of road, below 1).

    `classes`: (N,), whose probability is followed. Pixels of one value are taken in a random order, drawn from (seed,
    index of image). Besides the curves, memory holds one batch.
    """
    fractions = fractions or FRACTIONS[kind]
    relevance = -maps if kind == "road_least_relevant_first" else maps
    change = {"deletion": _delete, "insertion": _insert}.get(kind, _remove)
    found = np.empty((len(images), len(fractions)))
    for start in range(0, len(images), batch_size):
        part = slice(start, start + batch_size)
        batch = np.asarray(images[part], np.float32)
        seeds = [(seed, start + index) for index in range(len(batch))]
        ranks = np.stack([_ranks(one, drawn) for one, drawn in zip(relevance[part], seeds, strict=True)])
        for column, fraction in enumerate(fractions):
            chosen = ranks < round(fraction * ranks[0].size)
            probabilities = predict(change(batch, chosen, seeds).astype(np.float32))
            found[part, column] = np.asarray(probabilities)[np.arange(len(batch)), classes[part]]
    return found


def _delete(batch: np.ndarray, chosen: np.ndarray, seeds: Sequence[tuple[int, int]]) -> np.ndarray:
    return np.where(chosen[..., None], batch.mean(axis=(1, 2), keepdims=True), batch)


def _insert(batch: np.ndarray, chosen: np.ndarray, seeds: Sequence[tuple[int, int]]) -> np.ndarray:
    sigma = BLUR * batch.shape[1]
    blurred = np.stack([cv2.GaussianBlur(image, (0, 0), sigma).reshape(image.shape) for image in batch])
    return np.where(chosen[..., None], batch, blurred)


def _remove(batch: np.ndarray, chosen: np.ndarray, seeds: Sequence[tuple[int, int]]) -> np.ndarray:
    changed = batch.copy()
    for image, missing, seed in zip(changed, chosen, seeds, strict=True):
        number = int(missing.sum())
        rng = np.random.default_rng((*seed, number))
        for channel in range(image.shape[-1]):
            image[missing, channel] = impute(image[..., channel], missing)[missing] + rng.normal(0, NOISE, number)
    return np.clip(changed, 0, 255)


def _ranks(one: np.ndarray, seed: tuple[int, int]) -> np.ndarray:
    """0 for the most relevant pixel, and so on."""
    shuffled = np.random.default_rng(seed).permutation(one.size)
    ranks = np.empty(one.size, np.int64)
    ranks[shuffled[np.argsort(-one.ravel()[shuffled], kind="stable")]] = np.arange(one.size)
    return ranks.reshape(one.shape)


def area(curves: np.ndarray, fractions: Sequence[float]) -> np.ndarray:
    """Area under each curve (N, fractions) over its fractions, divided by their range: the mean probability, (N,)."""
    return np.trapezoid(curves, fractions, axis=1) / (fractions[-1] - fractions[0])


def impute(image: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Fill the missing pixels so that each is the weighted mean of its neighbours (Rong 2022, section 4.2).

    `image`: (H, W) of grey levels; `missing`: bool (H, W), not all. Direct neighbours weigh 1/6, diagonal ones 1/12.
    The sparse system is solved by conjugate gradients from a solution at half the resolution, to about 0.3 grey levels;
    known pixels are returned as they are. Raises ValueError where nothing is known.
    """
    if missing.all():
        raise ValueError("no pixel is left to fill the others from; keep fractions below 1")
    known = np.where(missing, 0, image).astype(np.float32)
    guess: np.ndarray = np.full(image.shape, known.sum() / np.count_nonzero(~missing), np.float32)
    if min(image.shape) >= 8:
        half = (image.shape[1] // 2, image.shape[0] // 2)
        weight = cv2.resize((~missing).astype(np.float32), half, interpolation=cv2.INTER_AREA)
        mean = cv2.resize(known, half, interpolation=cv2.INTER_AREA) / np.where(weight > 0, weight, 1)
        guess = cv2.resize(impute(mean, weight == 0), image.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.where(missing, _solve(known, missing, guess), known)


def _solve(known: np.ndarray, missing: np.ndarray, guess: np.ndarray) -> np.ndarray:
    inside = missing.astype(np.float32)
    degree = _neighbours(np.ones_like(known))  # less than 1 at the border of the image

    def system(x: np.ndarray) -> np.ndarray:
        return inside * (degree * x - _neighbours(x))

    x = guess * inside
    residual = inside * _neighbours(known) - system(x)
    direction, size = residual, float((residual**2).sum())
    for _ in range(200):
        if np.abs(residual).max() < 0.001:
            break
        changed = system(direction)
        step = size / float((direction * changed).sum())
        x, residual = x + step * direction, residual - step * changed
        size, before = float((residual**2).sum()), size
        direction = residual + size / before * direction
    return x


def _neighbours(x: np.ndarray) -> np.ndarray:
    return cv2.filter2D(x, cv2.CV_32F, NEIGHBOURS, borderType=cv2.BORDER_CONSTANT)
