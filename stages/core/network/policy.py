"""How a pipeline shows its training images: as they are, or each changed by its own draw.

An image's draw depends on (seed, epoch, index) alone, so it is the same in any order, process or resumed run; each kind
of change has a stream of its own, so that switching one off leaves the others as they were.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from core.network.appearance import Appearance
from core.network.augmentation import Affine, move
from core.network.batches import Examples
from core.network.counterfactual import Counterfactuals

COUNTERFACTUAL, APPEARANCE, PHANTOM = 1, 2, 3  # the streams beside the affine's


@dataclass(frozen=True)
class Policy:
    """The changes, in the order in which they come; None or no phantoms: never."""

    seed: int
    phantoms: Examples | None
    phantom_share: float  # of the images, replaced by a phantom
    counterfactuals: Counterfactuals | None
    affine: Affine
    appearance: Appearance | None

    def draw(self, train: Examples, indices: np.ndarray, epoch: int) -> Examples:
        """Return the training examples at `indices`, int (B,), changed as this epoch's draw has it."""
        batch = train[indices]
        for place, index in enumerate(indices):
            self._change(batch, place, int(index), epoch)
        return batch

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
