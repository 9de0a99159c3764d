"""Image files to measure on: real ones where the archive is at hand, else phantoms."""

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from brain_mri.phantoms.phantom import CLASSES, phantom
from brain_mri.workers import workers

ARCHIVE = "brain-tumor-mri-v1.zip"


def archive() -> Path | None:
    """Return the archive of real images; None where there is none."""
    folder = os.environ.get("BRAIN_MRI_DATA")
    return Path(folder, ARCHIVE) if folder and Path(folder, ARCHIVE).is_file() else None


def image_files(count: int) -> Iterator[tuple[str, str, bytes]]:
    """Yield the class, a name and the file's bytes of so many images, those of a class together; of the real ones, as
    many as there are, evenly over the archive."""
    if real := archive():
        with zipfile.ZipFile(real) as opened:
            names = sorted(
                (name for name in opened.namelist() if name.endswith(".jpg")), key=lambda name: Path(name).parts[-2:]
            )
            for place in np.linspace(0, len(names) - 1, min(count, len(names))).astype(int):
                path = Path(names[place])
                yield path.parent.name, path.name, opened.read(names[place])
        return
    labels = sorted(CLASSES[place % len(CLASSES)] for place in range(count))
    with workers() as pool:
        for place, data in enumerate(pool.map(draw, zip(labels, range(count), strict=True), chunk=4)):
            yield labels[place], f"{place:05d}.png", data


def draw(task: tuple[str, int]) -> bytes:
    label, index = task
    return bytes(cv2.imencode(".png", phantom(label, 0, index).image)[1])


def kind() -> str:
    return "real images" if archive() else "phantoms"
