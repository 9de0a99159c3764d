"""Train as one of the processes that share every batch: the seconds after the first epoch, which compiles.

The environment says how many they are and which of them this is (docs/several-machines.md)."""

import serving  # isort: skip  # it takes stdout before anything prints

import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import engine
import train

from brain_mri.network.distribution import leave, together
from brain_mri.network.training import fit

EPOCHS = 4


def main() -> None:
    parser = engine.parser(__doc__)
    parser.add_argument("--cores", required=True, help="as 0,1: this process runs on these alone")
    options = parser.parse_args()
    cores = {int(core) for core in options.cores.split(",")}
    os.sched_setaffinity(0, cores)
    with together():
        params = engine.params_of(options, len(cores))
        model, examples = engine.model_of(params), engine.examples_of(params, options.steps * options.batch)
        draw = train.drawing("noaug", examples, params, None)
        recipe = replace(train.recipe_of(params), epochs=EPOCHS, warmup_epochs=1)

        def work() -> dict[str, float]:
            clocks: list[tuple[float, float]] = []
            with tempfile.TemporaryDirectory() as folder:
                state, count = Path(folder, "state.npz"), len(examples.labels)
                fit(
                    model,
                    draw,
                    count,
                    examples[: options.batch],
                    recipe,
                    state,
                    lambda row: clocks.append((time.perf_counter(), time.process_time())),
                )
            leave()
            wall, processor = (last - first for first, last in zip(clocks[0], clocks[-1], strict=True))
            return {"images": count * (EPOCHS - 1), "seconds": wall, "processor_seconds": processor}

        serving.serve(work)


if __name__ == "__main__":
    main()
