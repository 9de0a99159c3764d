"""What the leakage audit keeps of an image: a hash of its pixels, a descriptor of its head and a thumbnail of it.

`crop` writes the descriptions of all images, `split` reads them. NumPy sums here as written, not by `@` or
`np.linalg`: those hand the sum to BLAS, whose last bit depends on the make of the CPU."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from brain_mri.files import read_csv, write_csv

Floats = NDArray[np.float32]
Image = NDArray[np.uint8]

# The eight symmetries of a square. A pair's orientation is the one that turns its first image into its second.
ORIENTATIONS = ("identity", "flip_lr", "flip_ud", "rot180", "transpose", "rot90", "rot270", "antitranspose")

THUMBNAIL = 128  # pixels a side
GRID = 12  # cells a side of the descriptor
RANKS = (614, 3891)  # among 64 * 64 values in order: 15 and 95 percent of the way


@dataclass(frozen=True)
class Description:
    """Fixed-size description of one image."""

    pixel_hash: str  # of shape and pixels
    descriptor: Floats  # (GRID * GRID,), unit norm
    thumbnail: Image  # (THUMBNAIL, THUMBNAIL), the head in a standard frame


class Descriptions(NamedTuple):
    """The descriptions of N images."""

    descriptors: Floats  # (N, GRID * GRID)
    thumbnails: Image  # (N, THUMBNAIL, THUMBNAIL), a memory map where they were read from disk
    byte_hashes: NDArray[np.str_]  # (N,) of the files
    pixel_hashes: NDArray[np.str_]  # (N,)


def describe(grey: Image) -> Description:
    """Describe a decoded grey image (H, W), any size."""
    thumbnail = head_thumbnail(grey)
    return Description(pixel_hash(grey), descriptor(thumbnail), thumbnail)


def pixel_hash(grey: Image) -> str:
    """BLAKE2b of shape and pixels: the same for the same picture under any name, lossless encoding or colour mode."""
    height, width = grey.shape
    digest = hashlib.blake2b(f"{height}x{width} ".encode(), digest_size=32)
    digest.update(np.ascontiguousarray(grey).data)
    return digest.hexdigest()


def turned(images: NDArray[Any], orientation: str) -> NDArray[Any]:
    """Images (..., H, W) in one of the eight ORIENTATIONS; rotations are counter-clockwise, as in `np.rot90`."""
    transposed = images.swapaxes(-1, -2)
    return {
        "identity": images,
        "flip_lr": images[..., ::-1],
        "flip_ud": images[..., ::-1, :],
        "rot180": images[..., ::-1, ::-1],
        "transpose": transposed,
        "rot90": transposed[..., ::-1, :],
        "rot270": transposed[..., ::-1],
        "antitranspose": transposed[..., ::-1, ::-1],
    }[orientation]


def head_thumbnail(grey: Image) -> Image:
    """The head, moved and scaled to a standard frame (THUMBNAIL, THUMBNAIL) by its moments.

    Margins, position, size and proportions drop out. Moments of a soft mask move little where a box around
    a contour jumps with a few pixels of noise. Hu, Visual pattern recognition by moment invariants (1962)."""
    left, top, right, bottom = head_frame(grey)
    height, width = grey.shape
    shrink = max(1.0, min(right - left, bottom - top) / THUMBNAIL)
    if shrink > 1:
        size = (max(1, round(width / shrink)), max(1, round(height / shrink)))
        grey = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)
        left, right = left * size[0] / width, right * size[0] / width
        top, bottom = top * size[1] / height, bottom * size[1] / height
    step_x, step_y = (right - left) / THUMBNAIL, (bottom - top) / THUMBNAIL
    matrix = np.array([[step_x, 0, left + step_x / 2 - 0.5], [0, step_y, top + step_y / 2 - 0.5]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    frame = cv2.warpAffine(grey, matrix, (THUMBNAIL, THUMBNAIL), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(frame, np.uint8)


def head_frame(grey: Image) -> tuple[float, float, float, float]:
    """Left, top, right and bottom, in pixels, of the head: its centre of mass and 1.8 standard deviations each way.

    Two standard deviations would just hold an ellipse; 1.8 leaves out the rim, where crops and shifts bite."""
    height, width = grey.shape
    small = cv2.resize(grey, (64, 64), interpolation=cv2.INTER_AREA).astype(np.float32)
    low, high = np.partition(small.ravel(), RANKS)[list(RANKS)]
    mask = np.clip((small - low) / (0.4 * (high - low) + 1e-6) - 0.5, 0, 1)
    mass = mask.sum()
    if mass < 1:
        return 0.0, 0.0, float(width), float(height)
    places = np.arange(64) + 0.5
    columns, rows = mask.sum(axis=0) / mass, mask.sum(axis=1) / mass
    x, y = (columns * places).sum(), (rows * places).sum()
    reach_x = max(1.8 * np.sqrt((columns * (places - x) ** 2).sum()), 1.0)
    reach_y = max(1.8 * np.sqrt((rows * (places - y) ** 2).sum()), 1.0)
    unit_x, unit_y = width / 64, height / 64
    return (x - reach_x) * unit_x, (y - reach_y) * unit_y, (x + reach_x) * unit_x, (y + reach_y) * unit_y


def local_contrast(image: Image, size: int, coarsest: float) -> Floats:
    """A square image at (size, size) as local contrast: zero mean and even spread in every neighbourhood.

    Keeps structure between 1 and `coarsest` pixels (standard deviations of a difference of Gaussians), divided by its
    own local spread, so that brightness, contrast, shading and most sharpening drop out."""
    small = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32)
    band = cv2.GaussianBlur(small, (0, 0), 1) - cv2.GaussianBlur(small, (0, 0), coarsest)
    spread = np.sqrt(cv2.GaussianBlur(band * band, (0, 0), max(coarsest, 6)))
    # The floor keeps noise in an empty background from being raised to the size of anatomy.
    return band / (spread + np.float32(0.25) * spread.mean() + np.float32(1e-3))


def descriptor(thumbnail: Image) -> Floats:
    """Local contrast on a coarse grid (GRID * GRID,), zero mean, unit norm: an inner product is a correlation."""
    cells = cv2.resize(local_contrast(thumbnail, 64, 8), (GRID, GRID), interpolation=cv2.INTER_AREA).ravel()
    cells -= cells.mean()
    return cells / (np.sqrt((cells * cells).sum()) + np.float32(1e-9))


@contextmanager
def write_descriptions(folder: Path) -> Iterator[Callable[[str, str, Description], None]]:
    """Make the folder; yield what adds an image: its path, the hash of its file, its description.

    `descriptors.npy` and `thumbnails.npy` have a row for each image, `hashes.csv` too. Thumbnails go to the file at
    once: of 100,000 images they would take 1.6 GB."""
    folder.mkdir()
    descriptors: list[Floats] = []
    hashes: list[dict[str, str]] = []
    with (folder / "thumbnails.npy").open("wb") as file:

        def add(path: str, byte_hash: str, description: Description) -> None:
            assert description.thumbnail.shape == (THUMBNAIL, THUMBNAIL)
            file.write(description.thumbnail.tobytes())
            descriptors.append(description.descriptor)
            hashes.append({"path": path, "bytes": byte_hash, "pixels": description.pixel_hash})

        _write_header(file, 0)
        yield add
        # The header has room for any number of rows.
        file.seek(0)
        _write_header(file, len(hashes))
    np.save(folder / "descriptors.npy", np.array(descriptors, np.float32).reshape(len(hashes), GRID * GRID))
    write_csv(folder / "hashes.csv", hashes, ["path", "bytes", "pixels"])


def _write_header(file: BinaryIO, rows: int) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": (rows, THUMBNAIL, THUMBNAIL)}
    np.lib.format.write_array_header_1_0(file, header)


def read_descriptions(folder: Path) -> Descriptions:
    """Read what `write_descriptions` wrote."""
    hashes = read_csv(folder / "hashes.csv")
    return Descriptions(
        np.load(folder / "descriptors.npy"),
        np.load(folder / "thumbnails.npy", mmap_mode="r"),
        *(np.array([row[level] for row in hashes]) for level in ("bytes", "pixels")),
    )
