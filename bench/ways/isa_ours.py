"""Train for some steps as the engine takes them, on two threads: the loss of each and a digest of the weights."""

import serving  # isort: skip  # it takes stdout before anything prints

import hashlib
from typing import Any

import engine
import numpy as np

from brain_mri.network.batches import Batches
from brain_mri.network.resume import values_of

THREADS = 2  # the sums depend on it, so it is the same on every machine


def main() -> None:
    options = engine.parser(__doc__).parse_args()
    ours = engine.Engine(engine.params_of(options, THREADS), options.steps)
    classes = len(ours.params.dataset.classes)

    def work() -> dict[str, Any]:
        losses = []
        for places in np.split(ours.order, options.steps):
            one = Batches(ours.draw, classes, places, options.batch)
            losses.append(float(ours.trainee.fit(one, shuffle=False, verbose=0).history["loss"][0]))
        digest = hashlib.sha256()
        for values in values_of(ours.trainee.weights):
            digest.update(np.ascontiguousarray(values))
        return {"weights": digest.hexdigest()[:16], "losses": losses}

    serving.serve(work)


if __name__ == "__main__":
    main()
