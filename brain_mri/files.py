"""What the stages do with files: whole or not at all, and one plain line when something is wrong."""

import csv
import io
import json
import math
import shutil
import sys
import time
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from ruamel.yaml import YAML, YAMLError
from tqdm import tqdm

from brain_mri.errors import UserError, reason

T = TypeVar("T")
SECONDS_BETWEEN_LINES = 15


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """Yield a temporary name beside `path`; on success it becomes `path`, on failure it is removed.

    A file is replaced in one step; an existing folder, whatever is in it, is removed just before."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays last: writers such as OpenCV and Keras choose their format by it.
    temporary = path.with_name(f".{path.stem}.partial{path.suffix}")
    remove(temporary)
    try:
        yield temporary
        if temporary.is_dir():
            remove(path)
        temporary.replace(path)
    except OSError as error:
        # A disk that fills up in the middle names no file; what cannot be opened goes by its temporary name.
        if error.errno and error.filename in (None, str(temporary)):
            error.filename = str(path)
        raise
    finally:
        remove(temporary)


def remove(path: Path) -> None:
    """Remove a file or a folder; one that is not there is no error."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_bytes(path: Path | str, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_png(path: Path | str, image: np.ndarray) -> None:
    """Write a grey image or mask, uint8 (H, W), as PNG, without loss."""
    write_bytes(path, cv2.imencode(".png", image)[1].tobytes())


def write_arrays(path: Path | str, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays by name as an .npz file; the same arrays give the same bytes on every Python."""
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as file:
        for name, values in arrays.items():
            array = io.BytesIO()
            np.save(array, values, allow_pickle=False)
            # np.savez leaves the header to Python, whose versions write different ones.
            file.writestr(zipfile.ZipInfo(f"{name}.npy"), array.getvalue())


def read_arrays(path: Path | str) -> dict[str, np.ndarray]:
    """Read what `write_arrays` wrote; raises UserError where it is missing or broken."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except FileNotFoundError:
        raise UserError(f"{path}: not there; `dvc repro` makes it") from None
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{path}: not arrays of NumPy ({error}); remove it and run `dvc repro`") from None


def write_json(path: Path | str, values: Mapping[str, Any]) -> None:
    """Write metrics as JSON: floats with 6 decimals, so that a diff shows what matters; NaN becomes null."""
    write_bytes(path, format_json(values).encode())


def format_json(values: Mapping[str, Any]) -> str:
    """Return the text that `write_json` writes."""
    return json.dumps(_plain(values), indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value


def read_json(path: Path | str) -> Any:
    """Read a JSON file that another stage wrote; raises UserError where it is missing or broken."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: not there; `dvc repro` makes it") from None
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error}); remove it and run `dvc repro`") from None


def read_yaml(path: Path | str) -> Any:
    """Read a YAML file as DVC writes and reads it; see `parse_yaml`. A missing file raises FileNotFoundError."""
    return parse_yaml(Path(path).read_bytes(), str(path))


def parse_yaml(text: str | bytes, name: str) -> Any:
    """Return the values of a YAML 1.2 text: `1e-05` is a number and `no` a string, which in YAML 1.1 they are not.

    Raises UserError that begins with `name` where the text is broken or gives a key twice."""
    try:
        return YAML(typ="safe").load(text.decode() if isinstance(text, bytes) else text)
    # ValueError: bytes that are no UTF-8, and dates that no calendar has; RecursionError: brackets in brackets.
    except (YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        what = f"{getattr(error, 'problem', '')}, line {mark.line + 1}" if mark else reason(error)
        raise UserError(f"{name}: not YAML: {what}") from None


def write_csv(path: Path | str, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Write rows under a header; the columns are given, so that an empty table has its header too."""
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        plain, quoted = (
            csv.DictWriter(file, columns, lineterminator="\n", quoting=cells)
            for cells in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL)
        )
        plain.writeheader()
        for row in rows:
            # Every reader ends a row at a carriage return, which this writer leaves bare.
            (quoted if any("\r" in str(cell) for cell in row.values()) else plain).writerow(row)


def read_csv(path: Path | str) -> list[dict[str, str]]:
    """Read a table with a header; raises UserError where it is missing."""
    try:
        with Path(path).open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
    except FileNotFoundError:
        raise UserError(f"{path}: not there; `dvc repro` makes it") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a table ({error}); expected UTF-8 text with commas") from None
    if any(None in row or None in row.values() for row in rows):
        raise UserError(f"{path}: not a table (rows of different lengths); remove it and run `dvc repro`")
    return rows


def progress(items: Iterable[T], what: str, total: int | None = None) -> Iterator[T]:
    """Yield the items and show counts and time left: a bar on a terminal, a plain line now and then elsewhere."""
    if sys.stderr.isatty():
        yield from tqdm(items, desc=what, total=total)
        return
    total = len(items) if total is None else total  # type: ignore[arg-type]
    begin = shown = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        if (now := time.monotonic()) - shown >= SECONDS_BETWEEN_LINES or done == total:
            left = tqdm.format_interval((total - done) * (now - begin) / done)
            print(f"{what}: {done} of {total}, {left} left", file=sys.stderr, flush=True)
            shown = now
