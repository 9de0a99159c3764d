"""What retouching an image takes: a place grown by a margin, and an edge that does not show.

Distances are shares of the width, so that they mean the same at every size.
"""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt


def grow(mask: npt.NDArray[np.bool_], share: float) -> npt.NDArray[np.bool_]:
    """Return the mask, bool (H, W), grown by a share of the width."""
    width = 2 * round(share * mask.shape[1]) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    return np.asarray(cv2.dilate(mask.astype(np.uint8), disc), bool)


def blend(
    under: npt.NDArray[Any], over: npt.NDArray[Any], place: npt.NDArray[np.bool_], feather: float
) -> npt.NDArray[np.uint8]:
    """Return `under` with `over` at the place, uint8 (H, W); the edge is soft, its standard deviation `feather`."""
    soft = cv2.GaussianBlur(place.astype(np.float32), (0, 0), feather * place.shape[1])
    return np.clip(under * (1 - soft) + over * soft + 0.5, 0, 255).astype(np.uint8)
