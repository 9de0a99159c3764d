"""Train for one short epoch, all of it as stages/train.py does, with so many images in memory: what is the peak?"""

import serving  # isort: skip  # it takes stdout before anything prints

import tempfile
from dataclasses import replace
from pathlib import Path

import engine
import numpy as np
import train

from brain_mri.images.examples import Examples
from brain_mri.network.training import fit


def main() -> None:
    parser = engine.parser(__doc__)
    parser.add_argument("--images", type=int, required=True)
    options = parser.parse_args()
    params = engine.params_of(options)
    model = engine.model_of(params)
    few = engine.examples_of(params, options.batch)
    images = np.empty((options.images, options.size, options.size, 1), np.uint8)
    for place in range(options.images):  # one after the other, as files are read: no second copy while it fills
        images[place] = few.images[place % options.batch]
    training = Examples(images, np.arange(options.images) % len(params.dataset.classes))
    drawn = train.drawing("aug", training, params, engine.negative_of(params))
    recipe = replace(train.recipe_of(params), epochs=1, warmup_epochs=0)
    count = options.steps * options.batch
    spread = np.linspace(0, options.images - 1, count).astype(int)  # every part of the images is touched

    def work() -> dict[str, float]:
        with tempfile.TemporaryDirectory() as folder:
            state = Path(folder, "state.npz")
            fit(model, lambda at, epoch: drawn(spread[at], epoch), count, few, recipe, state, lambda row: None)
        return {"data_mib": images.nbytes / 2**20, "model_mib": model.count_params() * 4 / 2**20}

    serving.serve(work)


if __name__ == "__main__":
    main()
