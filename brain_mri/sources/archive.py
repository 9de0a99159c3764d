"""A data set in the layout of Kaggle's Brain Tumor MRI Dataset: `Training/` and `Testing/`, a folder a class."""

import hashlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from brain_mri.errors import UserError
from brain_mri.images.badimage import Limits
from brain_mri.sources.container import Container, Entry, opened
from brain_mri.sources.records import Fetched, Offer, write_raw
from brain_mri.sources.table import nearest

PARTS = ("Training", "Testing")
VERSION_2_IMAGES = 7200


@dataclass(frozen=True)
class Published:
    """A data set that others published: what it holds, and what to say of it."""

    name: str
    fingerprint: str
    counts: Mapping[str, int]
    classes: Sequence[str]
    licence: str
    citation: str
    url: str


BRAIN_TUMOR_MRI_V1 = Published(
    name="brain-tumor-mri-v1",
    fingerprint="53ebaa84c952f3d9280e338c5d017df827f4a3907dbc8ad0797c586a322ca3e6",
    counts={"Training": 5712, "Testing": 1311},
    classes=("glioma", "meningioma", "notumor", "pituitary"),
    licence="CC0 1.0 (as published on Kaggle); its tumour images are Cheng's, CC BY 4.0",
    citation="Msoud Nickparvar (2021). Brain Tumor MRI Dataset, version 1. Kaggle. doi:10.34740/kaggle/dsv/2645886 | "
    "which takes its images from: Cheng, Jun (2017). brain tumor dataset. figshare. Dataset. "
    "doi:10.6084/m9.figshare.1512427 | Bhuvaji S. et al. (2020). Brain Tumor Classification (MRI) (SARTAJ). Kaggle. "
    "doi:10.34740/kaggle/dsv/1183165 | Ahmed Hamada (2020). Br35H :: Brain Tumor Detection 2020. Kaggle",
    url="https://www.kaggle.com/datasets/masoudnickparvar/brain-tumor-mri-dataset/versions/1",
)


def describe(published: Published = BRAIN_TUMOR_MRI_V1) -> dict[str, str]:
    """Name, licence, citation and address, for the metrics and the report."""
    return {"name": published.name, "licence": published.licence, "citation": published.citation, "url": published.url}


def locate(name: str, downloads: Path, hint: str = "") -> Path:
    """Find the data set `name`, as a zip or a folder: where BRAIN_MRI_DATA points, else in `downloads`.

    Raises UserError that says where it was looked for and, with `hint` ("get it from ..."), where it is to be had.
    """
    folder = Path(os.environ.get("BRAIN_MRI_DATA") or downloads)
    for place in (folder / f"{name}.zip", folder / name):
        if place.exists():
            return place
    if not hint and name == BRAIN_TUMOR_MRI_V1.name:
        hint = f"get it from {BRAIN_TUMOR_MRI_V1.url}"
    raise UserError(
        f"data set {name!r}: neither {name}.zip nor a folder {name} in {folder}; "
        f"{f'{hint} and put' if hint else 'put'} it there, or let the environment variable "
        "BRAIN_MRI_DATA name the folder that holds it"
    )


def inventory(source: Path) -> dict[str, str]:
    """sha256 of each file of a zip or a folder by its path from `Training/` or `Testing/`, sorted; raises UserError.

    The same for the published zip, a re-packed one (also with an enclosing folder) and an unpacked one. Files that an
    operating system adds (`.DS_Store`, `Thumbs.db`, `__MACOSX`) do not count, nor do files outside the two folders.
    """
    with opened(source) as container:
        return {
            entry.path: hashlib.sha256(entry.read()).hexdigest()
            for entry in container.within(set(PARTS)).entries
            if entry.path.partition("/")[0] in PARTS
        }


def fingerprint(files: Mapping[str, str]) -> str:
    """sha256 over the sorted lines `path sha256`, hexadecimal."""
    return hashlib.sha256("".join(f"{path} {files[path]}\n" for path in sorted(files)).encode()).hexdigest()


def verify(source: Path, expected: str, published: Published = BRAIN_TUMOR_MRI_V1) -> dict[str, str]:
    """The inventory of a zip or a folder, after its fingerprint was found to be `expected`.

    Raises UserError that says what is wrong: version 2, a folder missing or misspelt, or the counts and fingerprints.
    """
    files = inventory(source)
    if fingerprint(files) == expected:
        return files
    with opened(source) as container:
        inside = container.within(set(PARTS))
    if len(inside.entries) == VERSION_2_IMAGES:
        raise UserError(
            f"{source}: this is version 2 of the data set: {VERSION_2_IMAGES:,} other images in other "
            f"folders; the published results stand on version 1 with {sum(published.counts.values()):,}, "
            f"get it from {published.url}"
        )
    _check_layout(inside, published.classes)
    check(files, expected, published)
    return files


def check(files: Mapping[str, str], expected: str, published: Published = BRAIN_TUMOR_MRI_V1) -> None:
    """Raise UserError, with name and counts, where an inventory does not have the fingerprint `expected`."""
    found = fingerprint(files)
    if found != expected:
        counts = Counter(path.partition("/")[0] for path in files)
        raise UserError(
            f"{published.name}: found {len(files):,} files ({_listed(counts)}) with fingerprint "
            f"{found[:16]}..., expected {sum(published.counts.values()):,} ({_listed(published.counts)}) "
            f"with {expected[:16]}...; get it again from {published.url}"
        )


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{counts.get(part, 0):,} in {part}" for part in PARTS)


def unpack(source: Path, raw: Path, masks: Path, classes: Sequence[str], limits: Limits | None = None) -> Fetched:
    """Copy the images of a zip or a folder to `raw/<part>/<class>/<name>`, whole or not at all.

    `classes` are the folders that must be there, each with files in it. Raises UserError, before anything is written,
    for a folder that is missing, misspelt, unknown or empty, and for an archive that is damaged or unsafe.
    """
    limits = limits or Limits()
    with opened(source, limits) as container:
        inside = container.within(set(PARTS))
        _check_layout(inside, classes)
        offers = [_offer(entry) for entry in inside.entries if _is_image(entry)]
        return Fetched(
            write_raw(offers, raw, masks, limits), inside.refused, inside.ignored + len(inside.entries) - len(offers)
        )


def _is_image(entry: Entry) -> bool:
    return entry.path.count("/") >= 2 and entry.path.partition("/")[0] in PARTS


def _offer(entry: Entry) -> Offer:
    part, label, name = entry.path.split("/", 2)
    return Offer(name.replace("/", "-"), label, part, entry.read)


def _check_layout(container: Container, classes: Sequence[str]) -> None:
    source = container.source
    tops = {entry.path.partition("/")[0] for entry in container.entries if "/" in entry.path}
    for part in PARTS:
        if part not in tops:
            raise UserError(
                f"{source}: no folder {part}/{nearest(part, tops)}; "
                f"it needs {' and '.join(PARTS)}, each with a folder a class"
            )
    counts = Counter(tuple(entry.path.split("/", 2)[:2]) for entry in container.entries if _is_image(entry))
    for part in PARTS:
        found = {label for top, label in counts if top == part}
        for label in classes:
            if label not in found:
                raise UserError(
                    f"{source}: {part}/{label}/ is missing or empty{nearest(label, found - set(classes))}"
                    f"; dataset.classes asks for {', '.join(classes)}"
                )
        if unknown := sorted(found - set(classes)):
            raise UserError(
                f"{source}: {part}/{unknown[0]}/ is no class of dataset.classes"
                f"{nearest(unknown[0], set(classes))}; rename or remove the folder, or add the class"
            )
