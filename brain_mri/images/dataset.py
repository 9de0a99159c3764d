"""The images of a study: the tables that the stages hand on, and the pixels behind them as arrays."""

from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, asdict, dataclass, fields
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from brain_mri.errors import UserError
from brain_mri.files import read_csv, write_csv
from brain_mri.images.crop import resize, resize_mask

OWN, EXTERNAL = Path("data/cropped"), Path("data/external")


@dataclass(frozen=True)
class ImageRecord:
    """One image of a study, a row of `data/raw.csv` and `data/cropped.csv`.

    `path` is below `data/raw` (`<part>/<label>/<name>`, posix), `mask` below `data/masks` or ""; after the crop they
    are below `data/cropped/images` and `data/cropped/masks`. `part` is "Training", "Testing", "External", or "" where
    the source publishes no split. `patient` is what is counted, "" where unknown; `family`, which a split must not
    tear apart, joins patients who may be one, "" for the patient alone.
    """

    path: str
    label: str
    part: str
    _: KW_ONLY
    patient: str = ""
    family: str = ""
    source: str = ""
    mask: str = ""


@dataclass(frozen=True)
class Sample(ImageRecord):
    """A cropped image of a split, a row of `data/split/*.csv`: images of one group are copies of one slice, or slices
    of one patient."""

    group: str = ""


Row = TypeVar("Row", bound=ImageRecord)


def write_records(path: Path | str, records: Iterable[ImageRecord]) -> None:
    """Write the table of a study's images, in the order given."""
    _write(path, records, ImageRecord)


def read_records(path: Path | str) -> list[ImageRecord]:
    """Read what `write_records` wrote; raises UserError where it is missing or another table."""
    return _read(path, ImageRecord)


def write_samples(path: Path | str, samples: Iterable[Sample]) -> None:
    """Write the table of a split."""
    _write(path, samples, Sample)


def read_samples(path: Path | str) -> list[Sample]:
    """Read what `write_samples` wrote; raises UserError where it is missing or another table."""
    return _read(path, Sample)


def _write(path: Path | str, rows: Iterable[Row], kind: type[Row]) -> None:
    write_csv(path, map(asdict, rows), [column.name for column in fields(kind)])


def _read(path: Path | str, kind: type[Row]) -> list[Row]:
    columns = [column.name for column in fields(kind)]
    rows = read_csv(path)
    if any(list(row) != columns or None in row.values() for row in rows):
        raise UserError(f"{path}: not a table with the columns {', '.join(columns)}; remove it and run `dvc repro`")
    return [kind(**row) for row in rows]


def load_images(samples: Sequence[Sample], size: int, folder: Path = OWN) -> np.ndarray:
    """Return the cropped images, uint8 (N, size, size, 1); UserError for one that is not there or is damaged."""
    images = np.empty((len(samples), size, size, 1), np.uint8)
    for place, sample in enumerate(samples):
        images[place, :, :, 0] = resize(_grey(folder / "images" / sample.path), size)
    return images


def load_masks(samples: Sequence[Sample], size: int) -> np.ndarray:
    """Return the lesion masks, bool (N, size, size); all False for a sample without one."""
    masks = np.zeros((len(samples), size, size), bool)
    for place, sample in enumerate(samples):
        if sample.mask:
            masks[place] = resize_mask(_grey(OWN / "masks" / sample.mask), size) > 0
    return masks


def _grey(path: Path) -> np.ndarray:
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise UserError(f"{path}: not there or damaged; remove it and run `dvc repro`")
    return image


def labels_of(samples: Sequence[ImageRecord], classes: Sequence[str]) -> np.ndarray:
    """Return the labels, int64 (N,), as places in `classes`; UserError for a label that is none of them."""
    places = {name: place for place, name in enumerate(classes)}
    for sample in samples:
        if sample.label not in places:
            raise UserError(
                f"{sample.path}: its label {sample.label!r} is none of {', '.join(classes)}; `dvc repro` (without -s) "
                "renews its table"
            )
    return np.array([places[sample.label] for sample in samples], np.int64)


def groups_of(samples: Sequence[Sample]) -> np.ndarray:
    """Return the group numbers, int64 (N,)."""
    return np.array([int(sample.group) for sample in samples], np.int64)
