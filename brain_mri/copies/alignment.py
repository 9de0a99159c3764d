"""Verification of a candidate pair: align two thumbnails, then ask whether their fine texture agrees.

Neighbouring slices of one head agree in shape and differ in fine texture; a copy, however treated, keeps it.
Inverse compositional alignment: Baker and Matthews, Lucas-Kanade 20 years on (IJCV 2004), section 3.2.

Sums are NumPy's own (`np.einsum`) and the matrix is inverted by OpenCV: `@` and `np.linalg` use BLAS, whose last bit
depends on the make of the CPU, and scores are written to disk."""

import functools
from typing import NamedTuple

import cv2
import numpy as np

from brain_mri.copies.descriptions import ORIENTATIONS, THUMBNAIL, Floats, Image, local_contrast, turned

COARSE = 64  # pixels: shape is aligned at this size, then texture at the thumbnail's own
ITERATIONS = 12
CONVERGED = 0.02  # pixels: a smaller step ends the iteration
FARTHEST = 0.35  # of half the thumbnail: a larger motion is no alignment of two copies
INNER = slice(8, -8)  # pixels of the thumbnail that are compared: what lies beyond may come from outside the frame
DECIDED = (0.60, 0.97)  # similarities beyond which aligning the texture changes no verdict


class Motion(NamedTuple):
    """An affine motion from a place in the second image to the first, coordinates from -1 to 1: (x, y) goes to
    (xx x + xy y + x0, yx x + yy y + y0). Python's floats, because arrays of six numbers cost more than the sums."""

    xx: float = 1.0
    xy: float = 0.0
    x0: float = 0.0
    yx: float = 0.0
    yy: float = 1.0
    y0: float = 0.0

    @property
    def too_far(self) -> bool:
        return max(abs(own - rest) for own, rest in zip(self, Motion(), strict=True)) > FARTHEST

    def after_undoing(self, change: "Motion") -> "Motion":
        """This motion after the inverse of `change`."""
        size = change.xx * change.yy - change.xy * change.yx
        xx = (self.xx * change.yy - self.xy * change.yx) / size
        xy = (self.xy * change.xx - self.xx * change.xy) / size
        yx = (self.yx * change.yy - self.yy * change.yx) / size
        yy = (self.yy * change.xx - self.yx * change.xy) / size
        x0 = self.x0 - xx * change.x0 - xy * change.y0
        y0 = self.y0 - yx * change.x0 - yy * change.y0
        return Motion(xx, xy, x0, yx, yy, y0)


class Template:
    """A square image (S, S), standardised, that others are aligned to."""

    def __init__(self, image: Floats) -> None:
        self.image = _standardised(image)

    @functools.cached_property
    def inner(self) -> Floats:
        """What is compared, standardised: the image without its margin."""
        return _standardised(self.image[INNER, INNER])

    @functools.cached_property
    def steepest(self) -> Floats:
        """(6, S * S): how the image changes with each of the six affine parameters."""
        size = len(self.image)
        centred = np.array([[-0.5, 0, 0.5]], np.float32)
        right, down = (
            cv2.filter2D(self.image, -1, kernel, borderType=cv2.BORDER_REPLICATE) for kernel in (centred, centred.T)
        )
        x = np.linspace(-1, 1, size, dtype=np.float32)
        y = x[:, np.newaxis]
        return np.stack([right * x, right * y, right, down * x, down * y, down]).reshape(6, -1)

    @functools.cached_property
    def inverse_hessian(self) -> Floats:
        """(6, 6), of half the squared difference to another image."""
        hessian = np.zeros((6, 6), np.float32)
        for row in range(6):
            hessian[row, row:] = hessian[row:, row] = np.einsum("jp,p->j", self.steepest[row:], self.steepest[row])
        return np.asarray(cv2.invert(hessian + 1e-3 * np.eye(6, dtype=np.float32), flags=cv2.DECOMP_CHOLESKY)[1])

    def step(self, difference: Floats) -> list[float]:
        """The Gauss-Newton step of the six parameters, in pixels at the rim, for a difference (S, S) to the image."""
        slope = np.einsum("ip,p->i", self.steepest, difference.ravel())
        found: list[float] = np.einsum("ij,j->i", self.inverse_hessian, slope).tolist()
        return found

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
    motion = _align(second.shape, first.shape.turned(orientation), Motion())
    found = _correlation(second.texture, texture, motion)
    if DECIDED[0] < found < DECIDED[1]:
        motion = _align(second.texture, texture, motion)
        found = max(found, _correlation(second.texture, texture, motion))
    return found


def _align(fixed: Template, moving: Floats, motion: Motion) -> Motion:
    half = (len(moving) - 1) / 2
    for _ in range(ITERATIONS):
        step = fixed.step(_warped(moving, motion) - fixed.image)
        motion = motion.after_undoing(Motion(*(own + part / half for own, part in zip(Motion(), step, strict=True))))
        if max(map(abs, step)) < CONVERGED or motion.too_far:
            break
    return motion


def _correlation(fixed: Template, moving: Floats, motion: Motion) -> float:
    if motion.too_far:
        return 0.0
    one = _standardised(_warped(moving, motion)[INNER, INNER])
    return float(np.einsum("ij,ij->", one, fixed.inner) / one.size)


def _standardised(image: Floats) -> Floats:
    mean, spread = (float(number[0, 0]) for number in cv2.meanStdDev(image))
    return (image - np.float32(mean)) * np.float32(1 / (spread + 1e-6))


def _warped(image: Floats, motion: Motion) -> Floats:
    half = (len(image) - 1) / 2
    xx, xy, x0, yx, yy, y0 = motion
    matrix = np.array([[xx, xy, half * (x0 + 1 - xx - xy)], [yx, yy, half * (y0 + 1 - yx - yy)]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(image, matrix, image.shape[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, np.float32)
