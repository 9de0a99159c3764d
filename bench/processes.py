"""Two processes against one at the same global batch: images/s of training, and the efficiency of the second process.

    KERAS_BACKEND=jax python bench/processes.py [--size 96] [--batch 32] [--repeats 3]

The compact network is trained on phantoms by one process on one core, by two processes on a core each, which share
every batch, and, to compare, by one process on both cores; in turns, each in processes of its own, the first epoch
(compilation) left out. Wall efficiency is the images/s of two processes over twice those of one: 1 is perfect. Beside
it stands the processor's: its seconds per image with one process over those with two; other work on the machine hardly
changes it, but a process that waits costs it nothing. Prints a table and writes bench/processes.json.
"""

import argparse
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "stages"))

ONE, TWO, BOTH = "one process, one core", "two processes, a core each", "one process, two cores"


def train(settings: dict[str, Any]) -> None:
    """Train as one of the processes and print the seconds, of the wall and of this process, after the first epoch."""
    from core.network import distribution
    from core.network.batches import Examples
    from core.network.machine import set_up
    from core.network.model import build
    from core.network.objective import Recipe
    from core.network.training import fit

    with distribution.together():
        set_up(len(settings["cores"].split(",")))
        recipe = Recipe(**settings["recipe"])
        distribution.spread(recipe.batch_size)
        with np.load(settings["images"]) as file:
            examples = Examples(file["images"], file["labels"])
        model = build("compact", examples.images.shape[1], 4, 0.3, 0.9, "none", None, recipe.seed)
        clocks: list[tuple[float, float]] = []
        fit(
            model,
            lambda indices, epoch: examples[indices],
            len(examples.labels),
            examples[np.arange(recipe.batch_size)],
            recipe,
            Path(settings["state"]),
            lambda row: clocks.append((time.perf_counter(), time.process_time())),
        )
        distribution.leave()
        print(json.dumps([last - first for first, last in zip(clocks[0], clocks[-1], strict=True)]))


def measure(cores: list[str], settings: dict[str, Any], folder: Path) -> tuple[float, float]:
    """Train with a process for each entry of `cores`; return the seconds of the wall and those of all processes."""
    from core.network import distribution

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    started = []
    for index, own in enumerate(cores):
        told = {
            distribution.ADDRESS: address,
            distribution.COUNT: str(len(cores)),
            distribution.INDEX: str(index),
            "KERAS_BACKEND": "jax",
            "JAX_PLATFORMS": "cpu",
        }
        own_settings = json.dumps(settings | {"cores": own, "state": str(folder / f"{time.monotonic_ns()}.npz")})
        started.append(
            subprocess.Popen(
                ["taskset", "-c", own, sys.executable, __file__, "--train", own_settings],
                env=os.environ | told,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
    outputs = [process.communicate()[0] for process in started]
    if any(process.returncode for process in started):
        sys.exit("a process failed, see above")
    seconds = [json.loads(output.splitlines()[-1]) for output in outputs]
    return max(wall for wall, _ in seconds), sum(spent for _, spent in seconds)


def draw_phantoms(count: int, size: int) -> dict[str, np.ndarray]:
    import cv2

    from core.sources.phantom import CLASSES, phantom

    labels = np.arange(count) % len(CLASSES)
    drawn = (phantom(CLASSES[label], 1, index).image for index, label in enumerate(labels))
    images = [cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA) for image in drawn]
    return {"images": np.array(images)[..., None], "labels": labels}


def recipe_of(batch: int, epochs: int) -> dict[str, Any]:
    return {
        "seed": 1,
        "epochs": epochs,
        "batch_size": batch,
        "accumulate": 1,
        "optimizer": "adamw",
        "learning_rate": 0.001,
        "weight_decay": 0.01,
        "schedule": "cosine",
        "warmup_epochs": 1,
        "plateau_factor": 0.5,
        "plateau_patience": 10,
        "plateau_min_learning_rate": 1e-5,
        "early_stopping_patience": 40,
        "label_smoothing": 0.05,
        "lesion_map": 0,
        "jit": True,
        "checkpoint_minutes": 60,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in {"size": 96, "batch": 32, "images": 256, "epochs": 4, "repeats": 3}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--train", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train:
        train(options.train)
        return
    if len(cores := [str(core) for core in sorted(os.sched_getaffinity(0))[:2]]) < 2:
        sys.exit("two cores are needed")
    ways = {ONE: cores[:1], TWO: cores, BOTH: [",".join(cores)]}
    load = os.getloadavg()[0]
    seen = options.images * (options.epochs - 1)
    rates: dict[str, list[float]] = {name: [] for name in ways}
    spent: dict[str, list[float]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder, "images.npz")
        np.savez(images, **draw_phantoms(options.images, options.size))
        settings = {"images": str(images), "recipe": recipe_of(options.batch, options.epochs)}
        for _ in range(options.repeats):
            for name, own in ways.items():
                wall, processor = measure(own, settings, Path(folder))
                rates[name].append(seen / wall)
                spent[name].append(1000 * processor / seen)
    rows = {name: {"images/s": spread(rates[name]), "processor ms/image": spread(spent[name])} for name in ways}
    rate, cost = ({name: row[key]["median"] for name, row in rows.items()} for key in rows[ONE])
    efficiency = {"wall": rate[TWO] / rate[ONE] / 2, "processor": cost[ONE] / cost[TWO]}
    print(f"| compact, {options.size} px, batches of {options.batch} | {' | '.join(rows[ONE])} |\n|---|---|---|")
    for name, row in rows.items():
        cells = (f"{cell['median']:.1f} [{cell['low']:.1f}, {cell['high']:.1f}]" for cell in row.values())
        print(f"| {name} | {' | '.join(cells)} |")
    print(f"\nefficiency of two processes: wall {efficiency['wall']:.2f}, processor {efficiency['processor']:.2f}")
    machine = {"cpu": cpu(), "cores": os.cpu_count(), "load_before": load}
    versions = {"python": platform.python_version()} | {name: version(name) for name in ("jax", "keras", "numpy")}
    chosen = {name: value for name, value in vars(options).items() if name != "train"}
    facts = {"machine": machine, "versions": versions, "settings": chosen, "rows": rows, "efficiency": efficiency}
    (HERE / "processes.json").write_text(json.dumps(facts, indent=2) + "\n")


def spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next(line.split(": ", 1)[1] for line in lines if line.startswith("model name"))


if __name__ == "__main__":
    main()
