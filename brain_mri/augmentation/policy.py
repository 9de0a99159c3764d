"""How a pipeline shows its training images: each changed by its own draw.

An image's draw depends on (seed, epoch, index) alone, so it is the same in any order, process or resumed run; each kind
of change has a stream of its own, so that switching one off leaves the others as they were.
"""

from dataclasses import replace

import cv2
import numpy as np

from brain_mri.augmentation.affine import draw_matrix, move
from brain_mri.augmentation.appearance import change_appearance
from brain_mri.augmentation.counterfactual import Counterfactuals
from brain_mri.files import progress
from brain_mri.images.crop import cut, cut_out, find_head, resize_mask, to_network
from brain_mri.images.examples import Examples
from brain_mri.params import Params
from brain_mri.phantoms.phantom import phantom

COUNTERFACTUAL, APPEARANCE, PHANTOM, PLAIN, MIXUP = 1, 2, 3, 4, 5  # the streams beside the affine's
PHANTOMS = 400  # drawn once, in about ten seconds; each comes as often as augment.phantoms says, changed anew


class Policy:
    """Draws the batches of a training split, changed as `params.augment` says."""

    def __init__(self, train: Examples, params: Params, phantoms: int = PHANTOMS) -> None:
        """Prepare the lesions to move and draw the phantoms, where asked for; UserError where that cannot be done."""
        self.train, self.settings, self.seed = train, params.augment, params.train.seed
        self.first_plain_epoch = params.train.epochs - self.settings.plain.epochs  # counted from 0
        self.phantoms = draw_phantoms(params, self.seed, phantoms) if self.settings.phantoms else None
        self.counterfactuals, negative = None, params.dataset.negative_class
        if self.settings.counterfactual.changes_any and negative is not None:
            self.counterfactuals = Counterfactuals(train, self.settings.counterfactual, negative)

    def draw(self, indices: np.ndarray, epoch: int) -> Examples:
        """Return the training examples at `indices`, int (B,), changed as this epoch's draw has it.

        Of N examples, index i + k N is example i with another draw."""
        batch = self._changed(indices, epoch)
        return self._mixed(batch, indices, epoch) if self.settings.mixup else batch

    def _changed(self, indices: np.ndarray, epoch: int) -> Examples:
        batch = self.train[indices % len(self.train.labels)]
        for place, index in enumerate(indices):
            if not self._is_plain(int(index), epoch):
                self._change(batch, place, int(index), epoch)
        return batch

    def _is_plain(self, index: int, epoch: int) -> bool:
        """Whether the image is shown as it is, as a share of them is in the last epochs: the network sees again what it
        will be asked about (Ge et al., YOLOX, 2021, section 2.1: strong augmentation off for the last epochs)."""
        if epoch < self.first_plain_epoch:
            return False
        return np.random.default_rng((self.seed, epoch, index, PLAIN)).random() < self.settings.plain.share

    def _mixed(self, batch: Examples, indices: np.ndarray, epoch: int) -> Examples:
        """Lay another image of the split over each, and share out the label alike (Zhang et al., ICLR 2018, section 2).

        The share is drawn for each image, not for the batch, so that it depends on the image alone."""
        draws = [np.random.default_rng((self.seed, epoch, int(index), MIXUP)) for index in indices]
        others = self._changed(np.array([rng.integers(len(self.train.labels)) for rng in draws]), epoch)
        shares = np.array([rng.beta(self.settings.mixup, self.settings.mixup) for rng in draws])
        shares[[self._is_plain(int(index), epoch) for index in indices]] = 1
        own = shares[:, None, None, None]
        images = np.asarray(own * batch.images + (1 - own) * others.images + 0.5, np.uint8)
        return replace(batch, images=images, shares=shares, mixed_in=others.labels)

    def _change(self, batch: Examples, place: int, index: int, epoch: int) -> None:
        key = (self.seed, epoch, index)
        image, label = batch.images[place, :, :, 0], batch.labels[place]
        mask = None if batch.masks is None else batch.masks[place]
        rng = np.random.default_rng((*key, PHANTOM))
        if self.phantoms and rng.random() < self.settings.phantoms:
            drawn = int(rng.integers(len(self.phantoms.labels)))
            image, label = self.phantoms.images[drawn, :, :, 0], self.phantoms.labels[drawn]
            if mask is not None:
                mask, batch.outlined[place] = self.phantoms.masks[drawn], True  # type: ignore[index]
        elif self.counterfactuals:
            image, label, mask = self.counterfactuals.draw(
                index % len(self.train.labels), np.random.default_rng((*key, COUNTERFACTUAL))
            )
        matrix = draw_matrix(self.settings, np.random.default_rng(key), image.shape[0])
        image = move(image, matrix, cv2.INTER_LINEAR)
        if self.settings.appearance.changes_any:
            image = change_appearance(image, self.settings.appearance, np.random.default_rng((*key, APPEARANCE)))
        batch.images[place, :, :, 0], batch.labels[place] = image, label
        if batch.masks is not None and mask is not None:
            batch.masks[place] = move(mask.astype(np.uint8), matrix, cv2.INTER_NEAREST) > 0


def draw_phantoms(params: Params, seed: int, count: int) -> Examples:
    """Draw phantoms of the study's classes, one after the other, and crop them as its images; UserError for a class
    that none is drawn of."""
    classes, size = params.dataset.classes, params.model.image_size
    images, masks = np.empty((count, size, size, 1), np.uint8), np.empty((count, size, size), bool)
    labels = np.arange(count) % len(classes)
    for place in progress(range(count), "phantoms"):
        drawn = phantom(classes[labels[place]], seed, place)
        head = find_head(drawn.image, params.crop)
        images[place] = to_network(cut_out(head, params.crop)[None], size)[0]
        masks[place] = resize_mask(cut(drawn.mask, head.box), size) > 0
    return Examples(images, labels, masks, np.ones(count, bool))
