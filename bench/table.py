"""The bench: what this project takes, beside what people would use instead, measured by turns in one run.

    python bench/table.py                                   # all rows; about 12 minutes on two cores
    python bench/table.py crop step                         # some of them; the others keep their place in the JSON
    python bench/table.py --peers .venv-bench/bin/python    # peers installed there (bench/requirements.txt);
                                                            # repeat it for peers in several environments
    python bench/table.py --quick                           # a few minutes: does it run? Its numbers mean nothing

crop          contour crop, resize and write, against the report's way of one loop
step          a training step of each network, against Keras, PyTorch and Keras on JAX as their users write them
augmentation  its share of a step, against Keras's layers and ImageDataGenerator
input         images/s of the input pipeline alone, against what the step needs
memory        the peak of a training on 7,023 images, against model and batch
momentum      epochs until validation means something, by the momentum of batch normalisation
growth        seconds and memory of crop, split and evaluate on 1, 4 and 16 times the data
processes     images/s of two processes that share every batch, against one (needs requirements-jax.txt)

Each way runs in a process of its own, is warm before the clock runs, and takes turns with the others; medians count and
[lowest, highest] stand beside them. Prints a Markdown table and writes bench/table.json (with --quick: nothing, unless
--output names a file). Real images come from the archive in the folder that BRAIN_MRI_DATA names; phantoms where there
is none. Nothing else should run on the machine: `load_before` in the JSON tells whether something did.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "stages"))

from rows import augmentation, crop, growth, machine, memory, momentum, pipeline, processes, step
from rows.lines import Line, Settings
from rows.running import Failed

from brain_mri.errors import UserError, run
from brain_mri.files import read_json, write_json

HERE = Path(__file__).resolve().parent
ROWS: dict[str, Callable[[Settings], list[Line]]] = {
    "crop": crop.measure,
    "step": step.measure,
    "augmentation": augmentation.measure,
    "input": pipeline.measure,
    "memory": memory.measure,
    "momentum": momentum.measure,
    "growth": growth.measure,
    "processes": processes.measure,
}
HEADER = ["row", "what", "ours", "peer", "the peer's", "ratio", "bar"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="row", help=", ".join(ROWS))
    parser.add_argument("--peers", action="append", default=[], metavar="PYTHON", help="an interpreter with peers")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--study", type=Path, default=Settings.study, help="a finished study: row momentum's images")
    parser.add_argument("--quick", action="store_true", help="everything small")
    parser.add_argument("--output", type=Path, help="default: bench/table.json")
    options = parser.parse_args()
    if unknown := set(options.rows) - set(ROWS):
        parser.error(f"no row {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    for peer in options.peers:
        if not Path(peer).is_file():
            parser.error(f"--peers {peer}: no such interpreter")
    settings = Settings(options.quick, options.repeats, options.peers, options.study.resolve())
    file = options.output or (None if options.quick else HERE / "table.json")
    about = machine.describe(options.peers)
    results: dict[str, Any] = read_json(file) if file and file.exists() else {}
    found: dict[str, list[Line]] = {}
    for name in options.rows or list(ROWS):
        begin = time.perf_counter()
        try:
            found[name] = ROWS[name](settings)
        except Failed as failed:
            raise UserError(f"row {name}: {failed}") from None
        seconds = time.perf_counter() - begin
        print(f"{name}: {seconds:.0f} s", file=sys.stderr, flush=True)
        results[name] = {
            "seconds": round(seconds),
            "quick": options.quick,
            "machine": about,
            "lines": [line.json() for line in found[name]],
        }
        if file:  # a long run that is stopped keeps the rows that it has
            write_json(file, {row: results[row] for row in ROWS if row in results})
    if options.quick:
        print("quick: the numbers mean nothing\n")
    print(table(found, about))


def table(found: dict[str, list[Line]], about: dict[str, Any]) -> str:
    """Return the machine in a line and the rows as a Markdown table."""
    flags = ", ".join(about["flags"])
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"]["this project"].items())
    lines = [
        f"{about['cpu']}, {about['cores']} cores ({flags}); {versions}; commit {about['commit']}; {about['date']}",
        "",
        "| " + " | ".join(HEADER) + " |",
        "|---" * len(HEADER) + "|",
    ]
    for name, row in found.items():
        lines += ["| " + " | ".join([name, *line.cells()]) + " |" for line in row]
    return "\n".join(lines)


if __name__ == "__main__":
    run(main)
