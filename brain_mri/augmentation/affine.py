"""Augmentation of training images (report, section IV): rotation, shift and zoom as one affine map an image."""

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Affine:
    """The range that an image's map is drawn from, uniformly and each part on its own."""

    rotation: float  # degrees, either way
    shift: float  # share of the side, either way, for width and for height
    zoom: float  # scale between 1 - zoom and 1 + zoom, for width and for height
    flip: bool  # mirror left and right in half of the images

    def matrix(self, rng: np.random.Generator, size: int) -> np.ndarray:
        """Draw one map about the image's centre, float64 (2, 3): from a pixel of the result to one of the source."""
        angle = np.deg2rad(rng.uniform(-self.rotation, self.rotation))
        shift = rng.uniform(-self.shift, self.shift, 2) * size
        scale = rng.uniform(1 - self.zoom, 1 + self.zoom, 2)
        mirror = np.array([-1.0 if self.flip and rng.random() < 0.5 else 1.0, 1.0])
        rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        linear = rotation * (scale * mirror)
        centre = np.full(2, (size - 1) / 2)
        return np.column_stack([linear, centre + shift - linear @ centre])


def move(image: np.ndarray, matrix: np.ndarray, interpolation: int) -> np.ndarray:
    """Return the image, uint8 (size, size), moved by a map of `Affine.matrix`; what enters repeats the border."""
    size = image.shape[:2][::-1]
    return cv2.warpAffine(
        image, matrix, size, flags=interpolation | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
    )
