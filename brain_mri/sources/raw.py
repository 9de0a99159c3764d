"""Images from any source to `data/raw`, their masks to `data/masks`, whole or not at all."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from brain_mri.decoding.decode import decode_mask, image_shape
from brain_mri.errors import UserError
from brain_mri.files import progress, replacing
from brain_mri.images.badimage import BadImage, Limits, Refused
from brain_mri.images.dataset import ImageRecord

LONGEST_NAME = 200  # bytes; file systems allow 255, and the mask's name is longer than the image's
FORBIDDEN = '<>:"/\\|?*'  # what one file system or another does not allow in a name
DEVICE = re.compile(r"(con|prn|aux|nul|(com|lpt)[0-9¹²³])\s*(\.|$)", re.IGNORECASE)  # on Windows, whatever the ending


@dataclass(frozen=True)
class Offer:
    """An image that a source has to give. `read_mask` gives an image file of any kind, see `decode_mask`."""

    name: str
    label: str
    part: str
    read: Callable[[], bytes]
    read_mask: Callable[[], bytes] | None = None
    patient: str = ""
    source: str = ""


@dataclass(frozen=True)
class Fetched:
    """What came of a source: found = records + refused + ignored."""

    records: list[ImageRecord]
    refused: list[Refused] = field(default_factory=list)
    ignored: int = 0


def source_card(name: str) -> dict[str, str]:
    """Name, licence, citation and address of a data set that only its owner knows, for the metrics and the report."""
    return {"name": name, "licence": "as its owner states", "citation": "", "url": ""}


def write_raw(offers: Sequence[Offer], data: Path, limits: Limits, part: str = "") -> list[ImageRecord]:
    """Copy images to `data/raw` and masks to `data/masks`, and return their records in order of path.

    With `part`, only that folder of both is replaced, and every offer belongs to it. Names that a file system may not
    take are changed and names that collide get a number, the same ones each time. Raises UserError for a label that
    cannot be a folder's name and a mask that is no image or has another size than its image.
    """
    for label in sorted({offer.label for offer in offers}):
        if safe_name(label) != label:
            raise UserError(f"label {label!r}: cannot be a folder's name; rename it, for example {safe_name(label)!r}")
    records = []
    with replacing(data / "raw" / part) as raw, replacing(data / "masks" / part) as masks:
        raw.mkdir()
        masks.mkdir()
        named = sorted(zip(_paths(offers), offers, strict=True), key=lambda pair: pair[0])
        for path, offer in progress(named, "images written"):
            content = offer.read()
            place = PurePosixPath(path).relative_to(part)
            _write_new(raw / place, content)
            mask = _mask(offer, content, path, limits)
            if mask is not None:
                _write_new(masks / f"{place}.png", mask)
            mask_path = "" if mask is None else f"{path}.png"
            origin = {"patient": offer.patient, "source": offer.source, "mask": mask_path}
            records.append(ImageRecord(path, offer.label, offer.part, **origin))
    return records


def _write_new(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        file.write(data)


def mask_png(mask: np.ndarray) -> bytes:
    """A mask, uint8 (height, width) of 0 and 255, as a PNG of one bit a pixel: the same bytes each time."""
    return cv2.imencode(".png", mask, [cv2.IMWRITE_PNG_BILEVEL, 1])[1].tobytes()


def safe_name(name: str) -> str:
    """The name itself, in NFC, where any file system takes it, else a changed one: never empty, hidden, or leading
    elsewhere."""
    # The end stays: it may name the format.
    short = unicodedata.normalize("NFC", name).encode(errors="replace")[-LONGEST_NAME:].decode(errors="ignore")
    changed = "".join("_" if mark in FORBIDDEN or not mark.isprintable() else mark for mark in short)
    changed = changed.strip(" .") or "_"
    return f"_{changed}" if DEVICE.match(changed) else changed


def _paths(offers: Sequence[Offer]) -> list[str]:
    """A path an offer; two differ in more than case and the ending `.png`, which what is made of them gets anyway."""
    taken: dict[str, int] = {}
    paths = []
    for offer in offers:
        folder, name = PurePosixPath(offer.part, offer.label), safe_name(offer.name)
        first = key = _key(folder / name)
        stem, dot, suffix = name.partition(".")
        while key in taken:
            taken[first] += 1
            name = f"{stem}-{taken[first]}{dot}{suffix}"
            key = _key(folder / name)
        taken[key] = 1
        paths.append(str(folder / name))
    return paths


def _key(path: PurePosixPath) -> str:
    return str(path).casefold().removesuffix(".png")


def _mask(offer: Offer, data: bytes, path: str, limits: Limits) -> bytes | None:
    if offer.read_mask is None:
        return None
    try:
        shape = image_shape(data, limits, offer.name)
    except BadImage:
        return None  # the image will be quarantined, and its mask with it
    try:
        mask = decode_mask(offer.read_mask(), limits)
    except BadImage as error:
        raise UserError(f"{path}: its mask is {error}; fix or leave out the mask") from None
    if mask.shape != shape:
        raise UserError(
            f"{path}: {shape[1]}x{shape[0]} px, but its mask has {mask.shape[1]}x{mask.shape[0]}; "
            "a mask has its image's size"
        )
    return mask_png(mask)
