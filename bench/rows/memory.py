"""Row `memory`: does training on many images take more than the model, a batch and the images themselves?"""

import tempfile
from dataclasses import replace
from pathlib import Path

from rows import step
from rows.lines import Line, Settings
from rows.running import Figure, Measured, Way, side_by_side

MANY, ONE_BATCH = "ours", "ours, with a batch of images alone"
ALLOWED = 1.2  # times the peak with one batch
COPY = 1.1  # times the images' own bytes: with a copy it would be 2


def measure(settings: Settings) -> list[Line]:
    case = step.sized(step.COMPACT, settings)
    case = replace(case, steps=settings.take(60, 2))
    count = settings.take(7023, 64)
    with tempfile.TemporaryDirectory() as folder:
        file = step.network_json(case, Path(folder))
        sizes = ("--size", case.size, "--batch", case.batch, "--images", count, "--steps", case.steps)
        ways = [
            Way(MANY, "memory_ours.py", (*case.arguments(), "--images", count)),
            Way(ONE_BATCH, "memory_ours.py", (*case.arguments(), "--images", case.batch)),
            step.keras_way(step.KERAS, file, sizes, "tensorflow"),
        ]
        found = side_by_side(ways, 1, settings.peers)
    many, one = found[MANY], found[ONE_BATCH]
    assert isinstance(many, Measured) and isinstance(one, Measured)
    ours, least, theirs = peak(many), peak(one), peak(found[step.KERAS])
    assert isinstance(ours, Figure) and isinstance(least, Figure)
    about = many.runs[0]["result"]
    what = f"peak memory, {count} images of {case.size} px, {case.steps} steps, {case.network}"
    first = Line(what, "MiB", ours, ONE_BATCH, least, ours.median / least.median, f"<= {ALLOWED}x", more=about)
    first.met = ours.median <= ALLOWED * least.median
    beyond = Figure([ours.median - least.median])
    data = Figure([about["data_mib"]])
    copy = Line("what the images add to it", "MiB", beyond, "the images as uint8", data, beyond.median / data.median)
    copy.bar, copy.met = f"no copy: <= {COPY}x", beyond.median <= COPY * data.median
    plain = Line(what, "MiB", ours, f"{step.KERAS} from float32 arrays", theirs)
    plain.ratio = theirs.median / ours.median if isinstance(theirs, Figure) else None
    return [first, copy, plain]


def peak(measured: Measured | str) -> Figure | str:
    if isinstance(measured, str):
        return measured
    return Figure([run["peak_mib"] for run in measured.runs])
