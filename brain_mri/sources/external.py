"""An external test set: images of other sources, never trained on, their classes mapped to the study's by name."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

from brain_mri.images.badimage import Limits
from brain_mri.sources.folder import opened_with_table, require_classes, row_offers
from brain_mri.sources.raw import Fetched, Offer, source_card, write_raw

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
    return TUMOURS if name == TUMOURS["name"] else source_card(name)


def hint(name: str) -> str:
    """Where a set that is not at hand is to be had; empty where that is not known."""
    if name != TUMOURS["name"]:
        return ""
    places = TUMOURS["url"].replace(" | ", " and ")
    return f"gather its images from {places}, with a labels.csv (path, class, source, patient, mask),"


def unpack(source: Path, data: Path, classes: Mapping[str, str], limits: Limits) -> Fetched:
    """Copy an external set to `data/raw/External/<label>/<source>-<name>`, its masks to `data/masks/External/...`.

    `source` is a zip or a folder: with a `labels.csv` (columns `path` and `class`, and, if there, `source`, `sequence`,
    `patient`, `mask`), else with images in folders named as their classes, at any depth. `classes` maps its classes to
    labels; a label may be coarser than the study's classes ("tumour"), and images of a class that is not mapped are
    left out and counted as ignored. Only the folders `External` of `raw` and `masks` are replaced.
    Raises UserError as `folder.unpack` does, and for a mapped class without images.
    """
    columns = ("path", "class"), ("source", "patient", "mask")
    with opened_with_table(source, limits, classes, *columns) as (container, rows):
        if rows is None:
            found = [(entry, PurePosixPath(entry.path)) for entry in container.entries if entry.may_be_image]
            names = {path.parent.name for _, path in found}
            offers = [
                Offer(path.name, classes[path.parent.name], PART, entry.read)
                for entry, path in found
                if path.parent.name in classes
            ]
            refused, ignored = container.refused, container.ignored + len(container.entries) - len(offers)
        else:
            names = {row["class"] for row in rows}
            mapped = [row for row in rows if row["class"] in classes]
            offers, refused = row_offers(mapped, container, classes, "class")
            ignored = len(rows) - len(mapped)
        require_classes(str(source), names, classes, "external.classes")
        origins = [offer.source or source.stem for offer in offers]
        offers = [
            replace(offer, name=f"{origin}-{offer.name}", part=PART, source=origin)
            for offer, origin in zip(offers, origins, strict=True)
        ]
        return Fetched(write_raw(offers, data, limits, PART), refused, ignored)
