"""What this project takes, beside what people would use instead, measured by turns in one run.

    python -m bench.speed                                   # all rows; about ten minutes on two cores
    python -m bench.speed crop step                         # some of them; the others keep their place in the JSON
    python -m bench.speed --peers .venv-bench/bin/python    # peers installed there (bench/requirements.txt);
                                                            # repeat it for peers in several environments
    python -m bench.speed --quick                           # a minute or two: does it run? Its numbers mean nothing

crop          contour crop, resize and write, against the paper's way of one loop
predict       brain-mri predict on files, against its network alone and one loop of OpenCV and onnxruntime
step          a training step of ResNet-50 and the compact network, against Keras and PyTorch as their users write it
augmentation  its share of a step, against Keras's layers
memory        the peak of a training on 7,023 images, against Keras on float32 arrays

Each way runs in a process of its own, is warm before the clock runs, and takes turns with the others; medians count and
[lowest, highest] stand beside them. Prints a Markdown table and writes bench/speed.json (with --quick: nothing, unless
--output names a file). Real images come from the archive in the folder that BRAIN_MRI_DATA names; phantoms where there
is none. Nothing else should run on the machine: `load_before` in the JSON tells whether something did.
"""

import argparse
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from bench.images import image_files, kind
from bench.machine import describe
from bench.turns import ROOT, Failed, Runs, Way, take_turns
from brain_mri.errors import UserError, run
from brain_mri.files import read_json, write_json
from brain_mri.prediction.study import open_study

KERAS, TORCH, LAYERS = "Keras's fit", "PyTorch, channels last, bfloat16", "Keras's layers in tf.data"
KERAS_NEEDS, TENSORFLOW = ("keras", "tensorflow"), {"KERAS_BACKEND": "tensorflow"}


@dataclass
class Settings:
    """How to measure. `quick`: everything small, to see that it runs; its numbers mean nothing."""

    quick: bool = False
    repeats: int = 3
    peers: list[str] = field(default_factory=list)  # interpreters


@dataclass(frozen=True)
class Case:
    """A network as a study trains it. `steps`: in one repeat."""

    network: str
    study: str
    size: int
    batch: int
    steps: int
    channels: int

    @property
    def arguments(self) -> tuple[object, ...]:
        named = {"study": self.study, "network": self.network, "size": self.size, "batch": self.batch}
        return *(word for name, value in named.items() for word in (f"--{name}", value)), "--steps", self.steps

    def __str__(self) -> str:
        return f"{self.network}, {self.size} px, batch {self.batch}"


@dataclass
class Line:
    """A comparison; what is measured once for each repeat. `peer`: what the others' numbers are; a text in place of
    numbers says why there are none."""

    what: str
    unit: str
    ours: list[float] | str
    peer: str = ""
    theirs: list[float] | str = ""
    better: str = "more"  # or "less"

    @property
    def ratio(self) -> float | None:
        """How many times as good ours is."""
        if isinstance(self.ours, str) or isinstance(self.theirs, str):
            return None
        ratio = median(self.ours) / median(self.theirs)
        return ratio if self.better == "more" else 1 / ratio

    def cells(self) -> list[str]:
        ratio = "" if self.ratio is None else number(self.ratio)
        return [f"{self.what}, {self.unit}", shown(self.ours), self.peer, shown(self.theirs), ratio]


def shown(values: list[float] | str) -> str:
    if isinstance(values, str):
        return values
    spread = f" [{number(min(values))}, {number(max(values))}]" if len(values) > 1 else ""
    return number(median(values)) + spread


def number(value: float) -> str:
    """Return three significant figures, without an exponent."""
    digits = 2 - math.floor(math.log10(abs(value))) if value else 0
    return f"{round(value, digits):,.{max(digits, 0)}f}"


def values(runs: Runs | str, of: Callable[[dict[str, Any]], float]) -> Any:
    """Return a number of each run, or why there is none."""
    return runs if isinstance(runs, str) else [of(run) for run in runs]


def rate(runs: Runs | str, amount: int) -> Any:
    return values(runs, lambda run: amount / run["seconds"])


def case(network: str, settings: Settings) -> Case:
    if settings.quick:  # no ResNet-50, which takes half a minute to build
        return Case("compact", "compact", 32, 4, 2, 1)
    return Case("resnet50", "paper", 200, 28, 1, 3) if network == "resnet50" else Case(network, network, 128, 32, 20, 1)


def crop(settings: Settings) -> list[Line]:
    with tempfile.TemporaryDirectory() as temporary:
        images = Path(temporary, "images")
        images.mkdir()
        for label, name, data in image_files(24 if settings.quick else 2000):
            (images / f"{label}-{name}").write_bytes(data)
        count = len(list(images.iterdir()))
        ways = [
            Way("ours", "our_crop", (images, Path(temporary, "ours"))),
            Way("loop", "peers.crop_loop", (images, Path(temporary, "loop")), ("cv2",)),
        ]
        found = take_turns(ways, settings.repeats, settings.peers)
    ours, theirs = (rate(found[name], count) for name in ("ours", "loop"))
    return [Line(f"crop, resize, write: {count} {kind()}", "images/s", ours, "the paper's loop", theirs)]


def step(settings: Settings) -> list[Line]:
    lines = []
    for one in (case("resnet50", settings), case("compact", settings)):
        images = one.batch * one.steps
        large = one.network == "resnet50"
        with tempfile.TemporaryDirectory() as folder:
            ways = [Way("float32", "ours", ("step", *one.arguments)), keras_fit(one, images, one.steps, Path(folder))]
            if large:
                ways.append(Way("bfloat16", "ours", ("step", *one.arguments, "--precision", "mixed_bfloat16")))
                needs = ("torch", "torchvision")
                ways.append(Way(TORCH, "peers.torch_fit", (one.size, one.batch, images), needs))
            found = take_turns(ways, settings.repeats, settings.peers)
        rates = {name: rate(runs, images) for name, runs in found.items()}
        lines.append(Line(f"step: {one}, float32", "images/s", rates["float32"], KERAS, rates[KERAS]))
        for peer in (KERAS, TORCH) if large else ():
            lines.append(Line(f"step: {one}, bfloat16", "images/s", rates["bfloat16"], peer, rates[peer]))
    return lines


def keras_fit(one: Case, images: int, steps: int, folder: Path) -> Way:
    """Return Keras's fit of the same network, which it gets as a file; of its own ResNet-50, which users would take."""
    network: object = one.network
    if network != "resnet50":
        network = folder / "network.json"
        command = [sys.executable, "-m", "bench.ours", "network", "--file", network, *one.arguments]
        subprocess.run(list(map(str, command)), cwd=ROOT, check=True, capture_output=True)
    return Way(KERAS, "peers.keras_fit", (network, one.size, one.batch, images, steps), KERAS_NEEDS, TENSORFLOW)


def seconds_of_step(one: Case, settings: Settings) -> float:
    found = take_turns([Way("ours", "ours", ("step", *one.arguments))], settings.repeats, [])["ours"]
    return median(values(found, lambda run: run["seconds"])) / one.steps


def augmentation(settings: Settings) -> list[Line]:
    """A batch's seconds in percent of its step's, each alone on the machine; in training a thread draws beside it."""
    lines = []
    for one in (case("resnet50", settings), case("compact", settings)):
        batches = 2 if settings.quick else 20
        drawn = ("draw", *one.arguments, "--steps", batches, "--pipeline", "aug")
        ways = [
            Way("the paper's", "ours", drawn),
            Way("compact-robust's", "ours", (*drawn, "--policy", "compact-robust")),
            Way(
                LAYERS,
                "peers.keras_augmentation",
                (one.size, one.batch, batches, one.channels),
                KERAS_NEEDS,
                TENSORFLOW,
            ),
        ]
        found = take_turns(ways, settings.repeats, settings.peers)
        whole = batches * seconds_of_step(one, settings)
        shares = {name: values(runs, lambda run: 100 * run["seconds"] / whole) for name, runs in found.items()}  # noqa: B023
        what, unit = f"augmentation, {{}}: {one}", "% of our step"
        lines.append(
            Line(what.format("the paper's"), unit, shares["the paper's"], LAYERS, shares[LAYERS], better="less")
        )
        lines.append(Line(what.format("compact-robust's"), unit, shares["compact-robust's"]))
    return lines


def memory(settings: Settings) -> list[Line]:
    one, count = case("compact", settings), 64 if settings.quick else 7023
    steps = 2 if settings.quick else 60
    more = ("--images", count, "--steps", steps)
    with tempfile.TemporaryDirectory() as folder:
        ways = [Way("ours", "ours", ("epoch", *one.arguments, *more)), keras_fit(one, count, steps, Path(folder))]
        found = take_turns(ways, 1, settings.peers)
    ours, theirs = (values(found[name], lambda run: run["peak_mib"]) for name in ("ours", KERAS))
    what = f"peak memory of a training, {count} images: {one}"
    return [Line(what, "MiB", ours, f"{KERAS} from float32 arrays", theirs, better="less")]


def predict(settings: Settings) -> list[Line]:
    """Of the default study, whose models must be there."""
    study = open_study()
    with tempfile.TemporaryDirectory() as temporary:
        images = Path(temporary)
        for label, name, data in image_files(24 if settings.quick else 7023):
            (images / f"{label}-{name}").write_bytes(data)
        count = len(list(images.iterdir()))
        loop = images, study.onnx, study.card.image_size
        alone, users = "its network alone, crops ready", "OpenCV and onnxruntime, one loop, no crop"
        ways = [
            Way("ours", "our_predict", ("whole", images)),
            Way(alone, "our_predict", ("network", images)),
            Way(users, "peers.onnx_loop", loop, ("cv2", "onnxruntime")),
        ]
        found = {name: rate(runs, count) for name, runs in take_turns(ways, settings.repeats, settings.peers).items()}
    what = f"predict: {count} {kind()}, {study.params.model.network}, {study.card.image_size} px"
    return [Line(what, "images/s", found["ours"], other, found[other]) for other in (alone, users)]


ROWS: dict[str, Callable[[Settings], list[Line]]] = {
    "crop": crop,
    "predict": predict,
    "step": step,
    "augmentation": augmentation,
    "memory": memory,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="row", help=", ".join(ROWS))
    parser.add_argument("--peers", action="append", default=[], metavar="PYTHON", help="an interpreter with peers")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="everything small")
    parser.add_argument("--output", type=Path, help="default: bench/speed.json")
    options = parser.parse_args()
    if unknown := set(options.rows) - set(ROWS):
        parser.error(f"no row {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    if missing := [peer for peer in options.peers if not Path(peer).is_file()]:
        parser.error(f"--peers {missing[0]}: no such interpreter")
    settings = Settings(options.quick, options.repeats, options.peers)
    file = options.output or (None if options.quick else ROOT / "bench/speed.json")
    machine = describe()
    results: dict[str, Any] = read_json(file) if file and file.exists() else {}
    print(f"{machine['cpu']}, {machine['cores']} cores; commit {machine['commit']}; {machine['date']}")
    print("quick: the numbers mean nothing\n" if options.quick else "")
    print("| row | what | ours | other | the other's | ratio |\n|---|---|---|---|---|---|")
    for name in options.rows or ROWS:
        begin = time.perf_counter()
        try:
            lines = ROWS[name](settings)
        except Failed as failed:
            raise UserError(f"row {name}: {failed}") from None
        for line in lines:
            print(f"| {' | '.join([name, *line.cells()])} |", flush=True)
        results[name] = {"seconds": round(time.perf_counter() - begin), "machine": machine}
        results[name]["lines"] = [asdict(line) | {"ratio": line.ratio} for line in lines]
        if file:  # a long run that is stopped keeps the rows that it has
            write_json(file, {row: results[row] for row in ROWS if row in results})


if __name__ == "__main__":
    run(main)
