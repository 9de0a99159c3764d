"""Hostile input: seeded mutations of everything that comes from outside, and what became of each.

    python -m bench.fuzz            10,000 inputs, a table, exit code 1 should one of them be a problem
    python -m bench.fuzz 500        fewer

An input may be accepted, or refused with a `UserError` or `BadImage`. Anything else is a problem: another exception, a
crash, more than 5 seconds of the processor, a file outside the study's `data` folder, counts that do not add up.
"""

import gzip
import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np

from bench import mutations
from bench.mutations import CLASSES, WORDS, mutate, mutate_dicom, mutate_text, mutate_tiff, zipped
from bench.turns import ROOT
from brain_mri.decoding.decode import decode_grey, image_shape, read_grey
from brain_mri.errors import UserError
from brain_mri.images.badimage import BadImage, Limits
from brain_mri.images.dataset import read_records
from brain_mri.params import load_params
from brain_mri.sources import archive, external, figshare, folder, outlines
from brain_mri.sources.container import opened
from brain_mri.sources.raw import Fetched

SEED = 20260801
SLOWEST = 5.0  # seconds of the processor, which other work on the machine does not change
LIMITS = Limits()
Rng = np.random.Generator


@dataclass(frozen=True)
class Outcome:
    """What became of an input: `result` is "accepted", "refused: why" or "PROBLEM: what"."""

    kind: str
    index: int
    result: str
    seconds: float


def decode(data: bytes, name: str) -> None:
    grey = decode_grey(data, LIMITS, name)
    assert grey.dtype == np.uint8 and grey.ndim == 2 and image_shape(data, LIMITS, name) == grey.shape


def fuzz_image(rng: Rng, place: Path) -> None:
    path = place / "input.bin"
    path.write_bytes(mutate(mutations.pictures()[rng.integers(len(mutations.pictures()))], rng))
    read_grey(path, LIMITS)
    decode(path.read_bytes(), path.name)


def fuzz_tiff(rng: Rng, place: Path) -> None:
    decode(mutate_tiff(mutations.tiffs()[rng.integers(len(mutations.tiffs()))], rng), "input.bin")


def fuzz_nifti(rng: Rng, place: Path) -> None:
    decode(mutate(mutations.volumes()[rng.integers(3)], rng), "scan.nii")


def fuzz_dicom(rng: Rng, place: Path) -> None:
    change = mutate_dicom if rng.random() < 0.5 else mutate
    decode(change(mutations.scans()[rng.integers(3)], rng), "scan.dcm")


def fuzz_matlab(rng: Rng, place: Path) -> None:
    figshare.read_slice(mutate(mutations.matlab(), rng), LIMITS)


def fuzz_params(rng: Rng, place: Path) -> None:
    path = place / "params.yaml"
    path.write_bytes(mutate_text((ROOT / "params.yaml").read_text(), rng))
    load_params(path)


def fuzz_archive(rng: Rng, place: Path) -> None:
    files = list(mutations.data_set().items())
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


def fuzz_table(rng: Rng, place: Path) -> None:
    """A labels.csv of a folder or of external images, a table of outlines, or one of records."""
    kind = rng.integers(4)
    text = mutate_text((mutations.LABELS, mutations.EXTERNAL, mutations.OUTLINES, mutations.RECORDS)[kind], rng)
    source, data = place / "mine", place / "data"
    for name, content in mutations.data_set().items():
        path = source / name.removeprefix("Training/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (source / "m.png").write_bytes(mutations.pictures()[0])
    table = source / "labels.csv"
    table.write_bytes(text)
    if kind == 0:
        check_counts(folder.unpack(source, data, CLASSES, LIMITS), place)
    elif kind == 1:
        check_counts(external.unpack(source, data, {label: label for label in CLASSES}, LIMITS), place)
    elif kind == 2:
        table.write_bytes(gzip.compress(text))
        (place / "input.zip").write_bytes(zipped(mutations.data_set().items()))
        fetched = archive.unpack(place / "input.zip", data, CLASSES, LIMITS)
        outlines.write_outline_masks(outlines.read_outlines(table), fetched.records, data, LIMITS)
    else:
        read_records(table)


def check_counts(fetched: Fetched, place: Path, found: int | None = None) -> None:
    """Every file is a record, refused or ignored; every record is a file, and can be read or is quarantined."""
    raw = place / "data/raw"
    written = {path.relative_to(raw).as_posix() for path in raw.rglob("*") if path.is_file()}
    assert written == {record.path for record in fetched.records}, "records and files differ"
    assert found in (None, len(fetched.records) + len(fetched.refused) + fetched.ignored), "counts do not add up"
    for record in fetched.records:
        try:
            read_grey(raw / record.path, LIMITS)
        except BadImage:
            continue


KINDS: dict[str, tuple[Callable[[Rng, Path], None], int]] = {  # and how many of twenty inputs
    "images": (fuzz_image, 4),
    "tiff": (fuzz_tiff, 2),
    "nifti": (fuzz_nifti, 2),
    "dicom": (fuzz_dicom, 4),
    "archives": (fuzz_archive, 3),
    "tables": (fuzz_table, 3),
    "matlab": (fuzz_matlab, 1),
    "params": (fuzz_params, 1),
}
ORDER = [kind for kind, (_, weight) in KINDS.items() for _ in range(weight)]
NAMES = ("data", "data/raw", "data/masks", "input.zip", "mine", "input.bin", "params.yaml")
ALLOWED = {"study", *(f"study/{name}" for name in NAMES)}


def attempt(index: int) -> Outcome:
    """Try input number `index`; the same each time, in any process."""
    kind, rng, begin = ORDER[index % len(ORDER)], np.random.default_rng((SEED, index)), time.process_time()
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary, "study")
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
        found = [*Path(temporary).iterdir(), *place.iterdir(), *place.glob("data/*")]
        strays = {path.relative_to(temporary).as_posix() for path in found} - ALLOWED
    seconds = time.process_time() - begin
    if strays or seconds > SLOWEST:
        result = f"PROBLEM: {f'wrote {strays}' if strays else f'{seconds:.1f} s'}, after {result}"
    return Outcome(kind, index, result, seconds)


def silence() -> None:
    """The C libraries complain on stderr of each damaged picture."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    cv2.setNumThreads(1)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn"), initializer=silence) as pool:
        outcomes = list(pool.map(attempt, range(count), chunksize=25))
    print("| kind | inputs | accepted | refused | problems | slowest |\n|---|---|---|---|---|---|")
    for kind in [*KINDS, "all"]:
        own = [outcome for outcome in outcomes if kind in (outcome.kind, "all")]
        counts = [sum(one.result.startswith(word) for one in own) for word in ("accepted", "refused", "PROBLEM")]
        slowest = max((outcome.seconds for outcome in own), default=0)
        print(f"| {kind} | {len(own):,} | {' | '.join(f'{count:,}' for count in counts)} | {slowest:.2f} s |")
    problems = [outcome for outcome in outcomes if outcome.result.startswith("PROBLEM")]
    for outcome in problems[:20]:
        print(f"input {outcome.index} ({outcome.kind}): {outcome.result[:300]}")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
