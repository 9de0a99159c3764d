"""Augmentation of training images (paper, section IV): rotation, shift and zoom as one affine map an image."""

import cv2
import numpy as np

from brain_mri.params import Augment


def draw_matrix(settings: Augment, rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw one map about the image's centre, float64 (2, 3): from a pixel of the result to one of the source.

    Each part is drawn uniformly and on its own, from the range of the settings of its name."""
    angle = np.deg2rad(rng.uniform(-settings.rotation, settings.rotation))
    shift = rng.uniform(-settings.shift, settings.shift, 2) * size
    scale = rng.uniform(1 - settings.zoom, 1 + settings.zoom, 2)
    mirror = np.array([-1.0 if settings.flip and rng.random() < 0.5 else 1.0, 1.0])
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = rotation * (scale * mirror)
    centre = np.full(2, (size - 1) / 2)
    return np.column_stack([linear, centre + shift - linear @ centre])


def move(image: np.ndarray, matrix: np.ndarray, interpolation: int) -> np.ndarray:
    """Return the image, uint8 (size, size), moved by a map of `draw_matrix`; what enters repeats the border."""
    size = image.shape[:2][::-1]
    return cv2.warpAffine(
        image, matrix, size, flags=interpolation | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
    )
