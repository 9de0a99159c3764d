"""Shortcut probes: images changed so that a classifier that sees the tumour must change its mind, or must not.

Images are uint8 (N, H, W), lesion masks bool (N, H, W). What the changes do to predictions is counted in
brain_mri/probing/shortcuts.py. Distances are shares of the width, so that probes mean the same at every size.
"""

import cv2
import numpy as np
import numpy.typing as npt

from brain_mri.augmentation.inpainting import blend, grow
from brain_mri.images.crop import head_mask, largest_contour

Images = npt.NDArray[np.uint8]
Masks = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

MARGIN = 0.02  # grown around a lesion before it is covered, so that no rim of it stays
FEATHER = 0.012  # standard deviation of the soft edge of what is pasted
RIM = 0.1  # the outer part of the head that `border_only` leaves


def cover_by_inpainting(images: Images, masks: Masks) -> Images:
    """Fill each lesion from its surroundings (Telea, J. Graphics Tools 9, 2004; OpenCV's `inpaint`)."""
    filled = np.empty_like(images)
    for i, mask in enumerate(_grow(masks, MARGIN)):
        filled[i] = cv2.inpaint(images[i], mask.astype(np.uint8), 3, cv2.INPAINT_TELEA)
    return filled


def cover_by_mirroring(images: Images, masks: Masks) -> tuple[Images, Masks]:
    """Fill each lesion with the same place on the other side of the head, softly blended.

    Returns the images and bool (N,): the two places do not overlap. Where False (a lesion on the midline) part of the
    lesion is still there: leave these images out. On sagittal slices the other side is the other end of the head.
    """
    grown = _grow(masks, MARGIN)
    filled, clear = np.empty_like(images), np.empty(len(images), bool)
    for i, (image, mask) in enumerate(zip(images, grown, strict=True)):
        left, right = _box(_head(image))[2:]
        flip = np.array([[-1, 0, left + right - 1], [0, 1, 0]], float)
        size = (image.shape[1], image.shape[0])
        other = cv2.warpAffine(image, flip, size, flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
        mirrored = cv2.warpAffine(masks[i].astype(np.uint8), flip, size, flags=cv2.INTER_NEAREST)
        filled[i] = blend(image, other, mask, FEATHER)
        clear[i] = not (mirrored.astype(bool) & mask).any()
    return filled, clear


def keep_box(images: Images, masks: Masks) -> Images:
    """Black out everything but the box around each lesion, grown by twice MARGIN."""
    kept = np.zeros_like(images)
    for image, mask, shown in zip(images, _grow(masks, 2 * MARGIN), kept, strict=True):
        top, bottom, left, right = _box(mask)
        shown[top:bottom, left:right] = image[top:bottom, left:right]
    return kept


def border_only(images: Images) -> Images:
    """Leave the background and the outer RIM of the head; what lies inside becomes its mean grey."""
    shown = images.copy()
    for image in shown:
        head = np.pad(_head(image).astype(np.uint8), 1)
        inside = cv2.distanceTransform(head, cv2.DIST_L2, 5)[1:-1, 1:-1] > RIM * image.shape[1]
        image[inside] = round(float(image[inside].mean())) if inside.any() else 0
    return shown


def shuffle_pixels(images: Images, seed: int) -> Images:
    """Leave the histogram alone: each image's pixels in an order drawn from (seed, index)."""
    shuffled = images.copy()
    for i, image in enumerate(shuffled):
        np.random.default_rng((seed, i)).shuffle(image.reshape(-1))
    return shuffled


def transplant(donors: Images, masks: Masks, recipients: Images) -> Images:
    """Move the masked part of each donor into the recipient's head: same place within the head's box, soft edge.

    Its brightness is scaled by the ratio of the greys around the two places. The sham is the same call with donors that
    have no lesion and the same masks.
    """
    images = np.empty_like(recipients)
    for i, (donor, mask, recipient) in enumerate(zip(donors, _grow(masks, MARGIN), recipients, strict=True)):
        move = _box_to_box(_box(_head(donor)), _box(_head(recipient)))
        size = (recipient.shape[1], recipient.shape[0])
        patch = cv2.warpAffine(donor, move, size, borderMode=cv2.BORDER_REPLICATE).astype(float)
        place = cv2.warpAffine(mask.astype(np.uint8), move, size, flags=cv2.INTER_NEAREST).astype(bool)
        ring = grow(place, 2 * MARGIN) & ~place
        gain = (recipient[ring].mean() + 1) / (patch[ring].mean() + 1) if ring.any() else 1.0
        images[i] = blend(recipient, patch * gain, place, FEATHER)
    return images


def _head(image: Images) -> Masks:
    """The head without holes, bool (H, W): convex hull of the largest bright part; the whole image where none is."""
    contour = largest_contour(
        head_mask(image, blur=5, threshold=max(int(np.percentile(image, 99) * 0.12), 4), erode=2, dilate=2)
    )
    if contour is None:
        return np.ones(image.shape, bool)
    return cv2.fillConvexPoly(np.zeros(image.shape, np.uint8), cv2.convexHull(contour), 1).astype(bool)


def _box(mask: Masks) -> tuple[int, int, int, int]:
    """Top, bottom, left, right (bottom and right exclusive) of a mask; all 0 for an empty one."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return (int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1) if len(rows) else (0, 0, 0, 0)


def _box_to_box(start: tuple[int, int, int, int], end: tuple[int, int, int, int]) -> Floats:
    down, across = ((end[k + 1] - end[k]) / (start[k + 1] - start[k]) for k in (0, 2))
    return np.array([[across, 0, end[2] - across * start[2]], [0, down, end[0] - down * start[0]]])


def _grow(masks: Masks, share: float) -> Masks:
    grown = np.empty_like(masks, dtype=bool)
    for i, mask in enumerate(masks):
        grown[i] = grow(mask, share)
    return grown
