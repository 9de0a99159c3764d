"""crop: find the head in each image, cut it out, resize it (paper, section III A and B).

Reads   data/raw, data/masks, data/raw.csv, data/refused.csv, metrics/dataset.json, params `crop`.
Writes  data/cropped/{images,masks} (grey PNG of `crop.size` a side), data/external (the same of the external test set,
        apart, so that no training depends on it), data/cropped.csv, data/quarantine.csv (what cannot be used, and why),
        data/descriptions (what the audit for copies compares), data/sizes.csv (each image's size before and after the
        cut), metrics/crop.json.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from brain_mri import results
from brain_mri.copies.descriptions import Description, describe, write_descriptions
from brain_mri.decoding.decode import decode_grey, read_file
from brain_mri.errors import UserError, run
from brain_mri.files import progress, read_csv, replacing, write_csv, write_png
from brain_mri.images.badimage import BadImage, Limits, Refused
from brain_mri.images.crop import cut, cut_out, find_head, resize_mask
from brain_mri.images.dataset import ImageRecord, read_records, write_records
from brain_mri.params import Crop, load_params
from brain_mri.workers import workers

SIZES = ("path", "height", "width", "cut_height", "cut_width")  # of data/raw, in pixels
RAW, MASKS, DESCRIPTIONS = Path("data/raw"), Path("data/masks"), Path("data/descriptions")


@dataclass(frozen=True)
class Cropped:
    """An image that can be used."""

    raw: ImageRecord
    record: ImageRecord  # with the paths of the cropped image and mask
    shape: tuple[int, ...]  # of the raw image
    cut_shape: tuple[int, ...]  # after the crop, before the resize
    whole: bool  # no head was found: the image is kept whole, as in the paper
    sha256: str  # of the file


def main() -> None:
    params = load_params()
    records = read_records("data/raw.csv")
    if len({cropped_name(record.path) for record in records}) < len(records):
        raise UserError("data/raw: two images differ by an added .png alone in their names; rename one")
    used: list[Cropped] = []
    bad = [Refused(row["path"], row["reason"], int(row["size"])) for row in read_csv("data/refused.csv")]
    with replacing("data/cropped") as own, replacing("data/external") as external, replacing(DESCRIPTIONS) as folder:
        for images in (own, external):
            (images / "images").mkdir(parents=True)
            (images / "masks").mkdir()
        work = partial(crop_one, settings=params.crop, own=own, external=external)
        with write_descriptions(folder) as write_description, workers() as pool:
            for result in progress(pool.map(work, records, chunk=32), "crop", len(records)):
                if isinstance(result, Refused):
                    bad.append(result)
                else:
                    cropped, description = result
                    used.append(cropped)
                    write_description(cropped.record.path, cropped.sha256, description)
        write_csv("data/quarantine.csv", [vars(file) for file in bad], ["path", "reason", "size"])
        stop_when_too_many(bad, len(used) + len(bad), params.crop.max_quarantined)
    write_records("data/cropped.csv", [result.record for result in used])
    found = results.read("metrics/dataset.json", results.Dataset)
    ignored = found.dataset.ignored + (found.external.ignored if found.external else 0)
    results.write("metrics/crop.json", summary(used, bad, ignored))
    sizes = [dict(zip(SIZES, (u.raw.path, *u.shape, *u.cut_shape), strict=True)) for u in used]
    write_csv("data/sizes.csv", sizes, SIZES)


def crop_one(record: ImageRecord, settings: Crop, own: Path, external: Path) -> tuple[Cropped, Description] | Refused:
    """Crop one image and its mask, and describe it for the audit, from one decoding; runs in a worker process."""
    limits = Limits(settings.min_side, settings.max_pixels)
    try:
        data = read_file(RAW / record.path, limits)
        grey = decode_grey(data, limits, record.path)
    except BadImage as error:
        return Refused(record.path, str(error), (RAW / record.path).lstat().st_size)
    head = find_head(grey, settings)
    name = cropped_name(record.path)
    folder = external if record.part == "External" else own
    write_png(folder / "images" / name, cut_out(head, settings))
    if record.mask:
        mask = cv2.imread(str(MASKS / record.mask), cv2.IMREAD_GRAYSCALE)
        if mask is None or mask.shape != grey.shape:
            found = "damaged" if mask is None else f"of {mask.shape[1]}x{mask.shape[0]} pixels"
            raise UserError(
                f"{MASKS / record.mask}: the mask is {found}, its image {record.path} of "
                f"{grey.shape[1]}x{grey.shape[0]}; a mask must lie on its image pixel by pixel"
            )
        write_png(folder / "masks" / name, resize_mask(cut(mask, head.box), settings.size))
    changed = replace(record, path=name, mask=name if record.mask else "")
    digest = hashlib.sha256(data).hexdigest()
    kept = cut(grey, head.box).shape
    return Cropped(record, changed, grey.shape, kept, head.contour is None, digest), describe(grey)


def cropped_name(path: str) -> str:
    return path if path.endswith(".png") else f"{path}.png"


def stop_when_too_many(bad: list[Refused], found: int, allowed: float) -> None:
    if len(bad) == found or len(bad) > allowed * found:
        listed = "; ".join(f"{file.path}: {file.reason}" for file in bad[:10])
        too_many = f"more than crop.max_quarantined = {allowed:.2%}; fix or remove them, or raise it"
        why = "so none is left" if len(bad) == found else too_many
        raise UserError(f"data/quarantine.csv: {len(bad)} of {found} images cannot be used, {why}. The first: {listed}")


def summary(used: list[Cropped], bad: list[Refused], ignored: int) -> dict:
    """Count what was found and used, and by how much the crop shrinks an image."""
    kept = [float(np.prod(u.cut_shape) / np.prod(u.shape)) for u in used]
    return {
        "found": len(used) + len(bad) + ignored,
        "used": len(used),
        "quarantined": len(bad),
        "ignored": ignored,
        "quarantined_by_reason": dict(sorted(Counter(file.reason.split(":")[0] for file in bad).items())),
        "kept_whole": sum(u.whole for u in used),
        "area_kept": {"median": float(np.median(kept)), "min": min(kept), "max": max(kept)},
        "raw_sizes": len({u.shape for u in used}),
    }


if __name__ == "__main__":
    run(main)
