"""A head in MNI space: the ICBM152 brain, and round it a skull, a scalp, a face and vessels that are drawn.

Positions are MNI millimetres: x to the right, y to the front, z up. The brain is the ICBM152 2009a non-linear symmetric
T1 average (Fonov et al., NeuroImage 54:313-327, 2011; Fonov et al., NeuroImage 47:S102, 2009), which the nilearn
package carries, cut to the brain. Everything else is layers at a distance from the brain (cerebrospinal fluid, dura,
inner table, marrow, outer table, from inside; skin and fat, from outside) and ellipsoids from the table below, whose
places were read off standard atlases by eye: they look like a head, and measure nothing.
"""

import functools
from dataclasses import dataclass
from importlib import resources

import nibabel
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Field = NDArray[np.float64]

SELLA = (0.0, 4.0, -32.0)
CORNER = (-98.0, -134.0, -72.0)  # MNI position of the template's first voxel; its voxels are 1 mm
PADDING = ((4, 4), (4, 22), (45, 4))  # voxels of the coarse grid, to hold the face and the neck
COARSE = 2  # mm per voxel of the coarse grid

# (centre, radii, tissue); an x other than 0 stands for a pair. Later rows are painted over earlier ones.
STRUCTURES: tuple[tuple[tuple[float, float, float], tuple[float, float, float], str], ...] = (
    ((54, -2, -78), (10, 14, 22), "fat"),  # parotid
    ((35, 14, -66), (14, 15, 20), "muscle"),  # pterygoids
    ((54, 20, -80), (7, 16, 26), "muscle"),  # masseter
    ((68, 18, -22), (5, 24, 26), "muscle"),  # temporalis
    ((46, 12, -82), (4, 13, 28), "bone"),  # ramus of the mandible
    ((46, 12, -82), (2, 11, 26), "marrow"),
    ((32, -62, -88), (20, 22, 32), "muscle"),  # neck
    ((0, 48, -100), (25, 34, 18), "muscle"),  # tongue
    ((0, 54, -78), (22, 28, 3), "bone"),  # hard palate
    ((0, 52, -82), (20, 27, 1.6), "air"),  # mouth
    ((0, 10, -84), (9, 6, 26), "air"),  # pharynx
    ((0, 4, -125), (8, 7, 30), "air"),
    ((0, -2, -92), (26, 5, 30), "muscle"),  # prevertebral
    ((0, -22, -84), (6, 6, 14), "marrow"),  # dens
    ((0, -20, -112), (10, 9, 9), "marrow"),
    ((0, -19, -134), (10, 9, 9), "marrow"),
    ((0, 12, -43), (24, 24, 13), "bone"),  # body of the sphenoid
    ((0, -7, -42), (9, 6, 7), "marrow"),  # clivus
    ((0, -13, -51), (11, 6, 8), "marrow"),
    ((0, -18, -60), (12, 5, 8), "marrow"),
    ((34, -24, -41), (20, 8, 8), "bone"),  # petrous bone
    ((30, -20, -43), (9, 5, 4), "marrow"),
    ((55, -34, -46), (11, 14, 15), "cells"),  # mastoid
    ((31, 44, -40), (15, 20, 13), "orbit"),
    ((27, 40, -40), (3, 17, 3), "muscle"),  # optic nerve and muscles of the eye
    ((40, 46, -40), (2.5, 16, 5), "muscle"),
    ((19, 46, -40), (2.5, 16, 5), "muscle"),
    ((32, 63, -40), (12.5, 12, 12.5), "muscle"),  # wall of the eye
    ((32, 63, -40), (11, 10.5, 11), "csf"),  # vitreous
    ((0, 52, -42), (13, 22, 13), "cells"),  # ethmoid
    ((0, 80, -8), (18, 4, 9), "air"),  # frontal sinus
    ((29, 52, -67), (13, 15, 14), "air"),  # maxillary sinus
    ((0, 60, -62), (13, 27, 13), "air"),  # nose
    ((7, 58, -64), (3.2, 20, 8), "mucosa"),  # turbinates
    ((0, 62, -62), (1.2, 24, 12), "mucosa"),  # septum
    ((0, 21, -42), (13, 13, 9), "air"),  # sphenoid sinus
    ((0, 3, -22), (18, 12, 9), "csf"),  # suprasellar cistern
    ((12, 2, -33), (5, 9, 6), "gland"),  # cavernous sinus
    ((0, 4, -33), (8, 6.5, 4), "gland"),
    ((0, 1, -25), (1.3, 1.3, 7), "gland"),  # stalk
    ((12, 5, -31), (2.2, 6, 2.2), "artery"),  # internal carotid
    ((16, 3, -18), (11, 1.6, 1.6), "artery"),  # middle cerebral
    ((0, -16, -32), (1.7, 1.7, 12), "artery"),  # basilar
    ((0, -24, 9), (1.8, 20, 1.6), "pool"),  # internal cerebral veins
    ((0, -58, 8), (2, 17, 2.2), "pool"),  # straight sinus
)
# The outside of the head: the scalp, blended with these (centre, radii).
FACE = (
    ((0, 36, -60), (66, 56, 56)),
    ((0, 40, -96), (48, 44, 36)),
    ((0, 92, -54), (13, 17, 19)),
    ((0, -30, -120), (58, 58, 95)),
    ((87, -18, -38), (6, 13, 27)),
)


@dataclass(frozen=True)
class Template:
    """t1, white: uint8 (197, 233, 189), 1 mm; hull, skin: float32, 2 mm, signed distance in mm, negative inside."""

    t1: NDArray[np.uint8]
    white: NDArray[np.uint8]
    hull: NDArray[np.float32]
    skin: NDArray[np.float32]


@dataclass(frozen=True)
class Section:
    """One slice: for each pixel its MNI position and what the template holds there; float64 (H, W) each.

    t1 and white are in 0-255; hull is the distance in mm from the brain's smoothed surface and skin that from
    the outside of the head, both negative inside. `spacing` is mm per pixel."""

    x: Field
    y: Field
    z: Field
    t1: Field
    white: Field
    hull: Field
    skin: Field
    spacing: float
    plane: str


@functools.cache
def load_template() -> Template:
    """The template from nilearn's own files, offline, with the distances; about 3 s, once per process."""
    t1, white = (_volume(name) for name in ("t1", "wm"))
    # The medulla ends at the template's floor; the lowest slice repeated downwards serves as spinal cord.
    brain = np.pad((t1 > 0)[::COARSE, ::COARSE, ::COARSE], PADDING, mode="edge")
    grown = ndimage.distance_transform_edt(~brain) <= 5
    closed = ndimage.distance_transform_edt(np.pad(grown, 5, mode="edge"))[5:-5, 5:-5, 5:-5] > 5
    distance = ndimage.distance_transform_edt(~closed) - ndimage.distance_transform_edt(closed)
    hull = ndimage.gaussian_filter(COARSE * distance, 1.0)
    return Template(t1, white, hull.astype(np.float32), _skin(hull).astype(np.float32))


def _volume(name: str) -> NDArray[np.uint8]:
    # To import nilearn.datasets, whose folder it is, takes longer than all the rest.
    file = resources.files("nilearn") / "datasets/data" / f"mni_icbm152_{name}_tal_nlin_sym_09a_converted.nii.gz"
    with resources.as_file(file) as path:
        return np.ascontiguousarray(nibabel.load(path).dataobj, dtype=np.uint8)  # type: ignore[attr-defined]


def _skin(hull: Field) -> Field:
    origin = [corner - COARSE * before for corner, (before, _) in zip(CORNER, PADDING, strict=True)]
    x, y, z = np.meshgrid(*(o + COARSE * np.arange(n) for o, n in zip(origin, hull.shape, strict=True)), indexing="ij")
    # Low on the neck the hull is the spinal cord's: there the neck's own shape decides.
    surface = hull - 15.0 + np.clip(-70 - z, 0, None)
    for centre, radii in FACE:
        blend = 9.0
        shape = ellipsoid(x, y, z, centre, radii)
        mix = np.clip(0.5 + 0.5 * (shape - surface) / blend, 0, 1)
        surface = shape * (1 - mix) + surface * mix - blend * mix * (1 - mix)
    return surface


def ellipsoid(x: Field, y: Field, z: Field, centre: tuple[float, ...], radii: tuple[float, ...]) -> Field:
    """About the signed distance in mm from an ellipsoid, negative inside; x is folded, so a pair is one."""
    side = np.abs(x)
    (cx, cy, cz), (rx, ry, rz) = centre, radii
    ux, uy, uz = (side - cx) / rx, (y - cy) / ry, (z - cz) / rz
    level = np.sqrt(ux * ux + uy * uy + uz * uz)
    slope = np.sqrt((ux / rx) ** 2 + (uy / ry) ** 2 + (uz / rz) ** 2) / np.maximum(level, 1e-6)
    return (level - 1) / np.maximum(slope, 1e-6)


def section(x: Field, y: Field, z: Field, spacing: float, plane: str) -> Section:
    """Look the template up at MNI positions x, y, z (float64 (H, W), mm) by trilinear interpolation."""
    template = load_template()
    fine = (x - CORNER[0], y - CORNER[1], z - CORNER[2])
    coarse = tuple(axis / COARSE + before for axis, (before, _) in zip(fine, PADDING, strict=True))
    t1, white = trilinear((template.t1, template.white), fine)
    hull, skin = trilinear((template.hull, template.skin), coarse)
    return Section(x, y, z, t1, white, hull, skin, spacing, plane)


def trilinear(volumes: tuple[NDArray[np.generic], ...], at: tuple[Field, ...]) -> list[Field]:
    """Volumes of one shape at fractional voxel positions; beyond the border the border's value holds."""
    shape = volumes[0].shape
    base, high = [], []
    for axis, size in zip(at, shape, strict=True):
        inside = np.clip(axis, 0, size - 1.000001)
        base.append(inside.astype(np.int64))
        high.append(inside - base[-1])
    first = (base[0] * shape[1] + base[1]) * shape[2] + base[2]
    values = [np.zeros(first.shape) for _ in volumes]
    for corner in range(8):
        steps = (corner >> 2, corner >> 1 & 1, corner & 1)
        weight = np.ones(first.shape)
        for fraction, step in zip(high, steps, strict=True):
            weight *= fraction if step else 1 - fraction
        index = first + (steps[0] * shape[1] + steps[1]) * shape[2] + steps[2]
        for value, volume in zip(values, volumes, strict=True):
            value += weight * np.take(volume, index)
    return values
