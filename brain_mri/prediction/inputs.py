"""What a person names for classification, as a list of images: files, folders, zips, the lines of a CSV."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from brain_mri.decoding.decode import decode_grey, file_kind, read_file
from brain_mri.decoding.picture import lacks_end
from brain_mri.errors import UserError
from brain_mri.images.badimage import BadImage, Limits
from brain_mri.images.crop import crop
from brain_mri.params import Crop
from brain_mri.sources.container import DamagedMember, opened
from brain_mri.sources.names import find_file
from brain_mri.sources.table import read_table

UNREADABLE = BadImage, OSError, DamagedMember  # what is wrong with one image is no reason to leave the others


@dataclass(frozen=True)
class Input:
    """An image to classify: its name as the person will know it, and its bytes. `read` raises BadImage."""

    name: str
    read: Callable[[], bytes]


class Unread(NamedTuple):
    """A file that could not be read, by its name as the person will know it, and why."""

    name: str
    reason: str

    @classmethod
    def because(cls, image: Input, error: Exception) -> "Unread":
        """Of an image that raised one of UNREADABLE."""
        return cls(image.name, f"cannot be read ({error.strerror})" if isinstance(error, OSError) else str(error))


class Read(NamedTuple):
    """An image as the crop gives it, uint8 (size, size), and what a person should know of how it was read."""

    crop: np.ndarray
    remarks: list[str]


@contextmanager
def list_inputs(
    paths: Sequence[Path], table: Path | None, limits: Limits
) -> Iterator[tuple[list[Input], list[Unread]]]:
    """List the images of files, folders and zips, and those of a CSV; zips stay open as long as the context.

    What lies in a folder or zip and is by its name no image (DICOMDIR, README.txt) is left out.

    Yields what there is to classify, and the files that must not be opened. Raises UserError for a
    path that is not there, and a folder, zip or table without images.
    """
    images: list[Input] = []
    refused: list[Unread] = []
    with ExitStack() as open_zips:
        for path in (find_file(Path(), str(named)) for named in paths):
            if path.is_dir() or path.suffix.lower() == ".zip":
                container = open_zips.enter_context(opened(path, limits))
                entries = [entry for entry in container.entries if entry.may_be_image]
                if not entries and not container.refused:
                    raise UserError(f"{path}: no images in it; name a folder that has some")
                images += [Input(str(path / entry.path), entry.read) for entry in entries]
                refused += [Unread(str(path / file.path), file.reason) for file in container.refused]
            elif not (path.exists() or path.is_symlink()):
                raise UserError(f"{path}: no such file or folder")
            elif path.suffix.lower() == ".csv":
                refused.append(Unread(str(path), "a table, not an image; --csv takes it"))
            else:
                images.append(Input(str(path), partial(read_file, path, limits)))
        yield images + (_rows(table, limits) if table else []), refused


def _rows(table: Path, limits: Limits) -> list[Input]:
    """The images of a CSV with a column `path`: absolute, or seen from the table's folder. The table is the user's own,
    so that its paths lead anywhere."""
    try:
        data = table.read_bytes()
    except (FileNotFoundError, IsADirectoryError):
        raise UserError(f"{table}: no such file; --csv takes a table with a column path") from None
    names = [row["path"] for row in read_table(data, str(table), ("path",))]
    return [Input(name, partial(read_file, find_file(table.parent, name), limits)) for name in names]


def read_crop(data: bytes, name: str, settings: Crop, slice: int | None = None) -> np.ndarray:
    """Decode one image file and crop it as the training images are: uint8 (size, size). Raises BadImage."""
    return crop(decode_grey(data, Limits(settings.min_side, settings.max_pixels), name, slice), settings)


def read_input(image: Input, settings: Crop, slice: int | None = None) -> Read | Unread:
    """Read and crop one image, `slice` of a NIfTI volume; runs in a worker process."""
    remarks = []
    try:
        data = image.read()
        found = read_crop(data, image.name, settings, slice)
        if slice is None and file_kind(data, image.name) == "NIfTI":
            remarks.append("the middle slice is taken; --slice N takes another")
        if lacks_end(data):
            remarks.append("a JPEG without its end marker; its picture is whole")
    except UNREADABLE as error:
        return Unread.because(image, error)
    return Read(found, remarks)
