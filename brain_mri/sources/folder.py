"""The user's own images: a folder a class, or a CSV; a folder or a zip; any classes, any format that can be read."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from brain_mri.errors import UserError
from brain_mri.images.badimage import Limits
from brain_mri.sources.container import Container, Entry, opened
from brain_mri.sources.records import Fetched, Offer, Refused, write_raw
from brain_mri.sources.table import Row, nearest, read_table

TABLE = "labels.csv"
PARTS = {"": "", "train": "Training", "training": "Training", "test": "Testing", "testing": "Testing"}


def describe(source: Path) -> dict[str, str]:
    """Name, licence, citation and address, for the metrics and the report."""
    return {"name": source.stem, "licence": "as its owner states", "citation": "", "url": ""}


def unpack(source: Path, raw: Path, masks: Path, classes: Sequence[str], limits: Limits | None = None) -> Fetched:
    """Copy the user's images to `raw/<class>/<name>`, or `raw/<part>/<class>/<name>` where a CSV names splits.

    `source` is a folder or a zip with a folder a class or with a `labels.csv` at its top, or a CSV beside its images:
    columns `path` (relative to the CSV) and `label`, and, if wanted, `split` (train, test), `patient` and `mask`.
    Raises UserError for a class without images, a label that is no class, a missing file, a patient in two splits, and
    a mask of another size.
    """
    limits = limits or Limits()
    with opened_with_table(source, limits, set(classes)) as (container, table):
        if table is None:
            return _unpack_folders(container, raw, masks, classes, limits)
        rows = read_table(
            table.read(),
            str(source / table.path) if source.is_dir() else f"{source}",
            ("path", "label"),
            ("split", "patient", "mask"),
        )
        for row in rows:
            if row["label"] not in classes:
                raise UserError(
                    f"{row.place}: label {row['label']!r} is no class{nearest(row['label'], classes)}; "
                    "add it to dataset.classes, or mend the line"
                )
        _check_splits(rows)
        offers, refused = offers_of(rows, container, {name: name for name in classes}, "label")
        _check_classes(str(source), offers, classes)
        return Fetched(write_raw(offers, raw, masks, limits), refused)


@contextmanager
def opened_with_table(source: Path, limits: Limits, tops: set[str]) -> Iterator[tuple[Container, Entry | None]]:
    """Open a folder, a zip, or the folder of a CSV; with it the CSV, should there be one."""
    beside = source.suffix.lower() == ".csv"
    if beside and not source.is_file():
        raise UserError(f"{source}: not there; name a CSV, a folder or a zip")
    with opened(source.parent if beside else source, limits) as opened_container:
        container = opened_container if beside else opened_container.within({*tops, TABLE})
        wanted = source.name if beside else TABLE
        yield container, next((entry for entry in container.entries if entry.path == wanted), None)


def offers_of(
    rows: Sequence[Row], container: Container, classes: Mapping[str, str], column: str
) -> tuple[list[Offer], list[Refused]]:
    """The images of a table's rows, `classes` giving the label for what stands in `column`; and those refused.

    Raises UserError for a file that is not there, and a mask that is not or that must not be opened.
    """
    entries = {entry.path: entry for entry in container.entries}
    refused = {file.path: file for file in container.refused}
    offers, held_back = [], []
    for row in rows:
        path = str(PurePosixPath(row["path"]))
        if path in refused:
            held_back.append(refused[path])
            continue
        image = _entry(row, path, entries)
        mask = _entry(row, str(PurePosixPath(row["mask"])), entries) if row["mask"] else None
        part = PARTS[row.cells.get("split", "").lower()]
        offers.append(
            Offer(
                PurePosixPath(path).name,
                classes[row[column]],
                part,
                image.read,
                mask.read if mask else None,
                row["patient"],
                row.cells.get("source", ""),
            )
        )
    return offers, held_back


def _entry(row: Row, path: str, entries: Mapping[str, Entry]) -> Entry:
    if path not in entries:
        raise UserError(
            f"{row.place}: no file {path[:120]!r} in the table's folder; "
            "paths are relative to the table and do not lead out of its folder"
        )
    return entries[path]


def _check_splits(rows: Sequence[Row]) -> None:
    seen: dict[str, Row] = {}
    for row in rows:
        split = row["split"].lower()
        if split not in PARTS:
            raise UserError(f"{row.place}: split {row['split']!r}; allowed are train and test, or none for all images")
        if bool(split) != bool(rows[0]["split"]):
            raise UserError(f"{row.place}: a split in some lines only; name it in all lines or in none")
        other = seen.setdefault(row["patient"], row) if row["patient"] else row
        if PARTS[other["split"].lower()] != PARTS[split]:
            raise UserError(
                f"{row.place}: patient {row['patient']!r} is in {other['split']} ({other.place}) and in "
                f"{row['split']}; a patient belongs to one split"
            )


def _check_classes(source: str, offers: Sequence[Offer], classes: Sequence[str]) -> None:
    counts = Counter(offer.label for offer in offers)
    for label in classes:
        if not counts[label]:
            raise UserError(
                f"{source}: no image of class {label!r}{nearest(label, set(counts) - set(classes))}; "
                "dataset.classes names the classes"
            )


def _unpack_folders(container: Container, raw: Path, masks: Path, classes: Sequence[str], limits: Limits) -> Fetched:
    folders = {entry.path.partition("/")[0] for entry in container.entries if "/" in entry.path}
    for label in classes:
        if label not in folders:
            raise UserError(
                f"{container.source}: no folder {label!r}, or an empty one"
                f"{nearest(label, folders - set(classes))}; it needs a folder for each of dataset.classes, "
                f"or a {TABLE}"
            )
    if unknown := sorted(folders - set(classes)):
        raise UserError(
            f"{container.source}: the folder {unknown[0]!r} is no class{nearest(unknown[0], classes)}; "
            "rename or remove it, or add it to dataset.classes"
        )
    offers = [
        Offer(entry.path.partition("/")[2].replace("/", "-"), entry.path.partition("/")[0], "", entry.read)
        for entry in container.entries
        if "/" in entry.path
    ]
    return Fetched(
        write_raw(offers, raw, masks, limits),
        container.refused,
        container.ignored + len(container.entries) - len(offers),
    )
