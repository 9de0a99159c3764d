"""How a pipeline shows its training images: as they are, or each changed by its own draw.

An image's draw depends on (seed, epoch, index) alone, so it is the same in any order, process or resumed run; each kind
of change has a stream of its own, so that switching one off leaves the others as they were.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from brain_mri.augmentation.affine import Affine, move
from brain_mri.augmentation.appearance import Appearance
from brain_mri.augmentation.counterfactual import Counterfactuals
from brain_mri.images.examples import Examples

COUNTERFACTUAL, APPEARANCE, PHANTOM, PLAIN, MIXUP = 1, 2, 3, 4, 5  # the streams beside the affine's


@dataclass(frozen=True)
class Plain:
    """The calm end of a training, where a share of the images is shown as they are: the network sees again what it
    will be asked about (Ge et al., YOLOX, 2021, section 2.1: strong augmentation off for the last epochs)."""

    first_epoch: int  # counted from 0
    share: float

    def comes(self, key: tuple[int, int, int]) -> bool:
        """Whether the image of this (seed, epoch, index) stays as it is."""
        return key[1] >= self.first_epoch and np.random.default_rng((*key, PLAIN)).random() < self.share


@dataclass(frozen=True)
class Policy:
    """The changes, in the order in which they come; None or 0: never."""

    seed: int
    phantoms: Examples | None
    phantom_share: float  # of the images, replaced by a phantom
    counterfactuals: Counterfactuals | None
    affine: Affine
    appearance: Appearance | None
    plain: Plain | None
    mixup: float

    def draw(self, train: Examples, indices: np.ndarray, epoch: int) -> Examples:
        """Return the training examples at `indices`, int (B,), changed as this epoch's draw has it."""
        batch = self._changed(train, indices, epoch)
        return self._mixed(batch, train, indices, epoch) if self.mixup else batch

    def _changed(self, train: Examples, indices: np.ndarray, epoch: int) -> Examples:
        batch = train[indices]
        for place, index in enumerate(indices):
            if not self._is_plain(int(index), epoch):
                self._change(batch, place, int(index), epoch)
        return batch

    def _is_plain(self, index: int, epoch: int) -> bool:
        return self.plain is not None and self.plain.comes((self.seed, epoch, index))

    def _mixed(self, batch: Examples, train: Examples, indices: np.ndarray, epoch: int) -> Examples:
        """Lay another image of the split over each, and share out the label alike (Zhang et al., ICLR 2018, section 2).

        The share is drawn for each image, not for the batch, so that it depends on the image alone."""
        draws = [np.random.default_rng((self.seed, epoch, int(index), MIXUP)) for index in indices]
        others = self._changed(train, np.array([rng.integers(len(train.labels)) for rng in draws]), epoch)
        shares = np.array([rng.beta(self.mixup, self.mixup) for rng in draws])
        shares[[self._is_plain(int(index), epoch) for index in indices]] = 1
        own = shares[:, None, None, None]
        images = np.asarray(own * batch.images + (1 - own) * others.images + 0.5, np.uint8)
        return replace(batch, images=images, shares=shares, mixed_in=others.labels)

    def _change(self, batch: Examples, place: int, index: int, epoch: int) -> None:
        key = (self.seed, epoch, index)
        image, label = batch.images[place, :, :, 0], batch.labels[place]
        mask = None if batch.masks is None else batch.masks[place]
        rng = np.random.default_rng((*key, PHANTOM))
        if self.phantoms and rng.random() < self.phantom_share:
            drawn = int(rng.integers(len(self.phantoms.labels)))
            image, label = self.phantoms.images[drawn, :, :, 0], self.phantoms.labels[drawn]
            if mask is not None:
                mask, batch.outlined[place] = self.phantoms.masks[drawn], True  # type: ignore[index]
        elif self.counterfactuals:
            image, label, mask = self.counterfactuals.draw(index, np.random.default_rng((*key, COUNTERFACTUAL)))
        matrix = self.affine.matrix(np.random.default_rng(key), image.shape[0])
        image = move(image, matrix, cv2.INTER_LINEAR)
        if self.appearance:
            image = self.appearance.apply(image, np.random.default_rng((*key, APPEARANCE)))
        batch.images[place, :, :, 0], batch.labels[place] = image, label
        if batch.masks is not None and mask is not None:
            batch.masks[place] = move(mask.astype(np.uint8), matrix, cv2.INTER_NEAREST) > 0
