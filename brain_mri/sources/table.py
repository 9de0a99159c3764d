"""A CSV that people wrote: read with care, and every complaint names its line."""

import csv
import difflib
import gzip
import io
import unicodedata
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from brain_mri.errors import UserError
from brain_mri.sources.names import normal_path

MAX_BYTES = 256 * 2**20  # of a table, unpacked
SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
EXCEL = "a line 'sep=,' above its header"
Row = dict[str, str]  # cells by column, stripped, in NFC; under "place" the file and line, for messages


def read_table(data: bytes, name: str, required: Sequence[str], optional: Sequence[str] = ()) -> list[Row]:
    """Rows of a UTF-8 CSV with a header; a missing optional column reads as "", other columns are left out. `Path` is
    `path`: a split or a patient that is passed over for its capital would go unnoticed.

    Raises UserError for a table without rows, without a required column, with one twice, with a line that is too short
    or too long, with an empty required cell, or with a `path` whose `normal_path` an earlier line has.
    """
    rows: list[Row] = []
    seen: set[str] = set()
    try:
        text = unicodedata.normalize("NFC", data.decode("utf-8-sig"))
        if "\0" in text:
            raise csv.Error("a zero byte in it")
        if used := _separator(text, required):
            needs = ", ".join(required)
            raise UserError(f"{name}: {used}; save it with commas, and {needs} in the first line")
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        header = [column.strip().lower() for column in reader.fieldnames or []]
        reader.fieldnames = header
        for column in required:
            if column not in header:
                raise _column_missing(name, column, header, required, optional)
        for column in (*required, *optional):
            if header.count(column) > 1:
                raise UserError(f"{name}: {header.count(column)} columns {column!r}; which one is meant? keep one")
        for cells in reader:
            place = f"{name}, line {reader.line_num}"
            if None in cells or None in cells.values():
                raise UserError(f"{place}: another number of cells than the header's {len(header)}")
            row = {column: cells.get(column, "").strip() for column in (*required, *optional)}
            if empty := [column for column in required if not row[column]]:
                raise UserError(f"{place}: no {empty[0]}")
            path = normal_path(row["path"]) if "path" in row else place
            if path in seen:
                raise UserError(f"{place}: {row['path'][:80]!r} is in an earlier line too; each image once")
            seen.add(path)
            rows.append({"place": place, **row})
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{name}: not a CSV in UTF-8 ({error}); save it again as one") from None
    if not rows:
        raise UserError(f"{name}: no line besides the header")
    return rows


def _separator(text: str, required: Sequence[str]) -> str:
    """What stands between the cells in the place of commas, in words; "" for a table with commas."""
    first = next(iter(text.lstrip().splitlines()), "")
    if first.lower().startswith("sep="):
        return next((f"{words} between its cells" for mark, words in SEPARATORS.items() if mark in first), EXCEL)
    if set(required) <= _cells(first, ","):
        return ""
    used = (mark for mark in SEPARATORS if mark in first and ("," not in first or _cells(first, mark) & set(required)))
    return next((f"{SEPARATORS[mark]} between its cells" for mark in used), "")


def _cells(line: str, mark: str) -> set[str]:
    return {cell.strip().lower() for cell in next(csv.reader([line], delimiter=mark), [])}


def _column_missing(
    name: str, column: str, header: Sequence[str], required: Sequence[str], optional: Sequence[str]
) -> UserError:
    needs = ", ".join(required)
    may = f", may have {', '.join(optional)}" if optional else ""
    return UserError(
        f"{name}: no column {column!r}{nearest(column, header)}; it needs {needs}{may}, and other columns are left out"
    )


def read_table_file(path: Path, required: Sequence[str], optional: Sequence[str] = ()) -> list[Row]:
    """Rows of a `.csv` or `.csv.gz`, as `read_table` gives them; raises UserError where it is not there or broken."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise UserError(f"{path}: not there; fetch it again, or set its key in params.yaml to null") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{path}: not a whole gzip file ({error}); fetch it again") from None
    if len(data) > MAX_BYTES:
        raise UserError(f"{path}: more than {MAX_BYTES:,} bytes; leave out the lines of other images")
    return read_table(data, str(path), required, optional)


def nearest(name: str, names: Iterable[str]) -> str:
    """Words for a message: the most similar of `names`, else the first five that there are, else nothing."""
    known = sorted({str(other) for other in names})
    close = difflib.get_close_matches(name.lower(), [other.lower() for other in known], 1, 0.5)
    if close:
        return f" (is it {next(other for other in known if other.lower() == close[0])[:80]!r}?)"
    return f" (there is {', '.join(repr(other[:80]) for other in known[:5])})" if known else ""
