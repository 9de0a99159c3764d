"""Does a saliency map lie on the lesion? Scores of maps against masks, an image each, and what chance would give.

Maps are float (N, H, W), finite and not negative (`saliency.importance`); masks are bool or 0/1 (N, H, W). Every score
is float64 (N,) in 0..1, so that intervals can be bootstrapped over images; it is NaN where a mask is empty. A map of
one value everywhere says nothing and scores what the share of the mask's area gives, in each of them.
"""

import cv2
import numpy as np
from sklearn.metrics import average_precision_score

TOLERANCE = 0  # pixels around the mask; Zhang 2018 allow 15 on photographs, which here would make many lesions a target
THRESHOLD = 0.5  # of a map's own maximum
SCORES = ("pointing_game", "energy_in_mask", "iou", "pixel_average_precision")


def pointing_game(maps: np.ndarray, masks: np.ndarray, tolerance: float = TOLERANCE) -> np.ndarray:
    """1 where the map's maximum lies within `tolerance` pixels of the mask, else 0 (Zhang 2018, section 4.2).

    Where several pixels share the maximum, the share of them that does.
    """
    maps, masks = _checked(maps, masks)
    targets = np.stack([_grown(mask, tolerance) for mask in masks]) if tolerance and len(masks) else masks
    tops = maps == maps.max(axis=(1, 2), keepdims=True)
    return _where_lesion(masks, (tops & targets).sum(axis=(1, 2)) / tops.sum(axis=(1, 2)))


def energy_in_mask(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """The share of a map's sum that lies in the mask: the energy-based pointing game (Wang 2020, section 4.3)."""
    maps, masks = _checked(maps, masks)
    total = maps.sum(axis=(1, 2), dtype=np.float64)
    inside = (maps * masks).sum(axis=(1, 2), dtype=np.float64)
    return _where_lesion(masks, np.where(total > 0, inside / np.where(total > 0, total, 1), masks.mean(axis=(1, 2))))


def iou(maps: np.ndarray, masks: np.ndarray, threshold: float = THRESHOLD) -> np.ndarray:
    """Intersection over union of the mask and the pixels that reach `threshold` times the map's own maximum."""
    maps, masks = _checked(maps, masks)
    chosen = maps >= threshold * maps.max(axis=(1, 2), keepdims=True)
    return _where_lesion(masks, (chosen & masks).sum(axis=(1, 2)) / np.maximum((chosen | masks).sum(axis=(1, 2)), 1))


def pixel_average_precision(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Area under precision-recall of an image's pixels: the sum of precision times the step of recall at each value."""
    pairs = zip(*_checked(maps, masks), strict=True)
    return np.array(
        [average_precision_score(mask.ravel(), one.ravel()) if mask.any() else np.nan for one, mask in pairs],
        np.float64,
    )


def scores(maps: np.ndarray, masks: np.ndarray) -> dict[str, np.ndarray]:
    """All four scores by name, each float64 (N,)."""
    return {
        score.__name__: score(maps, masks) for score in (pointing_game, energy_in_mask, iou, pixel_average_precision)
    }


def chance(masks: np.ndarray, seed: int = 0) -> dict[str, dict[str, np.ndarray]]:
    """The same scores of three maps that saw neither image nor model; masks (N, H, W) -> {map: {score: (N,)}}.

    `random`: uniform noise, one draw an image. `area`: one value everywhere, so the share of the mask. `mean_lesion`:
    how often the *other* images have their lesion at a pixel, the strongest that knows no image.
    """
    masks = masks.astype(bool)
    everywhere, found = masks.sum(axis=0, dtype=np.float32), []
    for index, mask in enumerate(masks):  # one image at a time: memory does not grow with them
        others = (everywhere - mask) / (len(masks) - 1) if len(masks) > 1 else np.ones(mask.shape, np.float32)
        noise = np.random.default_rng((seed, index)).random(mask.shape, np.float32)
        found.append(scores(np.stack([noise, np.ones(mask.shape, np.float32), others]), np.stack([mask] * 3)))
    return {
        name: {score: np.array([values[score][place] for values in found]) for score in SCORES}
        for place, name in enumerate(("random", "area", "mean_lesion"))
    }


def _checked(maps: np.ndarray, masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if maps.ndim != 3 or maps.shape != masks.shape:
        raise ValueError(f"expected maps and masks of one shape (N, H, W), found {maps.shape} and {masks.shape}")
    if not (np.isfinite(maps).all() and (maps >= 0).all()):
        raise ValueError("maps must be finite and not negative; take saliency.importance of them first")
    return maps, masks.astype(bool)


def _grown(mask: np.ndarray, tolerance: float) -> np.ndarray:
    outside = np.uint8(1) - mask.astype(np.uint8)
    return cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) <= tolerance


def _where_lesion(masks: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.where(masks.any(axis=(1, 2)), values.astype(np.float64), np.nan)
