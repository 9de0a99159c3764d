"""Small grey pictures as files, for the tests of the sources."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from brain_mri.images.badimage import Limits

LIMITS = Limits()


def grey(seed: int, height: int = 40, width: int = 48) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)


def png(seed: int, height: int = 40, width: int = 48) -> bytes:
    return encoded(grey(seed, height, width))


def encoded(image: np.ndarray) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()


def write_folder(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def write_zip(path: Path, files: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def with_a_damaged_member(data: bytes) -> bytes:
    """The bytes of a zip of PNGs with one of its last picture changed."""
    place = data.rindex(b"IDAT") + 20
    return data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]


def written(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }
