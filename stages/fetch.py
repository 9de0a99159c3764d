"""fetch: bring the study's images to `data/raw`, whatever their source.

Reads   params `dataset`, `external`, `crop.min_side`, `crop.max_pixels`; the data set itself, unless it is drawn here,
        from the folder that the environment variable BRAIN_MRI_DATA names, else from `downloads/`.
Writes  data/raw/<part>/<class>/*, data/masks/... where lesions are outlined, data/raw.csv (one row an image),
        data/refused.csv (files that were not even copied), metrics/dataset.json (counts, licence and citation of the
        images, of their lesion outlines and patients and of the external set).

What lies outside the study is pinned by its fingerprint where it has one; after a change of your own images run
`dvc repro --force fetch`.
"""

import shutil
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

from brain_mri import results
from brain_mri.errors import UserError, run
from brain_mri.files import progress, replacing, write_csv, write_png
from brain_mri.images.badimage import Limits
from brain_mri.images.dataset import ImageRecord, write_records
from brain_mri.params import External, Params, Phantoms, Published, load_params
from brain_mri.phantoms import phantom
from brain_mri.sources import archive, external, figshare, folder, kaggle, outlines, patients
from brain_mri.sources.container import locate
from brain_mri.sources.raw import Fetched, source_card
from brain_mri.workers import workers

DATA = Path("data")
RAW, MASKS = DATA / "raw", DATA / "masks"


def main() -> None:
    params = load_params()
    downloads = Path(params.code) / "downloads"
    limits = Limits(params.crop.min_side, params.crop.max_pixels)
    for old in (RAW, MASKS):
        shutil.rmtree(old, ignore_errors=True)
    about, fetched = fetch(params, downloads, limits)
    records, groups = fetched.records, params.dataset.groups
    tables: dict = {"dataset": dict(about)}
    if groups:
        records = patients.add_patients(patients.read_patients(Path(params.code) / groups), records, RAW, limits)
    tables["dataset"] |= {"images": count(records), "ignored": fetched.ignored}
    refused = list(fetched.refused)
    if isinstance(params.dataset, Published) and params.dataset.outlines:
        tables["dataset"]["outlines"] = outlines.SOURCE
    if isinstance(params.dataset, Published) and groups:
        tables["dataset"]["patients"] = patients.SOURCE | {"other_class": patients.other_classes(records)}
    if params.external:
        about, added = fetch_external(params.external, downloads, limits)
        records += added.records
        refused += added.refused
        tables["external"] = {**about, "images": count(added.records), "ignored": added.ignored}
    write_records("data/raw.csv", records)
    write_csv("data/refused.csv", map(vars, refused), ["path", "reason", "size"])
    results.write("metrics/dataset.json", tables)


def fetch(params: Params, downloads: Path, limits: Limits) -> tuple[dict[str, str], Fetched]:
    """Copy the study's own images; return what is known of the source, and what came of it."""
    dataset = params.dataset
    if isinstance(dataset, Phantoms):
        return phantom.SOURCE, draw_phantoms(dataset)
    if isinstance(dataset, Published):
        return archive.SOURCE, fetch_published(dataset, Path(params.code), downloads, limits)
    if dataset.source == "figshare":
        source = locate(dataset.name, downloads, figshare.HINT)
        return figshare.SOURCE, figshare.unpack(source, DATA, dataset.classes, limits)
    source = locate(dataset.name, downloads)
    return source_card(source.stem), folder.unpack(source, DATA, dataset.classes, limits)


def fetch_published(dataset: Published, root: Path, downloads: Path, limits: Limits) -> Fetched:
    """Check that the data set is the one that the fingerprint names, copy its images, draw its lesion outlines."""
    downloaded = dataset.source == "kaggle"
    source = kaggle.download(downloads) if downloaded else locate(dataset.name, downloads, archive.HINT)
    archive.verify(source, dataset.fingerprint, dataset.classes)
    fetched = archive.unpack(source, DATA, dataset.classes, limits)
    if dataset.outlines is None:
        return fetched
    polygons = outlines.read_outlines(root / dataset.outlines)
    return replace(fetched, records=outlines.write_outline_masks(polygons, fetched.records, DATA, limits))


def fetch_external(settings: External, downloads: Path, limits: Limits) -> tuple[dict[str, str], Fetched]:
    """Copy the external test set; where it is not at hand and not required, say so and go on without."""
    about = external.describe(settings.name)
    try:
        source = locate(settings.name, downloads, external.hint(settings.name))
    except UserError as error:
        if settings.required:
            raise
        print(f"fetch: no external test set: {error}", file=sys.stderr)
        return {**about, "missing": "not at hand"}, Fetched([])
    return about, external.unpack(source, DATA, settings.classes, limits)


def draw_phantoms(dataset: Phantoms) -> Fetched:
    """Draw the embedded data set on all cores; an image depends on the seed and on its place in the list alone."""
    wanted = [
        (part, label, number)
        for part, each in [("Training", dataset.training_per_class), ("Testing", dataset.testing_per_class)]
        for number in range(each)
        for label in dataset.classes
    ]
    with replacing(RAW) as raw, replacing(MASKS) as masks, workers() as pool:
        masks.mkdir(parents=True)
        tasks = [(*image, index, dataset.seed, raw, masks) for index, image in enumerate(wanted)]
        return Fetched(list(progress(pool.map(draw_phantom, tasks, chunk=8), "phantoms", len(tasks))))


def draw_phantom(task: tuple[str, str, int, int, int, Path, Path]) -> ImageRecord:
    part, label, number, index, seed, raw, masks = task
    drawn = phantom.phantom(label, seed, index)
    path = f"{part}/{label}/phantom_{number:04d}.png"
    write_png(raw / path, drawn.image)
    if drawn.mask.any():
        write_png(masks / path, drawn.mask)
    return ImageRecord(path, label, part, source="phantom", mask=path if drawn.mask.any() else "")


def count(records: list[ImageRecord]) -> dict[str, dict[str, int]]:
    """Count images by part and class, those with a mask, and those with a known patient."""
    parts = Counter((record.part or "all", record.label) for record in records)
    table: dict[str, dict[str, int]] = {}
    for (part, label), images in sorted(parts.items()):
        table.setdefault(part, {})[label] = images
    table["with_mask"] = dict(sorted(Counter(record.label for record in records if record.mask).items()))
    table["patients"] = {"known": len({record.patient for record in records if record.patient})}
    return table


if __name__ == "__main__":
    run(main)
