"""The report's contour crop, one pure function a step (report, section III A; settings in `params.yaml`, `crop`).

Grey images are uint8 (H, W), 0 to 255. A box is (top, bottom, left, right) in pixels, bottom and right exclusive.
"""

from dataclasses import dataclass

import cv2
import numpy as np

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class CropSteps:
    """What each step of the crop saw: figure 1 of the report."""

    head: np.ndarray  # uint8 (H, W), 0 or 255: blurred, thresholded, eroded, dilated
    contour: np.ndarray | None  # int32 (n, 1, 2), x and y of the largest external contour; None where there is none
    box: Box


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


def extreme_box(contour: np.ndarray | None, shape: tuple[int, ...]) -> Box:
    """Return the box between the contour's extreme points; the whole image where there is no contour.

    As in the report's code, the extreme right and bottom points themselves are outside the box; a contour that leaves
    no pixel that way (a line) also keeps the whole image."""
    whole = (0, shape[0], 0, shape[1])
    if contour is None:
        return whole
    x, y = contour[:, 0, 0], contour[:, 0, 1]
    top, bottom, left, right = int(y.min()), int(y.max()), int(x.min()), int(x.max())
    return (top, bottom, left, right) if bottom > top and right > left else whole


def pad_box(box: Box, padding: int, shape: tuple[int, ...]) -> Box:
    """Return the box grown by `padding` pixels a side, as far as the image goes."""
    top, bottom, left, right = box
    return (
        max(top - padding, 0),
        min(bottom + padding, shape[0]),
        max(left - padding, 0),
        min(right + padding, shape[1]),
    )


def find_head(grey: np.ndarray, blur: int, threshold: int, erode: int, dilate: int, padding: int) -> CropSteps:
    """Run the crop's steps up to the box on a grey image, uint8 (H, W)."""
    head = head_mask(grey, blur, threshold, erode, dilate)
    contour = largest_contour(head)
    return CropSteps(head, contour, pad_box(extreme_box(contour, grey.shape), padding, grey.shape))


def cut(image: np.ndarray, box: Box) -> np.ndarray:
    """Return the part of the image (H, W) inside the box."""
    top, bottom, left, right = box
    return image[top:bottom, left:right]


def resize(image: np.ndarray, size: int, interpolation: str = "area") -> np.ndarray:
    """Return a grey image, uint8 (H, W), as uint8 (size, size); its proportions are not kept, as in the report.

    `area` averages what a new pixel covers, so that fine detail does not alias; `linear` is OpenCV's default, which
    the report's way of resizing leaves in place. Where the image grows, both are bilinear."""
    method = {"area": cv2.INTER_AREA, "linear": cv2.INTER_LINEAR}[interpolation]
    return cv2.resize(image, (size, size), interpolation=method)


def resize_mask(mask: np.ndarray, size: int) -> np.ndarray:
    """Return a lesion mask, uint8 (H, W) of 0 and 255, as uint8 (size, size) of 0 and 255.

    A pixel is lesion where at least half of its area is; a lesion too small for that keeps its densest pixel, so
    that no lesion vanishes."""
    share = cv2.resize(mask.astype(np.float32) / 255, (size, size), interpolation=cv2.INTER_AREA)
    threshold = min(0.5, float(share.max())) if mask.any() else np.inf
    return np.where(share >= threshold, 255, 0).astype(np.uint8)
