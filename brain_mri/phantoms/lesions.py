"""Tumours drawn into a healthy slice, each where its kind grows.

Appearance on T1, before and after contrast medium, after the WHO classification (Louis et al., Neuro-Oncology
23:1231-1251, 2021) and Osborn, Hedlund, Salzman, "Osborn's Brain" (2nd ed., 2017):

- glioma: within the white matter, irregular; most with a rim that takes up contrast medium round a dark necrotic core,
  some without uptake; oedema, darker than white matter, reaching out along it.
- meningioma: on the dura of the convexity, the skull base or the falx, broad-based, even, bright after contrast medium,
  with a cleft of fluid towards the brain and a dural tail.
- pituitary tumour: in the sella, growing upwards through the diaphragm ("snowman"), some with a cyst.

The mask is the tumour with rim and core, as a radiologist outlines it on this sequence (Cheng et al., PLoS ONE
10:e0140381, 2015): oedema, cleft and dural tail are outside of it, and so is the brain that a tumour pushes away.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from brain_mri.phantoms.anatomy import SELLA, Field, Section
from brain_mri.phantoms.head import Weighting, over, smooth_noise

Mask = NDArray[np.bool_]
Drawn = tuple[Field, Mask]
# Mean radius in mm, least and most, log-uniform between.
RADII = {"glioma": (14, 27), "meningioma": (12, 24), "pituitary": (9, 16)}


def _glioma(image: Field, place: Section, weighting: Weighting, rng: np.random.Generator) -> Drawn:
    radius, mm, shape = _radius("glioma", rng), place.spacing, image.shape
    sella = _from_sella(place)
    where = (place.white > 110) & (place.hull < -0.5 * radius) & (sella > radius + 12) & (place.z > -60)
    if not where.any():
        where = (place.white > 60) & (place.hull < -3) & (sella > 22)
    row, column = _pick(where, rng)
    depth = _blob(place, row, column, radius, rng.uniform(1, 1.5), 0.3, rng) + 1.6 * smooth_noise(rng, shape, 4 / mm)
    depth, mask = _one_piece(np.minimum(depth, -place.hull - 1))
    texture = smooth_noise(rng, shape, 3 / mm)
    takes_up = weighting.contrast and rng.random() < 0.93
    rim = rng.uniform(1.4, 2.1) if takes_up else rng.uniform(0.5, 0.65)
    core, swollen, share, reach = rng.uniform((0.25, 0.5, 0.75, 5), (0.45, 0.62, 1.0, 20))
    thickness = rng.uniform(2.5, 6) * np.exp(0.45 * smooth_noise(rng, shape, 6 / mm))
    image = _push(image, place, row, column, radius, rng.uniform(0, 0.35))
    oedema = np.clip(place.white / 200, 0.15, 1) * np.clip(1 + depth / reach + 0.2 * texture, 0, 1)
    image = image + share * np.clip(oedema, 0, 1) * np.where(place.hull < -1, swollen - image, 0)
    image = over(image, rim * (1 + 0.1 * texture + 0.12 * smooth_noise(rng, shape, 8 / mm)), depth / mm)
    return over(image, core * (1 + 0.12 * texture), (depth - thickness) / mm), mask


def _meningioma(image: Field, place: Section, weighting: Weighting, rng: np.random.Generator) -> Drawn:
    radius, mm, shape = _radius("meningioma", rng), place.spacing, image.shape
    apart = _from_sella(place) > radius + 12
    convex = (np.abs(place.hull - 0.3) < 0.8) & apart & (place.z > -50)
    falx = (np.abs(place.x) < 0.8) & (place.hull < -8) & ((place.z > 30) | (place.y > 32)) & apart
    on_falx = bool(rng.random() < 0.2) and place.plane != "sagittal" and bool(falx.any())
    row, column = _pick(falx if on_falx else convex, rng)
    # Distance in mm from the dura towards the brain, on the falx towards one side of it.
    wall = rng.choice((-1, 1)) * place.x - 0.3 if on_falx else 0.8 - place.hull
    down, right = (float(np.gradient(wall, axis=axis)[row, column]) for axis in (0, 1))
    inwards = radius * rng.uniform(0.3, 0.8) / max(np.hypot(down, right), 1e-6) / mm
    row, column = row + down * inwards, column + right * inwards
    blob = _blob(place, row, column, radius, rng.uniform(1, 1.3), 0.12, rng) + 0.4 * smooth_noise(rng, shape, 4 / mm)
    depth, mask = _one_piece(np.minimum(blob, wall))
    level = rng.uniform(1.5, 2.1) if weighting.contrast else rng.uniform(0.55, 0.7)
    image = _push(image, place, row, column, radius, rng.uniform(0, 0.35))
    cleft = np.minimum(1.4 - np.abs(blob + 0.4), np.minimum(wall - 1, -place.hull - 2))
    image = over(image, weighting.tissue["csf"] + rng.uniform(0, 0.4), cleft / mm)
    length = rng.uniform(6, 18)
    if weighting.contrast:
        tail = np.minimum(1.7 * (1 + blob / length) - np.abs(wall - 0.7), blob + length)
        image = over(image, 0.95 * level, tail / mm)
    return over(image, level * (1 + 0.04 * smooth_noise(rng, shape, 5 / mm)), depth / mm), mask


def _pituitary(image: Field, place: Section, weighting: Weighting, rng: np.random.Generator) -> Drawn:
    radius, mm, shape = _radius("pituitary", rng), place.spacing, image.shape
    rises = place.plane != "axial"
    nearest = np.unravel_index(np.argmin(_from_sella(place)), shape)
    row, column = (float(at) + rng.normal(0, 1.2) / mm for at in nearest)
    row -= 0.25 * radius / mm * rises
    depth = _blob(place, row, column, radius, rng.uniform(1, 1.25), 0.14, rng)
    if rises and rng.random() < 0.65:
        upper = radius * rng.uniform(0.5, 1.0)
        top, side = row - 0.6 * (radius + upper) / mm, column + rng.normal(0, 1.5) / mm
        depth = np.maximum(depth, _blob(place, top, side, upper, 1.1, 0.12, rng))
    depth, mask = _one_piece(depth + 0.5 * smooth_noise(rng, shape, 4 / mm))
    level = rng.uniform(1.4, 2.0) if weighting.contrast else rng.uniform(0.6, 0.8)
    image = over(image, level * (1 + 0.07 * smooth_noise(rng, shape, 4 / mm)), depth / mm)
    if rng.random() < 0.2:
        cyst = _blob(place, row, column, 0.5 * radius, 1.3, 0.2, rng)
        image = over(image, rng.uniform(0.4, 0.7), np.minimum(cyst, depth - 1.5) / mm)
    return image, mask


# By class: draw a tumour into an image (float64 (H, W), white matter 1); returns the new image and the mask.
LESIONS: dict[str, Callable[[Field, Section, Weighting, np.random.Generator], Drawn]] = {
    "glioma": _glioma,
    "meningioma": _meningioma,
    "pituitary": _pituitary,
}


def _radius(label: str, rng: np.random.Generator) -> float:
    least, most = RADII[label]
    return float(np.exp(rng.uniform(np.log(least), np.log(most))))


def _from_sella(place: Section) -> Field:
    return np.sqrt((place.x - SELLA[0]) ** 2 + (place.y - SELLA[1]) ** 2 + (place.z - SELLA[2]) ** 2)


def _pick(where: Mask, rng: np.random.Generator) -> tuple[int, int]:
    candidates = np.argwhere(where)
    row, column = candidates[rng.integers(len(candidates))]
    return int(row), int(column)


def _blob(
    place: Section, row: float, column: float, radius: float, stretch: float, roughness: float, rng: np.random.Generator
) -> Field:
    """Depth in mm within a rough ellipse of mean radius `radius` mm about a pixel; negative outside."""
    rows, columns = np.ogrid[: place.x.shape[0], : place.x.shape[1]]
    v, u = (rows - row) * place.spacing, (columns - column) * place.spacing
    turn = rng.uniform(0, np.pi)
    along = (u * np.cos(turn) + v * np.sin(turn)) / np.sqrt(stretch)
    across = (v * np.cos(turn) - u * np.sin(turn)) * np.sqrt(stretch)
    angle, edge = np.arctan2(across, along), np.ones(along.shape)
    for order in range(2, 7):
        edge += roughness * rng.normal() / order * np.cos(order * angle + rng.uniform(0, 2 * np.pi))
    return radius * np.maximum(edge, 0.4) - np.hypot(along, across)


def _one_piece(depth: Field) -> Drawn:
    """The largest connected part of depth > 0 as a mask, and the depth with the other parts put outside."""
    parts, _ = ndimage.label(depth > 0)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    mask = parts == np.argmax(sizes)
    return np.where(mask, depth, np.minimum(depth, -1.0)), mask


def _push(image: Field, place: Section, row: float, column: float, radius: float, strength: float) -> Field:
    """Move the brain round a tumour outwards by up to `strength` radii, fading towards the skull."""
    rows, columns = np.indices(image.shape)
    v, u = rows - row, columns - column
    far = np.maximum(np.hypot(u, v), 1e-6) * place.spacing
    shift = strength * radius * np.exp(-(((far - radius) / radius) ** 2)) * np.clip(-place.hull / 15, 0, 1)
    shift = np.minimum(shift, far) / far
    return ndimage.map_coordinates(image, (rows - shift * v, columns - shift * u), order=1, mode="nearest")
