"""Shortcut probes: does the classifier see the tumour, or where the image came from?

Images are uint8 (N, H, W), lesion masks bool (N, H, W). Each probe shows the classifier changed images; `probe_rates`
and `transplant_rates` compare its predictions with those before, each beside the value of a classifier that ignores
lesions. Distances are shares of the width, so that probes mean the same at every size.
"""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from core.evaluation.bootstrap import effective_number, mean_interval, score_interval, standard_errors
from core.evaluation.comparison import mcnemar
from core.evaluation.metrics import Floats, Ints, weighted_metrics
from core.images.imaging import head_mask, largest_contour

Images = npt.NDArray[np.uint8]
Masks = npt.NDArray[np.bool_]

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
        filled[i] = _blend(image, other, mask)
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


def shuffle_pixels(images: Images, seed: int, first_index: int = 0) -> Images:
    """Leave the histogram alone: each image's pixels in an order drawn from (seed, index)."""
    shuffled = images.copy()
    for i, image in enumerate(shuffled):
        np.random.default_rng((seed, first_index + i)).shuffle(image.reshape(-1))
    return shuffled


def transplant(donors: Images, masks: Masks, recipients: Images) -> tuple[Images, Masks]:
    """Move the masked part of each donor into the recipient's head: same place within the head's box, soft edge.

    Its brightness is scaled by the ratio of the greys around the two places. The sham is the same call with donors that
    have no lesion and the same masks. Returns the images and the masks where the parts now lie.
    """
    images, moved = np.empty_like(recipients), np.empty_like(masks)
    for i, (donor, mask, recipient) in enumerate(zip(donors, _grow(masks, MARGIN), recipients, strict=True)):
        move = _box_to_box(_box(_head(donor)), _box(_head(recipient)))
        size = (recipient.shape[1], recipient.shape[0])
        patch = cv2.warpAffine(donor, move, size, borderMode=cv2.BORDER_REPLICATE).astype(float)
        place = cv2.warpAffine(mask.astype(np.uint8), move, size, flags=cv2.INTER_NEAREST).astype(bool)
        ring = _grow(place[None], 2 * MARGIN)[0] & ~place
        gain = (recipient[ring].mean() + 1) / (patch[ring].mean() + 1) if ring.any() else 1.0
        images[i] = _blend(recipient, patch * gain, place)
        moved[i] = place
    return images, moved


def probe_rates(
    labels: Ints, before: Ints, after: Ints, groups: Ints, negative: int, lesion_shown: bool, seed: int = 0
) -> dict[str, Any]:
    """What becomes of right tumour predictions when a probe hides the lesion, or shows it alone (`lesion_shown`).

    labels, before, after, groups: int (N,), predictions before and after; counted are images with a tumour that was
    called by its class before. Returns `n`, and as {`value`, `interval`} the rates `kept`, `called_negative`,
    `called_other`; `kept` also has `chance` (both predictions drawn independently) and `if_lesion_ignored`: 1 where the
    rest of the image can be seen, chance where the lesion alone can.
    """
    chosen = (before == labels) & (labels != negative)
    labels, before, after, groups = labels[chosen], before[chosen], after[chosen], groups[chosen]
    events = {"kept": after == before, "called_negative": after == negative}
    events["called_other"] = ~events["kept"] & ~events["called_negative"]
    rates = {name: mean_interval(event.astype(float), groups, seed=seed) for name, event in events.items()}
    for rate in rates.values():
        del rate["n"]
    chance = sum((before == c).mean() * (after == c).mean() for c in np.unique(before)) if len(before) else None
    chance = None if chance is None else float(chance)
    rates["kept"].update(chance=chance, if_lesion_ignored=chance if lesion_shown else 1.0)
    return {"n": len(before), **rates}


def transplant_rates(
    donor_labels: Ints, recipient_labels: Ints, before: Ints, after: Ints, sham: Ints, groups: Ints, seed: int = 0
) -> dict[str, Any]:
    """How often a moved lesion turns a right prediction into the donor's class, and how often a sham patch does.

    All int (N,): classes of donors and recipients, predictions of the recipients before, with lesion, with sham;
    counted are recipients that were called right and are of another class than the donor. Returns `n`, `lesion` and
    `sham` ({`value`, `interval`} of calls of the donor's class; a classifier that ignores lesions has the sham's rate
    for both) and `p_value` of their difference (exact McNemar test).
    """
    chosen = (before == recipient_labels) & (donor_labels != recipient_labels)
    target, groups = donor_labels[chosen], groups[chosen]
    rates: dict[str, Any] = {}
    for name, predictions in (("lesion", after[chosen]), ("sham", sham[chosen])):
        rates[name] = mean_interval((predictions == target).astype(float), groups, seed=seed)
        del rates[name]["n"]
    p_value = mcnemar(target, sham[chosen], after[chosen])["p_value"] if len(target) else None
    return {"n": len(target), **rates, "p_value": p_value}


def source_probe(features: Floats, sources: Ints, groups: Ints, seed: int = 0) -> dict[str, Any]:
    """Can a linear model tell from frozen features, within one class, which source an image is from?

    features: float (N, D); sources, groups: int (N,). Logistic regression on standardised features, 5-fold
    cross-validation with whole groups held out. Returns `n`, `sources`, `chance` (1 / sources) and `balanced_accuracy`
    with its `interval`; both None where fewer than two sources have five groups each (smaller sources are left out).
    """
    pairs = np.unique(np.stack([sources, groups], 1), axis=0)
    names, counts = np.unique(pairs[:, 0], return_counts=True)
    kept = np.isin(sources, names[counts >= 5])
    features, groups = np.asarray(features, float)[kept], groups[kept]
    names, sources = np.unique(sources[kept], return_inverse=True)
    found: dict[str, Any] = {"n": len(sources), "sources": len(names), "chance": 1 / max(len(names), 1)}
    if len(names) < 2:
        return {**found, "balanced_accuracy": None, "interval": None}
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=seed)
    guesses = np.eye(len(names))[cross_val_predict(model, features, sources, groups=groups, cv=folds)]

    def statistic(weights: Floats) -> Floats:
        table = weighted_metrics(sources, guesses, [str(name) for name in names], weights, None)
        return table["balanced_accuracy",][:, None]

    value = float(statistic(np.ones((1, len(sources))))[0, 0])
    number = effective_number(np.ones(len(sources), bool), groups)
    error = standard_errors(statistic, groups, seed=seed)[0]
    return {**found, "balanced_accuracy": value, "interval": score_interval(value, error, number)}


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
    width = 2 * round(share * masks.shape[2]) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    grown = np.empty_like(masks, dtype=bool)
    for i, mask in enumerate(masks):
        grown[i] = cv2.dilate(mask.astype(np.uint8), disc)
    return grown


def _blend(under: npt.NDArray[Any], over: npt.NDArray[Any], mask: Masks) -> Images:
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), FEATHER * mask.shape[1])
    return np.clip(under * (1 - soft) + over * soft + 0.5, 0, 255).astype(np.uint8)
