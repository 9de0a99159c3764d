"""The paper's contour crop (section III A): the one way by which images reach a network, in training and prediction.

Grey images are uint8 (H, W), 0 to 255. A box is (top, bottom, left, right) in pixels, bottom and right exclusive.
Settings are the section `crop` of `params.yaml`.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from brain_mri.images.levels import stretch
from brain_mri.params import Crop

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Head:
    """What each step of the crop found: figure 1 of the paper."""

    grey: np.ndarray  # uint8 (H, W): the image, stretched where the study says so; what is cut out comes from it
    contour: np.ndarray | None  # int32 (n, 1, 2), x and y of the largest external contour; None where there is none
    box: Box


def find_head(grey: np.ndarray, settings: Crop) -> Head:
    """Run the crop's steps up to the box on a grey image, uint8 (H, W).

    With `stretch`, a darker, brighter or flatter copy of an image gives the same but for rounding."""
    grey = stretch(grey) if settings.stretch else grey
    contour = largest_contour(head_mask(grey, settings.blur, settings.threshold, settings.erode, settings.dilate))
    return Head(grey, contour, head_box(contour, grey.shape, settings.padding))


def head_mask(grey: np.ndarray, blur: int, threshold: int, erode: int, dilate: int) -> np.ndarray:
    """Return the bright foreground as uint8 (H, W), 0 or 255.

    Gaussian blur of `blur` pixels (odd), `> threshold`, then that many rounds of erosion and dilation with a 3x3
    square."""
    blurred = cv2.GaussianBlur(grey, (blur, blur), 0)
    foreground = cv2.threshold(blurred, threshold, 255, cv2.THRESH_BINARY)[1]
    square = np.ones((3, 3), np.uint8)
    eroded = cv2.erode(foreground, square, iterations=erode)
    return cv2.dilate(eroded, square, iterations=dilate)


def largest_contour(mask: np.ndarray) -> np.ndarray | None:
    """Return the external contour that encloses the largest area, int32 (n, 1, 2), or None for an empty mask."""
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return max(contours, key=cv2.contourArea, default=None)


def head_box(contour: np.ndarray | None, shape: tuple[int, ...], padding: int) -> Box:
    """Return the box between the contour's extreme points, grown by `padding` pixels a side as far as the image goes.

    As in the paper's code, the extreme right and bottom points themselves are outside the box. Without a contour, or
    with one that leaves no pixel that way (a line), it is the whole image."""
    height, width = shape
    if contour is None:
        return 0, height, 0, width
    x, y = contour[:, 0, 0], contour[:, 0, 1]
    top, bottom, left, right = int(y.min()), int(y.max()), int(x.min()), int(x.max())
    if bottom <= top or right <= left:
        return 0, height, 0, width
    return max(top - padding, 0), min(bottom + padding, height), max(left - padding, 0), min(right + padding, width)


def cut(image: np.ndarray, box: Box) -> np.ndarray:
    """Return the part of the image (H, W) inside the box."""
    top, bottom, left, right = box
    return image[top:bottom, left:right]


def cut_out(head: Head, settings: Crop) -> np.ndarray:
    """Cut the head out of its image and resize it: uint8 (size, size)."""
    return resize(cut(head.grey, head.box), settings.size, settings.interpolation)


def crop(grey: np.ndarray, settings: Crop) -> np.ndarray:
    """Find the head in a grey image, uint8 (H, W), cut it out and resize it: uint8 (size, size)."""
    return cut_out(find_head(grey, settings), settings)


def resize(image: np.ndarray, size: int, interpolation: str = "area") -> np.ndarray:
    """Return a grey image, uint8 (H, W), as uint8 (size, size); its proportions are not kept, as in the paper.

    `area` averages what a new pixel covers, so that fine detail does not alias; `linear` is OpenCV's default, which
    the paper's way of resizing leaves in place. Where the image grows, both are bilinear."""
    method = {"area": cv2.INTER_AREA, "linear": cv2.INTER_LINEAR}[interpolation]
    return cv2.resize(image, (size, size), interpolation=method)


def resize_mask(mask: np.ndarray, size: int) -> np.ndarray:
    """Return a lesion mask, uint8 (H, W) of 0 and 255, as uint8 (size, size) of 0 and 255.

    A pixel is lesion where at least half of its area is; a lesion too small for that keeps its densest pixel, so
    that no lesion vanishes."""
    share = cv2.resize(mask.astype(np.float32) / 255, (size, size), interpolation=cv2.INTER_AREA)
    threshold = min(0.5, float(share.max())) if mask.any() else np.inf
    return np.where(share >= threshold, 255, 0).astype(np.uint8)


def to_network(crops: np.ndarray, size: int) -> np.ndarray:
    """Resize crops, uint8 (N, H, W), to the network's input as training does: uint8 (N, size, size, 1)."""
    return np.stack([resize(image, size) for image in crops])[..., None]
