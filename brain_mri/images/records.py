"""The table of a study's images, as `fetch` and `crop` write it."""

import csv
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from brain_mri.errors import UserError
from brain_mri.files import read_csv, write_csv


@dataclass(frozen=True)
class ImageRecord:
    """One image of a study.

    `path` is relative to `data/raw` (`<part>/<label>/<name>`, posix), `mask` to `data/masks` or "". `part` is
    "Training", "Testing", "External", or "" where the source publishes no split.
    """

    path: str
    label: str
    part: str
    patient: str = ""
    source: str = ""
    mask: str = ""


COLUMNS = [column.name for column in fields(ImageRecord)]


def write_records(path: Path | str, records: Iterable[ImageRecord]) -> None:
    """Write the table as CSV, in the order given."""
    write_csv(path, (asdict(record) for record in records), COLUMNS)


def read_records(path: Path | str) -> list[ImageRecord]:
    """Read what `write_records` wrote; raises UserError where it is missing or another table."""
    try:
        rows = read_csv(path)
    except (UnicodeDecodeError, csv.Error):
        rows = [{}]
    if any(list(row) != COLUMNS or None in row.values() for row in rows):
        raise UserError(f"{path}: not a table with the columns {', '.join(COLUMNS)}; remove it and run `dvc repro`")
    return [ImageRecord(**row) for row in rows]
