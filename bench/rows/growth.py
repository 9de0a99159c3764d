"""Row `growth`: seconds and peak memory of the stages crop, split and evaluate, on 1, 4 and 16 times the images.

A stage takes some seconds to start whatever its data. What counts is each image beyond that: the cost is linear when
the images from 4 to 16 times cost no more, one by one, than those from 1 to 4 times. The least of repeats counts."""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml
from audits.cost import peak_memory

from brain_mri.files import write_csv, write_json
from brain_mri.images.dataset import ImageRecord, write_records
from rows.images import archive, image_files, kind
from rows.lines import Line, Settings
from rows.running import ROOT, WAYS, Failed, Figure

TIMES = (1, 4, 16)
STAGES = ("crop", "split", "evaluate")
SIZE = 64  # pixels of the network's input: what it says costs the same whatever it has learned
NOISE = 1.15  # less than this is no growth


def measure(settings: Settings) -> list[Line]:
    full = 430 if archive() else 32  # phantoms have to be drawn first
    unit, growth = (24, (1, 2, 4)) if settings.quick else (full, TIMES)
    taken: dict[str, list[tuple[float, float]]] = {stage: [] for stage in STAGES}
    with tempfile.TemporaryDirectory() as temporary:
        raw = Path(temporary, "raw")
        files = []
        for label, name, data in image_files(unit * growth[-1]):
            (raw / label).mkdir(parents=True, exist_ok=True)
            (raw / label / name).write_bytes(data)
            files.append((label, name))
        for times in growth:
            folder = study(Path(temporary, f"{times}x"), raw, files[:: growth[-1] // times])
            for stage in STAGES:
                if stage == "evaluate":
                    size = ("--study", ".", "--network", "compact", "--size", SIZE, "--batch", 32, "--steps", 1)
                    call(folder, WAYS / "write_models.py", *size)
                runs = [call(folder, ROOT / f"stages/{stage}.py") for _ in range(settings.repeats)]
                taken[stage].append(tuple(min(run) for run in zip(*runs, strict=True)))
            shutil.rmtree(folder)
    return [line for stage in STAGES for line in lines(stage, taken[stage], [unit * times for times in growth])]


def study(folder: Path, raw: Path, files: list[tuple[str, str]]) -> Path:
    """Make a study of these raw images, every fifth of them for testing, as the stage fetch would leave it."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["code"], params["model"]["image_size"] = str(ROOT), SIZE
    (folder / "data/masks").mkdir(parents=True)
    (folder / "data/raw").symlink_to(raw)
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    parts = ("Testing", "Training", "Training", "Training", "Training")
    records = [ImageRecord(f"{label}/{name}", label, parts[at % 5]) for at, (label, name) in enumerate(files)]
    write_records(folder / "data/raw.csv", records)
    write_csv(folder / "data/refused.csv", [], ["path", "reason", "size"])
    write_json(folder / "metrics/dataset.json", {"dataset": {"ignored": 0}})
    return folder


def call(folder: Path, script: Path, *arguments: object) -> tuple[float, float]:
    """Run a script in the study; return its seconds and the peak of its and its workers' own memory in MiB."""
    begin = time.perf_counter()
    with (folder / "log.txt").open("w+") as log:
        command = [sys.executable, str(script), *map(str, arguments)]
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        with peak_memory(process.pid) as gib:
            process.wait()
            seconds = time.perf_counter() - begin
        if process.returncode:
            log.seek(0)
            raise Failed(f"{script.name}: {(log.read().strip().splitlines() or ['no word'])[-1]}")
    return seconds, gib[0] * 1024


def lines(stage: str, taken: list[tuple[float, float]], counts: list[int]) -> list[Line]:
    """Compare the cost of an image, and the memory, of much data with those of little."""
    seconds, peaks = zip(*taken, strict=True)
    early, late = (
        1000 * (seconds[place + 1] - seconds[place]) / (counts[place + 1] - counts[place]) for place in (0, 1)
    )
    what = f"{stage}, {' / '.join(f'{count:,}' for count in counts)} {kind()}"
    more = {"images": counts, "seconds": seconds, "peak_mib": peaks}
    grown = late / early if min(early, late) > 0 else None  # else the clock's noise is all there is
    linear, memory = None if grown is None else grown <= NOISE, peaks[-1] / peaks[0]
    text = ", ".join(f"{value:.1f}" for value in seconds)
    further = f"{what} ({text} s): each image beyond {counts[1]:,}"
    cost = Line(further, "ms", Figure([late]), f"each beyond {counts[0]:,}", Figure([early]))
    cost.ratio, cost.bar, cost.met, cost.more = grown, f"linear: <= {NOISE}x", linear, more
    flat = Line(
        f"{what}: peak memory of the most", "MiB", Figure([peaks[-1]]), "of the fewest", Figure([peaks[0]]), memory
    )
    flat.bar, flat.met = f"flat: <= {NOISE}x", memory <= NOISE
    return [cost, flat]
