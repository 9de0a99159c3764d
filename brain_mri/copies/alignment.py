"""Verification of a candidate pair: align two thumbnails, then ask whether their fine texture agrees.

Neighbouring slices of one head agree in shape and differ in fine texture; a copy, however treated, keeps it.
Inverse compositional alignment: Baker and Matthews, Lucas-Kanade 20 years on (IJCV 2004), section 3.2.

Matrices are multiplied by `np.einsum` and inverted by OpenCV: `@` and `np.linalg` use BLAS, whose last bit depends on
the make of the CPU, and scores are written to disk."""

import functools
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from brain_mri.copies.descriptions import ORIENTATIONS, THUMBNAIL, Floats, Image, local_contrast, turned

Motion = NDArray[np.float64]  # (3, 3) affine, coordinates from -1 to 1: from a place in the second image to the first

COARSE = 64  # pixels: shape is aligned at this size, then texture at the thumbnail's own
ITERATIONS = 12
CONVERGED = 0.02  # pixels: a smaller step ends the iteration
FARTHEST = 0.35  # of half the thumbnail: a larger motion is no alignment of two copies
MARGIN = 8  # pixels of the thumbnail, left out of the comparison: what lies there may come from outside the frame
DECIDED = (0.60, 0.97)  # similarities beyond which aligning the texture changes no verdict


class Template:
    """A square image (S, S), standardised, that others are aligned to."""

    def __init__(self, image: Floats) -> None:
        self.image = _standardised(image)

    @functools.cached_property
    def solver(self) -> Floats:
        """(6, S * S): takes the difference to another image to the Gauss-Newton step of the six affine parameters."""
        size = len(self.image)
        down, right = np.gradient(self.image)
        y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j].astype(np.float32)
        steepest = np.stack([right * x, right * y, right, down * x, down * y, down]).reshape(6, -1)
        hessian = np.einsum("ip,jp->ij", steepest, steepest) + 1e-3 * np.eye(6, dtype=np.float32)
        inverse = cv2.invert(hessian, flags=cv2.DECOMP_CHOLESKY)[1]
        return np.einsum("ij,jp->ip", inverse, steepest)

    def turned(self, orientation: int) -> Floats:
        """The image in another orientation (index into ORIENTATIONS)."""
        return np.ascontiguousarray(turned(self.image, ORIENTATIONS[orientation]))


class Prepared:
    """A thumbnail (THUMBNAIL, THUMBNAIL) prepared for comparing."""

    def __init__(self, thumbnail: Image) -> None:
        self.shape = Template(local_contrast(thumbnail, COARSE, 8))
        self.texture = Template(local_contrast(thumbnail, THUMBNAIL, 4))


def similarity(first: Prepared, second: Prepared, orientation: int) -> float:
    """Correlation, -1 to 1, of the fine texture of `first`, turned and aligned, with that of `second`.

    `orientation` is an index into ORIENTATIONS. 0 where no small motion brings the two together."""
    texture = first.texture.turned(orientation)
    motion = _align(second.shape, first.shape.turned(orientation), np.eye(3))
    found = _correlation(second.texture, texture, motion)
    if DECIDED[0] < found < DECIDED[1]:
        motion = _align(second.texture, texture, motion)
        found = max(found, _correlation(second.texture, texture, motion))
    return found


def _align(fixed: Template, moving: Floats, motion: Motion) -> Motion:
    half = (len(moving) - 1) / 2
    for _ in range(ITERATIONS):
        difference = (_warped(moving, motion) - fixed.image).ravel()
        step = np.einsum("ip,p->i", fixed.solver, difference).astype(np.float64)
        change = np.eye(3)
        change[:2] += step.reshape(2, 3) / half
        motion = np.einsum("ij,jk->ik", motion, cv2.invert(change)[1])
        if np.abs(step).max() < CONVERGED or _too_far(motion):
            break
    return motion


def _too_far(motion: Motion) -> bool:
    return bool(np.abs(motion - np.eye(3)).max() > FARTHEST)


def _correlation(fixed: Template, moving: Floats, motion: Motion) -> float:
    if _too_far(motion):
        return 0.0
    inner = slice(MARGIN, -MARGIN)
    one, other = _warped(moving, motion)[inner, inner], fixed.image[inner, inner]
    return float(np.mean(_standardised(one) * _standardised(other)))


def _standardised(image: Floats) -> Floats:
    centred = image - image.mean()
    return centred / (np.sqrt(np.mean(centred * centred)) + np.float32(1e-6))


def _warped(image: Floats, motion: Motion) -> Any:
    half = (len(image) - 1) / 2
    linear, offset = motion[:2, :2], motion[:2, 2]
    matrix = np.column_stack([linear, half * (offset + 1 - linear.sum(axis=1))])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(image, matrix, image.shape[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)
