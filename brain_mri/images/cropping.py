"""The crop with a study's settings: the one way by which images reach a network, in training and in prediction."""

import numpy as np

from brain_mri.images.imaging import CropSteps, cut, find_head, resize
from brain_mri.params import Crop


def head_of(grey: np.ndarray, settings: Crop) -> CropSteps:
    """Find the head in a grey image, uint8 (H, W)."""
    return find_head(grey, settings.blur, settings.threshold, settings.erode, settings.dilate, settings.padding)


def cut_out(grey: np.ndarray, head: CropSteps, settings: Crop) -> np.ndarray:
    """Cut the head out of its grey image, uint8 (H, W), and resize it: uint8 (size, size)."""
    return resize(cut(grey, head.box), settings.size, settings.interpolation)


def crop(grey: np.ndarray, settings: Crop) -> np.ndarray:
    """Find the head in a grey image, uint8 (H, W), cut it out and resize it: uint8 (size, size)."""
    return cut_out(grey, head_of(grey, settings), settings)


def to_network(crops: np.ndarray, size: int) -> np.ndarray:
    """Resize crops, uint8 (N, H, W), to the network's input as training does: uint8 (N, size, size, 1)."""
    return np.stack([resize(image, size) for image in crops])[..., None]
