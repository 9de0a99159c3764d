"""An external test set: images from elsewhere, never trained on, their classes mapped to the study's by name."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from brain_mri.errors import UserError
from brain_mri.images.badimage import Limits
from brain_mri.sources.container import Container
from brain_mri.sources.folder import offers_of, opened_with_table
from brain_mri.sources.records import Fetched, Offer, Refused, write_raw
from brain_mri.sources.table import nearest, read_table

PART = "External"

TUMOURS = {
    "name": "external-tumours",
    "licence": "Br35H: not stated, for evaluation in place only; Brain-Tumor-Progression: CC BY 3.0",
    "citation": "Ahmed Hamada (2020). Br35H :: Brain Tumor Detection 2020. Kaggle | Schmainda K., Prah M. (2018). Data "
    "from Brain-Tumor-Progression. The Cancer Imaging Archive. doi:10.7937/K9/TCIA.2018.15quzvnb | Clark K. et al. "
    "(2013). The Cancer Imaging Archive (TCIA): Maintaining and Operating a Public Information Repository. Journal of "
    "Digital Imaging 26(6), 1045-1057. doi:10.1007/s10278-013-9622-7",
    "url": "https://www.kaggle.com/datasets/ahmedhamada0/brain-tumor-detection | "
    "https://doi.org/10.7937/K9/TCIA.2018.15quzvnb",
}


def describe(name: str) -> dict[str, str]:
    """Name, licence, citation and address, for the metrics and the report."""
    return (
        dict(TUMOURS)
        if name == TUMOURS["name"]
        else {"name": name, "licence": "as its owner states", "citation": "", "url": ""}
    )


def hint(name: str) -> str:
    """Where a set that is not at hand is to be had; empty where that is not known."""
    if name != TUMOURS["name"]:
        return ""
    places = TUMOURS["url"].replace(" | ", " and ")
    return f"gather its images from {places}, with a labels.csv (path, class, source, patient, mask),"


def unpack(source: Path, raw: Path, masks: Path, classes: Mapping[str, str], limits: Limits | None = None) -> Fetched:
    """Copy an external set to `raw/External/<label>/<source>-<name>`, its masks to `masks/External/...`.

    `source` is a zip or a folder: with a `labels.csv` (columns `path` and `class`, and, if there, `source`, `sequence`,
    `patient`, `mask`), else with images in folders named as their classes, at any depth. `classes` maps its classes to
    labels; a label may be coarser than the study's classes ("tumour"), and images of a class that is not mapped are
    left out and counted as ignored. Only the folders `External` of `raw` and `masks` are replaced.
    Raises UserError as `folder.unpack` does, and for a mapped class without images.
    """
    limits = limits or Limits()
    with opened_with_table(source, limits, set(classes)) as (container, table):
        if table is None:
            offers, refused, ignored = _folders(container, classes)
        else:
            rows = read_table(table.read(), f"{source}, {table.path}", ("path", "class"), ("source", "patient", "mask"))
            mapped = [row for row in rows if row["class"] in classes]
            offers, refused = offers_of(mapped, container, classes, "class")
            ignored = len(rows) - len(mapped)
            _check_classes(source, classes, [row["class"] for row in rows])
        named = [
            replace(
                offer, name=f"{offer.source or source.stem}-{offer.name}", part=PART, source=offer.source or source.stem
            )
            for offer in offers
        ]
        return Fetched(write_raw(named, raw, masks, limits, PART), refused, ignored)


def _folders(container: Container, classes: Mapping[str, str]) -> tuple[list[Offer], list[Refused], int]:
    offers = []
    for entry in container.entries:
        path = PurePosixPath(entry.path)
        if path.parent.name in classes:
            offers.append(Offer(path.name, classes[path.parent.name], PART, entry.read))
    _check_classes(container.source, classes, [PurePosixPath(entry.path).parent.name for entry in container.entries])
    return offers, container.refused, container.ignored + len(container.entries) - len(offers)


def _check_classes(source: Path, classes: Mapping[str, str], found: Sequence[str]) -> None:
    for name in classes:
        if name not in found:
            raise UserError(
                f"{source}: no image of class {name!r}{nearest(name, set(found))}; "
                "external.classes maps the classes of the external set to labels"
            )
