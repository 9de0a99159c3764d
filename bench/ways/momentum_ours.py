"""Train until validation accuracy passes --above, or for --epochs: a study's recipe with another --momentum.

Images: the finished study in --data; without it, phantoms."""

import serving  # isort: skip  # it takes stdout before anything prints

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import engine
import train

from brain_mri.network.training import fit


class Enough(Exception):
    """The epoch that was waited for has come."""


def main() -> None:
    parser = engine.parser(__doc__)
    parser.add_argument("--momentum", type=float, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--above", type=float, required=True)
    parser.add_argument("--data", type=Path, help="a study's folder")
    parser.add_argument("--images", type=int, default=64, help="phantoms; steps and batch say how many train")
    options = parser.parse_args()
    params = engine.params_of(options)
    params = params.model_copy(
        update={"model": params.model.model_copy(update={"batch_norm_momentum": options.momentum})}
    )
    if options.data:
        os.chdir(options.data)
        training, validation = (train.load_split(name, params, masks=False) for name in ("train", "val"))
    else:
        training = engine.examples_of(params, options.steps * options.batch, options.images)
        validation = engine.examples_of(params, options.images)
    recipe, model = train.recipe_of(params), engine.model_of(params)

    def work() -> dict[str, Any]:
        reached: list[float] = []

        def on_epoch(row: dict[str, float]) -> None:
            reached.append(row["val_accuracy"])
            if reached[-1] > options.above or len(reached) == options.epochs:
                raise Enough

        with tempfile.TemporaryDirectory() as folder:
            draw = train.drawing("noaug", training, params, engine.negative_of(params))
            with suppress(Enough):
                fit(model, draw, len(training.labels), validation, recipe, Path(folder, "state.npz"), on_epoch)
        return {"val_accuracy": reached, "steps_per_epoch": -(-len(training.labels) // options.batch)}

    serving.serve(work)


if __name__ == "__main__":
    main()
