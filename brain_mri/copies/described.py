"""The descriptions of all images on disk: `crop` writes them one by one, `split` reads them.

`descriptors.npy` and `thumbnails.npy`, a row an image, and `hashes.csv`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from brain_mri.copies.descriptors import GRID, THUMBNAIL, Description, Floats, Image
from brain_mri.files import read_csv, write_csv


class Described(NamedTuple):
    """N images: see `Description`."""

    descriptors: Floats  # (N, GRID * GRID)
    thumbnails: Image  # (N, THUMBNAIL, THUMBNAIL), a memory map
    byte_hashes: NDArray[np.str_]  # (N,) of the files
    pixel_hashes: NDArray[np.str_]  # (N,)


@contextmanager
def writing(folder: Path) -> Iterator[Callable[[str, str, Description], None]]:
    """Make the folder; yield what adds an image: its path, the hash of its file, its description.

    Thumbnails go to the file at once: of 100,000 images they would take 1.6 GB."""
    folder.mkdir()
    hashes: list[dict[str, str]] = []
    with (
        _rows(folder / "descriptors.npy", np.float32, (GRID * GRID,)) as add_descriptor,
        _rows(folder / "thumbnails.npy", np.uint8, (THUMBNAIL, THUMBNAIL)) as add_thumbnail,
    ):

        def add(path: str, byte_hash: str, description: Description) -> None:
            add_descriptor(description.descriptor)
            add_thumbnail(description.thumbnail)
            hashes.append({"path": path, "bytes": byte_hash, "pixels": description.pixel_sha256})

        yield add
    write_csv(folder / "hashes.csv", hashes, ["path", "bytes", "pixels"])


@contextmanager
def _rows(file: Path, dtype: DTypeLike, shape: tuple[int, ...]) -> Iterator[Callable[[np.ndarray], None]]:
    """Write a .npy row by row; its header has room for any number of rows, so the number can be told at the end."""
    with file.open("wb") as opened:
        count = 0

        def add(row: np.ndarray) -> None:
            nonlocal count
            assert row.dtype == dtype and row.shape == shape
            opened.write(row.tobytes())
            count += 1

        _write_header(opened, dtype, (0, *shape))
        yield add
        opened.seek(0)
        _write_header(opened, dtype, (count, *shape))


def _write_header(file: BinaryIO, dtype: DTypeLike, shape: tuple[int, ...]) -> None:
    described = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, described)


def read(folder: Path) -> Described:
    """Read what `writing` wrote."""
    hashes = read_csv(folder / "hashes.csv")
    return Described(
        np.load(folder / "descriptors.npy"),
        np.load(folder / "thumbnails.npy", mmap_mode="r"),
        *(np.array([row[level] for row in hashes]) for level in ("bytes", "pixels")),
    )
