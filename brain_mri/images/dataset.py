"""The images of a study as arrays: the tables that the stages hand on, and the pixels behind them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from brain_mri.errors import UserError
from brain_mri.files import read_csv, write_csv
from brain_mri.images.imaging import resize, resize_mask

OWN, EXTERNAL = Path("data/cropped"), Path("data/external")
COLUMNS = ("path", "label", "part", "patient", "source", "mask", "group")


@dataclass(frozen=True)
class Sample:
    """An image of a split: its path below `data/cropped/images`, its class, and what is known of its origin."""

    path: str
    label: str
    part: str  # Training or Testing as published, External, or empty
    patient: str
    source: str
    mask: str  # path below `data/cropped/masks`; empty where no lesion is outlined
    group: str  # images of one group are copies of one slice, or slices of one patient


def write_samples(path: Path | str, samples: Sequence[Sample]) -> None:
    """Write the table of a split."""
    write_csv(path, [vars(sample) for sample in samples], COLUMNS)


def read_samples(path: Path | str) -> list[Sample]:
    """Read the table of a split."""
    return [Sample(**row) for row in read_csv(path)]


def load_images(samples: Sequence[Sample], size: int, folder: Path = OWN) -> np.ndarray:
    """Return the cropped images, uint8 (N, size, size, 1); UserError for one that is not there or is damaged."""
    images = np.empty((len(samples), size, size, 1), np.uint8)
    for place, sample in enumerate(samples):
        images[place, :, :, 0] = resize(_read(folder / "images" / sample.path), size)
    return images


def load_masks(samples: Sequence[Sample], size: int, folder: Path = OWN) -> np.ndarray:
    """Return the lesion masks, bool (N, size, size); all False for a sample without one."""
    masks = np.zeros((len(samples), size, size), bool)
    for place, sample in enumerate(samples):
        if sample.mask:
            masks[place] = resize_mask(_read(folder / "masks" / sample.mask), size) > 0
    return masks


def _read(path: Path) -> np.ndarray:
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise UserError(f"{path}: not there or damaged; remove it and run `dvc repro`")
    return image


def labels_of(samples: Sequence[Sample], classes: Sequence[str]) -> np.ndarray:
    """Return the labels, int64 (N,), as places in `classes`; UserError for a label that is none of them."""
    places = {name: place for place, name in enumerate(classes)}
    for sample in samples:
        if sample.label not in places:
            raise UserError(f"{sample.path}: its label {sample.label!r} is none of {', '.join(classes)}")
    return np.array([places[sample.label] for sample in samples], np.int64)


def groups_of(samples: Sequence[Sample]) -> np.ndarray:
    """Return the group numbers, int64 (N,)."""
    return np.array([int(sample.group) for sample in samples], np.int64)
