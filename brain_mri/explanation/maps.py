"""Maps without Keras: those that need no gradients, and how any are enlarged, compared and shown.

Maps are float32, (N, h, w) at a layer's resolution or (N, H, W) at the image's.
"""

import cv2
import numpy as np
from scipy.special import softmax

LESION_MAP = "lesion_map"  # of networks with a lesion head, beside saliency.METHODS


def lesion_map(logits: np.ndarray, classes: np.ndarray, negative: int | None) -> np.ndarray:
    """Return the share of each image's class, int (N,), at each place of a lesion head's map, (N, h, w), 0 to 1, from
    its logits, float32 (N, h, w, C); of the class `negative` that of all others."""
    shares = softmax(logits, axis=-1)
    maps = np.stack([shares[place, :, :, label] for place, label in enumerate(classes)])
    none = classes == negative
    maps[none] = 1 - maps[none]
    return maps


def upsample(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bilinear upsampling of maps (n, h, w) to `size` (height, width), pixel areas aligned, border repeated."""
    large = np.empty((len(maps), *size), np.float32)
    for index, small in enumerate(maps):
        large[index] = cv2.resize(small, size[::-1], interpolation=cv2.INTER_LINEAR)
    return large


def sobel(images: np.ndarray) -> np.ndarray:
    """Length of the 3x3 Sobel gradient of images (n, H, W, C), channels averaged: (n, H, W) in grey levels a pixel."""
    grey = images.mean(axis=-1, dtype=np.float32) / 8  # 8 is the kernel's own weight
    slopes = [(cv2.Sobel(image, cv2.CV_32F, 1, 0), cv2.Sobel(image, cv2.CV_32F, 0, 1)) for image in grey]
    return np.stack([np.hypot(across, down) for across, down in slopes])


def importance(maps: np.ndarray) -> np.ndarray:
    """The absolute value, as Simonyan 2014 takes of the gradient: what the scores compare. CAMs are unchanged by it."""
    return np.abs(maps)


def normalise(maps: np.ndarray) -> np.ndarray:
    """Scale each non-negative map (N, H, W) so that its maximum is 1; a map of nothing stays 0."""
    top = maps.max(axis=(1, 2), keepdims=True)
    return maps / np.where(top > 0, top, 1)


def displayed(method: str, maps: np.ndarray) -> np.ndarray:
    """Return maps (N, H, W) of the method as a reader sees them, 0 to 1: each scaled so that its maximum is 1, but a
    lesion map, whose values are shares, as it is: what is nowhere likely is nowhere red."""
    return maps if method == LESION_MAP else normalise(importance(maps))
