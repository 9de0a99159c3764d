"""Counterfactual training images: the same head with its lesion taken out, or with one that it never had.

Where each class comes from a source of its own, a network can name the class by the source. These images break that
tie: what decides is the lesion alone. Sham patches, cut and blended the same way but without lesion, keep the blend
itself from being a clue. (Counterfactual examples: Kaushik et al., ICLR 2020; copy and paste of objects: Ghiasi et al.,
CVPR 2021.)

Images are uint8 (H, W), masks bool (H, W). Distances are shares of the width. All are cropped to the head, so the same
place in two images is about the same place in two heads.
"""

import cv2
import numpy as np

from brain_mri.augmentation.inpainting import blend, grow
from brain_mri.errors import UserError
from brain_mri.images.examples import Examples
from brain_mri.params import Counterfactual

BACKGROUND = 12  # grey level: darker is outside the head, or air in it


class Counterfactuals:
    """Draws changed images of a training split; each draw depends on the generator alone."""

    def __init__(self, train: Examples, rates: Counterfactual, negative: int):
        """Find lesions to move and heads to move them into; UserError where there are none."""
        assert train.masks is not None and train.outlined is not None
        self.train, self.rates, self.negative = train, rates, negative
        self.masks, self.outlined = train.masks, train.outlined
        self.lesions = np.flatnonzero(train.masks.any((1, 2)))
        self.heads = np.flatnonzero(train.labels == negative)
        if not len(self.lesions) or not len(self.heads):
            raise UserError(
                f"augment.counterfactual: the training split has {len(self.lesions)} outlined lesions and "
                f"{len(self.heads)} images of the negative class, both are needed; give outlines "
                "(dataset.outlines), or set remove, insert and sham to 0"
            )

    def draw(self, index: int, rng: np.random.Generator) -> tuple[np.ndarray, int, np.ndarray]:
        """Return a training image, its label and its lesion mask, changed or as they are."""
        image, label, mask = self.train.images[index, :, :, 0], int(self.train.labels[index]), self.masks[index]
        first, second = rng.random(2)
        if label == self.negative and first < self.rates.insert:
            donor = rng.choice(self.lesions)
            if inserted := insert(image, self.train.images[donor, :, :, 0], self.masks[donor], rng):
                return inserted[0], int(self.train.labels[donor]), inserted[1]
        elif mask.any() and first < self.rates.remove:
            return remove(image, mask, rng), self.negative, np.zeros_like(mask)
        if self.outlined[index] and second < self.rates.sham:
            image = self._sham(image, mask, rng)
        return image, label, mask

    def _sham(self, image: np.ndarray, lesion: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Change a place of a lesion's shape that holds none; the image as it is where that would touch its lesion."""
        patch, donor = self.masks[rng.choice(self.lesions)], self.train.images[rng.choice(self.heads), :, :, 0]
        if rng.random() < 0.5:
            inserted = insert(image, donor, patch, rng)
            return image if inserted is None or (inserted[1] & lesion).any() else inserted[0]
        if rng.random() < 0.5:
            patch = patch[:, ::-1]
        return image if (patch & lesion).any() or not in_head(image, patch) else remove(image, patch, rng)


def remove(image: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Fill the masked part from its surroundings (Telea 2004) or, by chance where it can, from the mirrored side."""
    grown = grow(mask, rng.uniform(0.01, 0.04))
    if rng.random() < 0.4 and not (grown & grown[:, ::-1]).any():
        filled = match_ring(image[:, ::-1], image, grown)
    else:
        filled = cv2.inpaint(image, grown.astype(np.uint8), 3, cv2.INPAINT_TELEA).astype(np.float32)
        # Inpainted tissue is smooth; the noise of its surroundings keeps smoothness from being a clue.
        ring = grow(grown, 0.04) & ~grown
        fine = image.astype(np.float32) - cv2.GaussianBlur(image, (0, 0), 1.5)
        filled += rng.normal(0, rng.uniform(0, 1) * fine[ring].std() if ring.any() else 0, image.shape)
    return blend(image, filled, grown, drawn_feather(rng))


def insert(
    recipient: np.ndarray, donor: np.ndarray, mask: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray] | None:
    """Put the masked part of the donor at about the same place of the recipient's head, turned, scaled and moved a
    little, its brightness and contrast matched to the ring around it.

    Both images are cropped to the head, so the same place in the image is the same place in the head. Returns the image
    and the mask where the part now lies; None where that would leave the head."""
    size = mask.shape[0]
    rows, columns = np.nonzero(mask)
    centre = np.array([columns.mean(), rows.mean()])
    angle, scale = np.deg2rad(rng.uniform(-20, 20)), rng.uniform(0.75, 1.25)
    mirror = np.array([-1.0 if rng.random() < 0.5 else 1.0, 1.0])
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * mirror
    target = np.where(mirror < 0, size - 1 - centre, centre) + rng.uniform(-0.08, 0.08, 2) * size
    move = np.column_stack([linear, target - linear @ centre])
    grown = grow(mask, rng.uniform(0.0, 0.03))
    patch = cv2.warpAffine(donor, move, (size, size), borderMode=cv2.BORDER_REPLICATE)
    place = cv2.warpAffine(grown.astype(np.uint8), move, (size, size), flags=cv2.INTER_NEAREST) > 0
    moved = cv2.warpAffine(mask.astype(np.uint8), move, (size, size), flags=cv2.INTER_NEAREST) > 0
    if not moved.any() or not in_head(recipient, place):
        return None
    return blend(recipient, match_ring(patch, recipient, place), place, drawn_feather(rng)), moved


def in_head(image: np.ndarray, place: np.ndarray) -> bool:
    """Whether nearly all of the place lies in tissue."""
    return bool((image[place] > BACKGROUND).mean() >= 0.9)


def match_ring(patch: np.ndarray, under: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Return the patch, float32 (H, W), with the mean and spread that `under` has in the ring around the place."""
    ring = grow(place, 0.05) & ~place
    if not ring.any():
        return patch.astype(np.float32)
    there, here = patch[ring].astype(np.float32), under[ring].astype(np.float32)
    gain = np.clip((here.std() + 2) / (there.std() + 2), 0.5, 2)
    return (patch.astype(np.float32) - there.mean()) * gain + here.mean()


def drawn_feather(rng: np.random.Generator) -> float:
    """The softness of an edge differs from image to image, so that it is no clue."""
    return rng.uniform(0.005, 0.02)
