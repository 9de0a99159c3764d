"""The user's own images: a folder a class, or a CSV; a folder or a zip; any classes, any format that can be read."""

import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from brain_mri.errors import UserError
from brain_mri.images.badimage import Limits, Refused
from brain_mri.sources.container import NOT_FETCHED, Container, Entry, is_dangling, opened
from brain_mri.sources.names import normal_path
from brain_mri.sources.raw import Fetched, Offer, write_raw
from brain_mri.sources.table import Row, nearest, read_table

TABLE = "labels.csv"
PARTS = {"": "", "train": "Training", "training": "Training", "test": "Testing", "testing": "Testing"}


def unpack(source: Path, data: Path, classes: Sequence[str], limits: Limits) -> Fetched:
    """Copy the user's images to `data/raw/<class>/<name>`, or `.../<part>/<class>/<name>` where a CSV names splits.

    `source` is a folder or a zip with a folder a class or with a `labels.csv` at its top, or a CSV beside its images:
    columns `path` (relative to the CSV) and `label`, and, if wanted, `split` (train, test), `patient` and `mask`.
    Raises UserError for a class without images, a label that is no class, a missing file, a patient in two splits, and
    a mask of another size.
    """
    check_spelling(classes)
    columns = ("path", "label"), ("split", "patient", "mask")
    with opened_with_table(source, limits, classes, *columns) as (container, rows):
        if rows is None:
            return unpack_folders(container, data, classes, limits)
        for row in rows:
            if row["label"] not in classes:
                raise UserError(
                    f"{row['place']}: label {row['label']!r} is no class{nearest(row['label'], classes)}; "
                    "add it to dataset.classes, or correct the line"
                )
        _check_splits(rows)
        offers, refused = row_offers(rows, container, {name: name for name in classes}, "label")
        found = {offer.label for offer in offers}
        held = {file.path: file for file in refused}
        for name in classes:
            paths = [normal_path(row["path"]) for row in rows if row["label"] == name]
            if name not in found and paths:
                raise none_usable(str(source), name, [held[path] for path in paths])
        require_classes(str(source), found, classes)
        return Fetched(write_raw(offers, data, limits), refused)


def unpack_folders(
    container: Container, data: Path, classes: Sequence[str], limits: Limits, parts: Sequence[str] = ("",)
) -> Fetched:
    """Copy the images that `folder_offers` finds."""
    offers = folder_offers(container, classes, parts)
    ignored = container.ignored + len(container.entries) - len(offers)
    return Fetched(write_raw(offers, data, limits), container.refused, ignored)


def folder_offers(container: Container, classes: Sequence[str], parts: Sequence[str] = ("",)) -> list[Offer]:
    """The images in a folder a class, in each of the folders `parts` ("": at the top).

    Raises UserError for a folder that is missing, misspelt, unknown or empty.
    """
    source, offers = container.source, []
    for part in parts:
        prefix = f"{part}/" if part else ""
        entries = [entry for entry in container.entries if entry.path.startswith(prefix) and entry.may_be_image]
        if part and not entries:
            tops = {entry.top for entry in container.entries} - {""}
            raise UserError(
                f"{source}: no folder {part}/{nearest(part, tops)}; "
                f"it needs {' and '.join(parts)}, each with a folder a class"
            )
        found = set()
        for entry in entries:
            label, slash, name = entry.path.removeprefix(prefix).partition("/")
            if slash:
                found.add(label)
                offers.append(Offer(name.replace("/", "-"), label, part, entry.read))
        for name in set(classes) - found:
            if held := [file for file in container.refused if f"{file.path}/".startswith(f"{prefix}{name}/")]:
                raise none_usable(str(source / part), name, held)
        require_classes(str(source / part), found, classes, folders=True)
    return offers


def check_spelling(classes: Iterable[str], key: str = "dataset.classes") -> None:
    """Raise UserError for a class in NFD, which a name that is copied on macOS is in: what a source has is in NFC."""
    for name in classes:
        if not unicodedata.is_normalized("NFC", name):
            raise UserError(f"{key}: {name!r} has its accents as characters of their own (NFD); type it anew, in NFC")


def none_usable(where: str, name: str, refused: Sequence[Refused]) -> UserError:
    return UserError(
        f"{where}: no image of class {name!r} can be used, its {len(refused)} files are refused; the first, "
        f"{refused[0].path}: {refused[0].reason}"
    )


def require_classes(
    where: str, found: Iterable[str], classes: Collection[str], key: str = "dataset.classes", folders: bool = False
) -> None:
    """Raise UserError for a class that is not among those found, and for a folder that is no class."""
    check_spelling(classes, key)
    others = set(found) - set(classes)
    for name in classes:
        if name not in found:
            raise UserError(f"{where}: no image of class {name!r}{nearest(name, others)}; {key} names the classes")
    if folders and others:
        name = min(others)
        raise UserError(
            f"{where}: the folder {name!r} is no class{nearest(name, classes)}; rename or remove it, or add it to {key}"
        )


@contextmanager
def opened_with_table(
    source: Path, limits: Limits, tops: Iterable[str], required: Sequence[str], optional: Sequence[str]
) -> Iterator[tuple[Container, list[Row] | None]]:
    """Open a folder, a zip, or the folder of a CSV; with it the rows of the CSV, should there be one."""
    beside = source.suffix.lower() == ".csv"
    if beside and not source.is_file():
        what = NOT_FETCHED if is_dangling(source) else "not there; name a CSV, a folder or a zip"
        raise UserError(f"{source}: {what}")
    with opened(source.parent if beside else source, limits) as container:
        if not beside:
            container = container.within({*tops, TABLE})
        table = _table(container, normal_path(source.name) if beside else None)
        name = str(container.source / table.path) if table else ""
        yield container, read_table(table.read(), name, required, optional) if table else None


def _table(container: Container, named: str | None) -> Entry | None:
    """The table that is named, else the one at the container's top, whatever the case of its name: one that is passed
    over would leave its splits and patients unnoticed. Raises UserError for one that cannot be read, and for two."""
    if named is not None:
        return next((entry for entry in container.entries if entry.path == named), None)
    for file in container.refused:
        if file.path.lower() == TABLE:
            raise UserError(f"{container.source / file.path}: {file.reason}")
    tables = [entry for entry in container.entries if entry.path.lower() == TABLE]
    if len(tables) > 1:
        raise UserError(f"{container.source}: {' and '.join(entry.path for entry in tables)}; keep one of them")
    return tables[0] if tables else None


def row_offers(
    rows: Iterable[Row], container: Container, classes: Mapping[str, str], column: str
) -> tuple[list[Offer], list[Refused]]:
    """The images of a table's rows, `classes` giving the label for what stands in `column`; and those refused.

    Raises UserError for a file that is not there, and a mask that is not or that must not be opened.
    """
    entries: dict[str, list[Entry]] = {}
    for entry in container.entries:
        entries.setdefault(entry.path, []).append(entry)
    refused = {file.path: file for file in container.refused}
    offers, held_back = [], []
    for row in rows:
        path = PurePosixPath(normal_path(row["path"]))
        if str(path) in refused:
            held_back.append(refused[str(path)])
            continue
        image = _entry(row, "path", entries)
        mask = _entry(row, "mask", entries).read if row["mask"] else None
        part = PARTS[row.get("split", "").lower()]
        label, source = classes[row[column]], row.get("source", "")
        offers.append(Offer(path.name, label, part, image.read, mask, row["patient"], source))
    return offers, held_back


def _entry(row: Row, column: str, entries: Mapping[str, Sequence[Entry]]) -> Entry:
    path = normal_path(row[column])
    if path not in entries:
        raise UserError(
            f"{row['place']}: no file {path[:120]!r} in the table's folder; "
            "paths are relative to the table and do not lead out of its folder"
        )
    if len(entries[path]) > 1:
        raise UserError(
            f"{row['place']}: {len(entries[path])} files are named {path[:120]!r}, in one Unicode spelling or another "
            "(NFC, NFD); rename one"
        )
    return entries[path][0]


def _check_splits(rows: Sequence[Row]) -> None:
    seen: dict[str, Row] = {}
    for row in rows:
        place, split, patient = row["place"], row["split"], row["patient"]
        if split.lower() not in PARTS:
            raise UserError(f"{place}: split {split!r}; allowed are train and test, or none for all images")
        if bool(split) != bool(rows[0]["split"]):
            raise UserError(f"{place}: a split in some lines only; name it in all lines or in none")
        other = seen.setdefault(patient, row) if patient else row
        if PARTS[other["split"].lower()] != PARTS[split.lower()]:
            raise UserError(
                f"{place}: patient {patient!r} is in {other['split']} ({other['place']}) and in {split}; "
                "a patient belongs to one split"
            )
