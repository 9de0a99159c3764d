"""Images with their labels and lesions, as training takes them: arrays, without Keras."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass
class Examples:
    """Images, uint8 (N, size, size, 1), their labels, int (N,), from 0 to classes - 1, and what is known of lesions:
    their masks, bool (N, size, size), and whether a mask tells all, bool (N,): the image's lesion is outlined, or it
    has none. Of mixed images, also the share, float (N,), 0 to 1, that is theirs, and the label, int (N,), of what is
    mixed in."""

    images: np.ndarray
    labels: np.ndarray
    masks: np.ndarray | None = None
    outlined: np.ndarray | None = None
    shares: np.ndarray | None = None
    mixed_in: np.ndarray | None = None

    def __getitem__(self, indices: np.ndarray) -> "Examples":
        parts = vars(self).values()
        return Examples(*(None if part is None else part[indices] for part in parts))  # type: ignore[arg-type]


Draw = Callable[[np.ndarray, int], Examples]  # indices (B,), epoch -> the batch, augmented where the pipeline augments
