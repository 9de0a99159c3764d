"""A healthy head on a slice: the brightness of each tissue in one image, and the painting of it.

Brightness is in units of white matter: 1 is white matter, on T1 before and after contrast medium alike. After contrast
medium (weighting.contrast) what has no blood-brain barrier shines in every head: dura and sinuses, mucosa,
pituitary gland, cavernous sinus, veins. So no bright spot by itself is a lesion.
"""

import functools
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from brain_mri.phantoms.anatomy import STRUCTURES, Field, Section, ellipsoid

# Where the layers over the brain begin, in mm outwards of its hull, at mean thickness.
LAYERS = ((0.8, "csf"), (2.0, "dura"), (2.9, "bone"), (4.4, "marrow"), (6.9, "bone"))
SKULL = 8.2  # mm from the hull to the outer table's outside

CONTRAST_SHARE = 0.93  # of images taken after contrast medium; without it a tumour is hard to see


@dataclass(frozen=True)
class Weighting:
    """contrast: whether contrast medium was given; tissue: brightness by tissue, white matter 1."""

    contrast: bool
    tissue: dict[str, float]


def draw_weighting(rng: np.random.Generator) -> Weighting:
    """Draw the weighting of one image."""
    contrast = bool(rng.random() < CONTRAST_SHARE)
    fat = rng.uniform(1.3, 1.9)
    mucosa, gland, pool, artery, dura = rng.uniform((1.0, 0.95, 1.1, 0.15, 0.7), (1.4, 1.2, 1.5, 1.2, 1.1))
    plain = rng.uniform((0.6, 0.8, 0.3, 0.1, 0.25), (0.8, 1.0, 0.6, 0.3, 0.5))
    if not contrast:
        mucosa, gland, pool, artery, dura = plain
    tissue = {
        "air": 0.03,
        "bone": 0.1,
        "csf": rng.uniform(0.2, 0.35),
        "grey": rng.uniform(0.72, 0.9),
        "fat": fat,
        "orbit": rng.uniform(0.6, 0.8) * fat,
        "muscle": rng.uniform(0.62, 0.78),
        "marrow": rng.uniform(0.4, 0.9),
        "skin": rng.uniform(0.8, 1.1),
        "mucosa": mucosa,
        "gland": gland,
        "pool": pool,
        "artery": artery,
        "dura": dura,
    }
    return Weighting(contrast, tissue)


def paint_head(place: Section, weighting: Weighting, rng: np.random.Generator) -> Field:
    """Brightness of the healthy head on a slice, float64 (H, W), white matter 1; before coil, noise and blur."""
    level, hull, mm, shape = weighting.tissue, place.hull, place.spacing, place.hull.shape
    image = _brain(place, weighting, rng)
    thick = rng.uniform(0.8, 1.2) * np.exp(0.12 * smooth_noise(rng, shape, 40 / mm))
    filled = np.clip(0.6 + 0.5 * smooth_noise(rng, shape, 12 / mm), 0, 1)
    for start, tissue in LAYERS:
        value = level["bone"] + filled * (level["marrow"] - level["bone"]) if tissue == "marrow" else level[tissue]
        image = over(image, value, (hull - start * thick) / mm)
    fatty = 0.3 + 0.5 * smooth_noise(rng, shape, 7 / mm) + 0.3 * smooth_noise(rng, shape, 3 / mm)
    flesh = level["muscle"] + (0.75 * level["fat"] - level["muscle"]) * np.clip(fatty, 0, 1)
    image = over(image, flesh, (hull - SKULL * thick) / mm)
    _paint_structures(image, place, level, rng)
    scalp = rng.uniform(5.6, 8.2) * np.exp(0.15 * smooth_noise(rng, shape, 40 / mm))
    image = over(image, level["fat"], (place.skin + scalp) / mm)
    image = over(image, level["skin"], (place.skin + 1.5) / mm)
    sinus = np.minimum(np.minimum(2.8 - np.abs(place.x), 2.6 - np.abs(hull - 0.5)), place.z - 5)
    image = over(image, level["pool"], sinus / mm)
    if place.plane != "sagittal":
        falx = np.minimum(0.8 - np.abs(place.x), np.minimum(-hull, np.maximum(place.z - 30, place.y - 30)))
        image = over(image, level["dura"], falx / mm)
    image = over(image, level["pool"], _veins(place, rng) / mm)
    return over(image, level["air"], place.skin / mm)


def _brain(place: Section, weighting: Weighting, rng: np.random.Generator) -> Field:
    # The template is an average of 152 heads: sharpening gives back some of the cortex's edges.
    blurred = ndimage.gaussian_filter(place.t1, 3 / place.spacing)
    t1 = place.t1 + rng.uniform(0.3, 1.0) * (place.t1 - blurred)
    csf, grey = weighting.tissue["csf"], weighting.tissue["grey"]
    image = np.interp(t1, (0, 60, 150, 215, 255), (csf, csf, grey, 1.0, 1.04))
    return image * (1 + 0.03 * smooth_noise(rng, t1.shape, 4 / place.spacing))


def _paint_structures(image: Field, place: Section, level: dict[str, float], rng: np.random.Generator) -> None:
    """Paint the table's structures into `image`, each a little moved and scaled, with uneven edges."""
    mm, shape = place.spacing, image.shape
    wobble = 0.9 * smooth_noise(rng, shape, 5 / mm)
    cells = np.where(smooth_noise(rng, shape, 2.5 / mm) > 0.6, level["mucosa"], level["air"])
    moves, scales = rng.normal(0, 0.8, (len(STRUCTURES), 3)), np.exp(rng.normal(0, 0.09, len(STRUCTURES)))
    position = np.stack([np.abs(place.x), place.y, place.z])
    least, most = position.min(axis=(1, 2)), position.max(axis=(1, 2))
    for (middle, extent, tissue), move, scale in zip(STRUCTURES, moves, scales, strict=True):
        # Structures of the midline stay there.
        centre = np.asarray(middle) + move * (np.asarray(middle) != 0)
        radii = scale * np.asarray(extent)
        reach = radii + 3
        if (centre + reach < least).any() or (centre - reach > most).any():
            continue
        near = (np.abs(position - centre[:, None, None]) < reach[:, None, None]).all(axis=0)
        x, y, z = position[:, near]
        depth = wobble[near] * min(1.0, radii.min() / 6) - ellipsoid(x, y, z, tuple(centre), tuple(radii))
        value = cells[near] if tissue == "cells" else level[tissue]
        image[near] = over(image[near], value, depth / mm)


def _veins(place: Section, rng: np.random.Generator) -> Field:
    """Depth in mm within veins cut across on the brain's surface; negative outside."""
    depth: Field = np.full(place.hull.shape, -9.0)
    rows, columns = np.arange(depth.shape[0])[:, None], np.arange(depth.shape[1])
    surface = np.argwhere(np.abs(place.hull + 2) < 3)
    for _ in range(rng.poisson(6)):
        row, column = surface[rng.integers(len(surface))]
        radius, stretch, turn = rng.uniform((0.7, 1, 0), (1.5, 3, np.pi))
        # 8 pixels each side hold the longest vein.
        window = np.s_[max(row - 8, 0) : row + 9, max(column - 8, 0) : column + 9]
        v, u = rows[window[0]] - row, columns[window[1]] - column
        along, across = (u * np.cos(turn) + v * np.sin(turn)) / stretch, v * np.cos(turn) - u * np.sin(turn)
        depth[window] = np.maximum(depth[window], radius - place.spacing * np.hypot(along, across))
    return depth


def over(image: Field, value: Field | float, depth: Field) -> Field:
    """Paint `value` over `image` where `depth` (pixels inside an outline) is positive, with an edge one pixel wide."""
    return image + np.clip(0.5 + depth, 0, 1) * (value - image)


def smooth_noise(rng: np.random.Generator, shape: tuple[int, ...], grain: float) -> Field:
    """Gaussian noise, mean 0, deviation 1, smooth over about `grain` pixels: a cubic B-spline over random knots."""
    rows, columns = (_spline(size, grain) for size in shape)
    return rows @ rng.standard_normal((rows.shape[1], columns.shape[1])) @ columns.T


@functools.lru_cache(maxsize=16)
def _spline(size: int, grain: float) -> Field:
    at = np.arange(size) / grain + 1
    far = np.abs(at[:, None] - np.arange(int(at[-1]) + 3))
    weight = np.where(far < 1, 2 / 3 - far**2 + far**3 / 2, np.clip(2 - far, 0, None) ** 3 / 6)
    return weight / np.sqrt((weight**2).sum(axis=1, keepdims=True))
