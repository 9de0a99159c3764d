"""Hostile input: seeded mutations of everything that comes from outside, and what became of each.

    python bench/fuzz.py            10,000 inputs, a table, exit code 1 should one of them be a problem
    python bench/fuzz.py 500        fewer

An input may be accepted, or refused with a `UserError` or `BadImage`. Anything else is a problem: another exception, a
crash, more than 5 seconds, a file outside the study's `data` folder, counts that do not add up.
"""

import gzip
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "stages")]

import cv2  # noqa: E402
import numpy as np  # noqa: E402

from bench.mutations import (  # noqa: E402
    CLASSES,
    EXTERNAL,
    LABELS,
    OUTLINES,
    RECORDS,
    WORDS,
    data_set,
    matlab,
    mutate,
    mutate_dicom,
    mutate_text,
    pictures,
    scans,
    volumes,
    zipped,
)
from brain_mri.errors import UserError  # noqa: E402
from brain_mri.images.badimage import BadImage, Limits  # noqa: E402
from brain_mri.images.dataset import read_records  # noqa: E402
from brain_mri.images.decode import decode_grey, image_shape, read_grey  # noqa: E402
from brain_mri.params import load_params  # noqa: E402
from brain_mri.sources import archive, external, figshare, folder, outlines  # noqa: E402
from brain_mri.sources.container import opened  # noqa: E402
from brain_mri.sources.raw import Fetched  # noqa: E402

SEED = 20260801
SLOWEST = 5.0  # seconds
LIMITS = Limits()


@dataclass(frozen=True)
class Outcome:
    """What became of an input: `result` is "accepted", "refused: why" or "PROBLEM: what"."""

    kind: str
    index: int
    result: str
    seconds: float


def read_picture(data: bytes, name: str) -> None:
    grey = decode_grey(data, LIMITS, name)
    assert grey.dtype == np.uint8 and grey.ndim == 2 and image_shape(data, LIMITS, name) == grey.shape


def fuzz_image(rng: np.random.Generator, place: Path) -> None:
    path = place / "image.bin"
    path.write_bytes(mutate(pictures()[rng.integers(len(pictures()))], rng))
    read_grey(path, LIMITS, root=place)
    read_picture(path.read_bytes(), "image.bin")


def fuzz_nifti(rng: np.random.Generator, place: Path) -> None:
    read_picture(mutate(volumes()[rng.integers(3)], rng), "scan.nii")


def fuzz_dicom(rng: np.random.Generator, place: Path) -> None:
    change = mutate_dicom if rng.random() < 0.5 else mutate
    read_picture(change(scans()[rng.integers(3)], rng), "scan.dcm")


def fuzz_archive(rng: np.random.Generator, place: Path) -> None:
    files = list(data_set().items())
    if rng.random() < 0.5:
        name, content = files[rng.integers(len(files))]
        files.append((str(rng.choice(WORDS)).replace("\0", "") + name, mutate(content, rng)))
        data = zipped(files, rng if rng.random() < 0.3 else None)
    else:
        data = mutate(zipped(files), rng)
    source = place / "input.zip"
    source.write_bytes(data)
    with opened(source, LIMITS) as container:
        found = len(container.entries) + len(container.refused) + container.ignored
    archive.fingerprint(archive.inventory(source))
    check_counts(archive.unpack(source, place / "data", CLASSES, LIMITS), place, found)


def fuzz_matlab(rng: np.random.Generator, place: Path) -> None:
    figshare.read_slice(mutate(matlab(), rng), LIMITS)


def fuzz_table(rng: np.random.Generator, place: Path) -> None:
    kind = rng.integers(4)
    text = mutate_text((LABELS, EXTERNAL, OUTLINES, RECORDS)[kind], rng)
    source = place / "mine"
    for name, data in data_set().items():
        path = source / name.removeprefix("Training/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (source / "m.png").write_bytes(pictures()[0])
    table = source / "labels.csv"
    table.write_bytes(text)
    if kind == 0:
        check_counts(folder.unpack(source, place / "data", CLASSES, LIMITS), place)
    elif kind == 1:
        mapping = {label: label for label in CLASSES}
        check_counts(external.unpack(source, place / "data", mapping, LIMITS), place)
    elif kind == 2:
        table.write_bytes(gzip.compress(text))
        fetched = archive.unpack(_layout(place), place / "data", CLASSES, LIMITS)
        outlines.write_outline_masks(outlines.read_outlines(table), fetched.records, place / "data", LIMITS)
    else:
        read_records(table)


def _layout(place: Path) -> Path:
    source = place / "input.zip"
    source.write_bytes(zipped(data_set().items()))
    return source


def fuzz_params(rng: np.random.Generator, place: Path) -> None:
    path = place / "params.yaml"
    path.write_bytes(mutate_text((ROOT / "params.yaml").read_text(), rng))
    load_params(path)


def check_counts(fetched: Fetched, place: Path, found: int | None = None) -> None:
    """Every file is a record, refused or ignored; every record is a file, and can be read or is quarantined."""
    written = {
        path.relative_to(place / "data/raw").as_posix() for path in (place / "data/raw").rglob("*") if path.is_file()
    }
    assert written == {record.path for record in fetched.records}, "records and files differ"
    assert found in (None, len(fetched.records) + len(fetched.refused) + fetched.ignored), "counts do not add up"
    for record in fetched.records:
        try:
            read_grey(place / "data/raw" / record.path, LIMITS, root=place / "data/raw")
        except BadImage:
            continue


KINDS: dict[str, tuple[Callable[[np.random.Generator, Path], None], int]] = {
    "images": (fuzz_image, 6),
    "nifti": (fuzz_nifti, 2),
    "dicom": (fuzz_dicom, 4),
    "archives": (fuzz_archive, 3),
    "tables": (fuzz_table, 3),
    "matlab": (fuzz_matlab, 1),
    "params": (fuzz_params, 1),
}
ORDER = [kind for kind, (_, weight) in KINDS.items() for _ in range(weight)]


def attempt(index: int) -> Outcome:
    """Try input number `index`; the same each time, in any process."""
    kind = ORDER[index % len(ORDER)]
    rng = np.random.default_rng((SEED, index))
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name) / "study"
        place.mkdir()
        try:
            KINDS[kind][0](rng, place)
            result = "accepted"
        except BadImage as error:
            result = f"refused: {error.reason}"
        except UserError as error:
            result = "refused: in one line" if "\n" not in str(error) else f"PROBLEM: more than one line: {error}"
        except Exception as error:
            result = f"PROBLEM: {type(error).__name__}: {error}"
        allowed = {"data", "input.zip", "mine", "image.bin", "params.yaml"}
        strays = [path.name for path in place.iterdir() if path.name not in allowed] + [
            path.name for path in Path(name).iterdir() if path != place
        ]
        if (place / "data").exists():
            strays += [path.name for path in (place / "data").iterdir() if path.name not in ("raw", "masks")]
    seconds = time.monotonic() - start
    if strays or seconds > SLOWEST:
        result = f"PROBLEM: {f'wrote {strays}' if strays else f'{seconds:.1f} s'}, after {result}"
    return Outcome(kind, index, result, seconds)


def table(outcomes: list[Outcome]) -> str:
    """A Markdown table, a line a kind."""
    lines = [
        "| kind | inputs | accepted | refused | problems | slowest | most frequent reasons |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind in [*KINDS, "all"]:
        own = [outcome for outcome in outcomes if kind in (outcome.kind, "all")]
        results = Counter(outcome.result for outcome in own)
        refused = Counter(
            {
                result.removeprefix("refused: "): count
                for result, count in results.items()
                if result.startswith("refused")
            }
        )
        problems = sum(count for result, count in results.items() if result.startswith("PROBLEM"))
        reasons = ", ".join(f"{reason} {count}" for reason, count in refused.most_common(4)) if kind != "all" else ""
        slowest = max((outcome.seconds for outcome in own), default=0)
        lines.append(
            f"| {kind} | {len(own):,} | {results['accepted']:,} | {refused.total():,} | {problems} | "
            f"{slowest:.2f} s | {reasons} |"
        )
    return "\n".join(lines)


def quiet() -> None:
    """Silence the C libraries, which complain on stderr of each damaged picture."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    cv2.setNumThreads(1)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn"), initializer=quiet) as pool:
        outcomes = list(pool.map(attempt, range(count), chunksize=25))
    print(table(outcomes))
    problems = [outcome for outcome in outcomes if outcome.result.startswith("PROBLEM")]
    for outcome in problems[:20]:
        print(f"input {outcome.index} ({outcome.kind}): {outcome.result[:300]}")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
