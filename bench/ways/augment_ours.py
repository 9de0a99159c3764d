"""Draw batches as the training of a pipeline does, one after the other and with nothing beside it.

--pipeline aug with --policy, a study's folder: its augmentation. --assemble: the whole input pipeline, to the float32
batches that the step takes; else drawing and augmenting alone."""

import serving  # isort: skip  # it takes stdout before anything prints

import engine
import numpy as np
import train

from brain_mri.network.batches import Batches
from brain_mri.params import load_params


def main() -> None:
    parser = engine.parser(__doc__)
    parser.add_argument("--pipeline", choices=["noaug", "aug"], required=True)
    parser.add_argument("--policy", default=".", help="a folder of studies/, or . for the default study")
    parser.add_argument("--assemble", action="store_true")
    options = parser.parse_args()
    params = engine.params_of(options)
    folder = engine.ROOT if options.policy == "." else engine.ROOT / "studies" / options.policy
    params = params.model_copy(update={"augment": load_params(folder / "params.yaml").augment})
    order = np.arange(options.steps * options.batch)
    examples = engine.examples_of(params, len(order))
    rates = params.augment.counterfactual
    if not any(vars(rates).values()) or options.pipeline == "noaug":
        examples.masks = examples.outlined = None  # as where no network and no policy asks for them
    draw = train.drawing(options.pipeline, examples, params, engine.negative_of(params))

    def work() -> None:
        if options.assemble:
            batches = Batches(draw, len(params.dataset.classes), order, options.batch)
            for step in range(options.steps):
                batches[step]
        else:
            for step in range(options.steps):
                draw(order[step * options.batch : (step + 1) * options.batch], 0)

    work()
    serving.serve(work)


if __name__ == "__main__":
    main()
