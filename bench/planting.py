"""Known copies: an image changed by a stated kind and strength, to measure what the audit for copies finds."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from brain_mri.copies.descriptions import ORIENTATIONS, Image, turned

# Three strengths a kind: fractions, but JPEG quality, the factor of a resize (either way) and the blur's sigma
# in pixels of an image of 512.
STRENGTHS: dict[str, tuple[float, ...]] = {
    "copy": (0,),
    "turn": (0,),
    "jpeg": (90, 70, 50),
    "resize": (1.25, 1.6, 2.0),
    "brightness": (0.03, 0.06, 0.10),
    "contrast": (0.10, 0.20, 0.30),
    "sharpness": (0.5, 1.0, 1.5),
    "crop": (0.01, 0.02, 0.03),
    "shift": (0.01, 0.02, 0.03),
}


def plant(grey: Image, kind: str, strength: float, mirrored: bool, rng: np.random.Generator) -> tuple[Image, str]:
    """A copy of `grey` (H, W), mirrored first if asked, then changed by `kind` (a key of STRENGTHS, or "text": words
    burnt in, so high a share of the picture) at a strength in that kind's unit.

    Returns the copy and its orientation. "turn" draws one of the six orientations that neither keep nor mirror
    left to right; the others draw the sign or side of the change."""
    orientation = "flip_lr" if mirrored else "identity"
    if kind == "turn":
        orientation = str(rng.choice([name for name in ORIENTATIONS if name not in ("identity", "flip_lr")]))
    image = np.ascontiguousarray(turned(grey, orientation))
    height, width = image.shape
    match kind:
        case "jpeg":
            encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(strength)])[1]
            image = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE), np.uint8)
        case "resize":
            factor = strength ** rng.choice([-1, 1])
            interpolation = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
            size = (round(width * factor), round(height * factor))
            image = np.asarray(cv2.resize(image, size, interpolation=interpolation), np.uint8)
        case "brightness":
            change = strength * rng.choice([-1, 1])
            # A display's brightness adds, an intensity scale multiplies: both pass under the word.
            image = _clipped(image * (1 + change) if rng.integers(2) else image + 255.0 * change)
        case "contrast":
            image = _clipped((image - image.mean()) * (1 + strength * rng.choice([-1, 1])) + image.mean())
        case "sharpness":
            blurred = cv2.GaussianBlur(image, (0, 0), strength * max(image.shape) / 512)
            image = blurred if rng.integers(2) else _clipped(2.0 * image - blurred)
        case "crop":
            sides = np.array([height, height, width, width]) * strength * rng.uniform(0, 1, 4)
            top, bottom, _, right = np.round(sides).astype(int)
            left = round(width * strength)  # one side loses the full strength, so that the kind is as strong as it says
            image = np.ascontiguousarray(image[top : height - bottom, left : width - right])
            if rng.integers(2):
                image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
        case "text":
            size = strength * height
            place = (round(0.05 * width), round(rng.uniform(0.1, 0.9) * (height - size) + size))
            scale, thickness = size / 22, max(1, round(size / 12))  # the font's capitals have 22 pixels
            image = image.copy()
            cv2.putText(image, "Some words", place, cv2.FONT_HERSHEY_SIMPLEX, scale, 255, thickness, cv2.LINE_AA)
        case "shift":
            right, down = strength * rng.choice([-1, 1], 2) * (width, height)
            border = cv2.BORDER_REPLICATE if rng.integers(2) else cv2.BORDER_CONSTANT
            matrix = np.array([[1, 0, right], [0, 1, down]])
            image = np.asarray(cv2.warpAffine(image, matrix, (width, height), borderMode=border), np.uint8)
    return image, orientation


def _clipped(values: NDArray[Any]) -> Image:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)
