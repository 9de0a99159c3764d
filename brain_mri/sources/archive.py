"""The Brain Tumor MRI Dataset, version 1, in Kaggle's layout: `Training/` and `Testing/`, a folder a class."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from brain_mri.errors import UserError
from brain_mri.images.badimage import Limits
from brain_mri.sources.container import opened
from brain_mri.sources.folder import folder_offers, unpack_folders
from brain_mri.sources.raw import Fetched

SOURCE = {
    "name": "brain-tumor-mri-v1",
    "licence": "CC0 1.0 (as published on Kaggle); its tumour images are Cheng's, CC BY 4.0",
    "citation": "Msoud Nickparvar (2021). Brain Tumor MRI Dataset, version 1. Kaggle. doi:10.34740/kaggle/dsv/2645886 "
    "| which takes its images from: Cheng, Jun (2017). brain tumor dataset. figshare. Dataset. "
    "doi:10.6084/m9.figshare.1512427 | Bhuvaji S. et al. (2020). Brain Tumor Classification (MRI) (SARTAJ). Kaggle. "
    "doi:10.34740/kaggle/dsv/1183165 | Ahmed Hamada (2020). Br35H :: Brain Tumor Detection 2020. Kaggle",
    "url": "https://www.kaggle.com/datasets/masoudnickparvar/brain-tumor-mri-dataset/versions/1",
}
HINT = f"get it from {SOURCE['url']}"
COUNTS = {"Training": 5712, "Testing": 1311}
VERSION_2_IMAGES = 7200


def inventory(source: Path) -> dict[str, str]:
    """sha256 of each file of a zip or a folder by its path from `Training/` or `Testing/`, sorted; raises UserError.

    The same for the published zip, a re-packed one (also with an enclosing folder) and an unpacked one. Files that an
    operating system adds (`.DS_Store`, `Thumbs.db`, `__MACOSX`) do not count, nor do files outside the two folders.
    """
    with opened(source, Limits()) as container:
        entries = container.within(set(COUNTS)).entries
        return {entry.path: hashlib.sha256(entry.read()).hexdigest() for entry in entries if entry.top in COUNTS}


def fingerprint(files: Mapping[str, str]) -> str:
    """sha256 over the sorted lines `path sha256`, hexadecimal."""
    return hashlib.sha256("".join(f"{path} {files[path]}\n" for path in sorted(files)).encode()).hexdigest()


def verify(source: Path, expected: str, classes: Sequence[str]) -> None:
    """Check that the inventory of a zip or a folder has the fingerprint `expected`.

    Raises UserError that says what is wrong: version 2, a folder missing or misspelt, or the counts and fingerprints.
    """
    files = inventory(source)
    found = fingerprint(files)
    if found == expected:
        return
    with opened(source, Limits()) as container:
        inside = container.within(set(COUNTS))
    if len(inside.entries) == VERSION_2_IMAGES:
        raise UserError(
            f"{source}: this is version 2 of the data set: {VERSION_2_IMAGES:,} other images in other "
            f"folders; the published results stand on version 1 with {sum(COUNTS.values()):,}, {HINT}"
        )
    folder_offers(inside, classes, tuple(COUNTS))
    raise UserError(
        f"{source}: found {_listed(Counter(path.partition('/')[0] for path in files))} with fingerprint "
        f"{found[:16]}..., expected {_listed(COUNTS)} with {expected[:16]}...; {HINT} again"
    )


def _listed(counts: Mapping[str, int]) -> str:
    parts = ", ".join(f"{counts.get(part, 0):,} in {part}" for part in COUNTS)
    return f"{sum(counts.values()):,} files ({parts})"


def unpack(source: Path, data: Path, classes: Sequence[str], limits: Limits) -> Fetched:
    """Copy the images of a zip or a folder to `data/raw/<part>/<class>/<name>`, whole or not at all.

    `classes` are the folders that must be there, each with files in it. Raises UserError, before anything is written,
    for a folder that is missing, misspelt, unknown or empty, and for an archive that is damaged or unsafe.
    """
    with opened(source, limits) as container:
        return unpack_folders(container.within(set(COUNTS)), data, classes, limits, tuple(COUNTS))
