"""Brain MRI phantoms: slices of a drawn head with a drawn tumour, or none, and the tumour's exact mask.

One image is one call: a slice of the ICBM152 brain in a drawn head (anatomy), turned, scaled and bent; a T1 image
before or after contrast medium (head); a tumour of the class (lesions); a scanner: point spread, coil sensitivity,
gain, Rician noise (Gudbjartsson & Patz, Magnetic Resonance in Medicine 34:910-914, 1995). About 0.8 to 1.1 mm per
pixel, odd sizes, black borders.

No clue besides the lesion. Everything but the lesion comes from one random stream of (seed, index), before and apart
from the lesion's own: the same index gives the same `lesion_free` whatever the class. All classes share one family of
slices, those through the sella (sagittal near the midline, coronal, low axial), because every kind of tumour can lie
in these.

Realistic: the brain's anatomy and its averages; where each kind of tumour grows, its outline's character and its
brightness against the brain on T1; normal uptake of contrast medium; noise. Not realistic: the cortex is that of an
average of 152 heads, so sulci are shallow and all brains alike but for bending; skull, face and vessels are
schematic; a lesion's sizes are those of a clear finding (mean radius 9 to 27 mm), its grade and its effect on the
ventricles are simple; no slices off the sella, no T2 or FLAIR, no movement, no treatment, one lesion at most. Good
for trying out a pipeline, not for a statement about patients.

Same bytes. All arithmetic is float64 and rounded once, at the end, to uint8; no result depends on the number of
processes or threads. Another CPU or maths library may differ in a last bit of a float64, which reaches a byte only
where a value lies within about 1e-13 of a rounding edge. On x86-64 with numpy's AVX2 and AVX-512 loops off and
OpenBLAS's oldest kernels, sums did differ in the last bit, and of 12 million bytes (100 images and masks) none did.
Another version of numpy may draw other random numbers.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from brain_mri.errors import UserError
from brain_mri.phantoms.anatomy import SELLA, Field, Section, section
from brain_mri.phantoms.head import draw_weighting, paint_head, smooth_noise
from brain_mri.phantoms.lesions import LESIONS

CLASSES = ("glioma", "meningioma", "notumor", "pituitary")


@dataclass(frozen=True)
class Plane:
    """Axes in MNI space, and what it shows in mm from the sella: left, right, top, bottom (least, most), offset."""

    name: str
    right: tuple[int, int, int]
    down: tuple[int, int, int]
    normal: tuple[int, int, int]
    left_edge: float
    right_edge: float
    top_edge: float
    bottom_edge: tuple[float, float]
    offset: tuple[float, float]


PLANES = (
    Plane("sagittal", (0, -1, 0), (0, 0, -1), (1, 0, 0), -112, 126, -118, (60, 100), (2, 6)),
    Plane("coronal", (1, 0, 0), (0, 0, -1), (0, 1, 0), -84, 84, -118, (45, 85), (0, 7)),
    Plane("axial", (1, 0, 0), (0, -1, 0), (0, 0, 1), -84, 84, -94, (116, 116), (0, 5)),
)


SOURCE = {
    "name": "phantoms of this project",
    "licence": "ICBM152 template: copyright McConnell Brain Imaging Centre, McGill University; use is granted for "
    "any purpose",
    "citation": "Fonov V. et al. (2011). Unbiased average age-appropriate atlases for pediatric studies. "
    "NeuroImage 54(1), 313-327, as shipped with nilearn",
    "url": "https://www.bic.mni.mcgill.ca/ServicesAtlases/ICBM152NLin2009",
}


@dataclass(frozen=True)
class Phantom:
    """image, lesion_free: uint8 (H, W), 0-255; mask: uint8 (H, W), 255 in the lesion and 0 elsewhere."""

    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    lesion_free: NDArray[np.uint8]


def phantom(label: str, seed: int, index: int) -> Phantom:
    """Draw image `index` of the data set `seed` (both 0 or more) as one of `CLASSES`.

    Give every image an index of its own: images of one index share everything but the lesion.
    Raises UserError for an unknown label."""
    if label not in CLASSES:
        raise UserError(f"phantom class: {label!r}, expected one of {', '.join(CLASSES)}")
    rng, lesion_rng = np.random.default_rng((seed, index)).spawn(2)
    place = _draw_slice(rng)
    weighting = draw_weighting(rng)
    healthy = paint_head(place, weighting, rng)
    scan = _draw_scanner(place, rng)
    lesion_free = scan(healthy)
    if label == "notumor":
        return Phantom(lesion_free, np.zeros_like(lesion_free), lesion_free)
    diseased, mask = LESIONS[label](healthy, place, weighting, lesion_rng)
    return Phantom(scan(diseased), np.where(mask, 255, 0).astype(np.uint8), lesion_free)


def _draw_slice(rng: np.random.Generator) -> Section:
    """A slice through the sella of a head of random size, turn and shape, with random borders round it."""
    plane = PLANES[rng.integers(len(PLANES))]
    spacing = rng.uniform(0.78, 1.1)
    pitch, roll, yaw = np.radians(rng.normal(0, 3, 3))
    if plane.name == "axial":
        pitch += np.radians(rng.uniform(-10, 11))
    mirror = rng.choice((-1, 1))
    left, right, top = rng.uniform(3, 40, 3)
    below = rng.uniform(*plane.bottom_edge) + (rng.uniform(3, 40) if plane.name == "axial" else 0)
    u = np.arange(plane.left_edge - left, plane.right_edge + right, spacing)
    v = np.arange(plane.top_edge - top, below, spacing)[:, None]
    offset = rng.choice((-1, 1)) * rng.uniform(*plane.offset)
    turn = _rotation(pitch, roll, yaw)
    across, down, normal = (turn @ np.array(axis, float) for axis in (plane.right, plane.down, plane.normal))
    size = rng.uniform(0.95, 1.05) * rng.uniform(0.94, 1.06, 3)
    position = []
    for axis in range(3):
        flat = mirror * across[axis] * u + down[axis] * v + normal[axis] * offset
        bend = 2.2 * smooth_noise(rng, flat.shape, 34 / spacing) + 0.7 * smooth_noise(rng, flat.shape, 14 / spacing)
        position.append(SELLA[axis] + (flat + bend) / size[axis])
    return section(position[0], position[1], position[2], spacing, plane.name)


def _rotation(pitch: float, roll: float, yaw: float) -> Field:
    """Rotation matrix about x, then y, then z, by angles in radians."""
    (sx, sy, sz), (cx, cy, cz) = np.sin((pitch, roll, yaw)), np.cos((pitch, roll, yaw))
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return np.asarray(about_z @ about_y @ about_x)


def _draw_scanner(place: Section, rng: np.random.Generator) -> Callable[[Field], NDArray[np.uint8]]:
    """One acquisition: point spread, coil sensitivity, gain and Rician noise (Gudbjartsson & Patz 1995)."""
    shape = place.hull.shape
    gain, blur, uneven, sigma = rng.uniform((92, 0.45, 0.04, 1.0), (128, 0.8, 0.14, 4.0))
    sensitivity = gain * np.exp(uneven * smooth_noise(rng, shape, max(shape) / 2.2))
    real, imaginary = sigma * rng.standard_normal((2, *shape))

    def scan(image: Field) -> NDArray[np.uint8]:
        signal = sensitivity * ndimage.gaussian_filter(image, blur)
        return np.clip(np.rint(np.hypot(signal + real, imaginary)), 0, 255).astype(np.uint8)

    return scan
