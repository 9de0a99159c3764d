"""What this project's training takes, as `bench.turns` asks: batches, steps, epochs.

python -m bench.ours WORK [--study STUDY] [--network NAME --size PIXELS --batch IMAGES --steps STEPS] ...
"""

import argparse
import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench.answering import serve
from bench.turns import ROOT
from brain_mri.augmentation.policy import Policy, draw_phantoms
from brain_mri.files import write_bytes
from brain_mri.images.examples import Examples
from brain_mri.network.batches import Batches, feed, logits_of
from brain_mri.network.distribution import use_all_devices
from brain_mri.network.machine import set_up
from brain_mri.network.model import build
from brain_mri.network.objective import compile_for_training
from brain_mri.network.resume import values_of
from brain_mri.network.training import fit
from brain_mri.params import Params, load_params

HEADS = 16  # phantoms take a quarter of a second each, so these are drawn and come again
Work = Callable[[], Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", choices=WORK)
    parser.add_argument("--study", default=".", help="a folder of studies/, or . for the default study")
    parser.add_argument("--network", default="compact")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--pipeline", choices=["noaug", "aug"], default="noaug")
    parser.add_argument("--policy", help="the study whose augmentation it is; default: --study")
    parser.add_argument("--images", type=int, help="so many in memory; default: those of the steps")
    parser.add_argument("--file", type=Path, help="for the network as JSON")
    options = parser.parse_args()
    if work := WORK[options.work](options):
        serve(work)


def draw(options: argparse.Namespace) -> Work:
    """Draw and change the images of the pipeline's batches, one after the other."""
    params = params_of(options)
    order = np.arange(options.steps * options.batch)
    drawn = drawing(options, params)

    def work() -> None:
        for places in np.split(order, options.steps):
            drawn(places, 0)

    work()
    return work


def step(options: argparse.Namespace) -> Work:
    """Take an epoch of the compiled steps."""
    trainee, batches = compiled(options, params_of(options))
    order = np.arange(options.steps * options.batch)

    def work() -> None:
        trainee.fit(feed(batches(order)), shuffle=False, verbose=0)

    work()
    return work


def losses(options: argparse.Namespace) -> Work:
    """Take the steps one by one on two threads, as sums depend on them; a loss each and a digest of the weights."""
    trainee, batches = compiled(options, params_of(options, threads=2))

    def work() -> dict[str, Any]:
        found = []
        for places in np.split(np.arange(options.steps * options.batch), options.steps):
            found.append(float(trainee.fit(batches(places), shuffle=False, verbose=0).history["loss"][0]))
        digest = hashlib.sha256()
        for values in values_of(trainee.weights):
            digest.update(np.ascontiguousarray(values).tobytes())
        return {"weights": digest.hexdigest()[:16], "losses": found}

    return work


def epoch(options: argparse.Namespace) -> Work:
    """Train for one short epoch with many images in memory."""
    params = params_of(options, epochs=1)
    model, few = network(params), heads(params, options.batch)
    images = np.empty((options.images, options.size, options.size, 1), np.uint8)
    for place in range(options.images):  # one after the other, as files are read: no second copy while it fills
        images[place] = few.images[place % options.batch]
    training = Examples(images, np.arange(options.images) % len(params.dataset.classes))
    drawn = Policy(training, params, HEADS).draw
    count = options.steps * options.batch
    touched = np.linspace(0, options.images - 1, count).astype(int)  # every part of the images

    def work() -> None:
        with tempfile.TemporaryDirectory() as folder:
            state = Path(folder, "state.npz")
            fit(model, lambda at, of: drawn(touched[at], of), np.ones(count), few, params.train, state, lambda _: None)

    return work


def write_network(options: argparse.Namespace) -> None:
    """Write the network, up to its logits, as Keras's JSON: for a user of plain Keras."""
    write_bytes(options.file, logits_of(network(params_of(options))).to_json().encode())


def params_of(options: argparse.Namespace, threads: int | None = None, epochs: int | None = None) -> Params:
    """Return the study's parameters with this network, size, batch, precision and policy."""
    params, policy = (
        load_params(ROOT / ("" if study == "." else f"studies/{study}") / "params.yaml")
        for study in (options.study, options.policy or options.study)
    )
    network = {"network": options.network, "image_size": options.size, "weights": "none"}
    training = {"batch_size": options.batch, "precision": options.precision, "threads": threads or os.cpu_count()}
    training |= {"epochs": epochs, "warmup_epochs": 0} if epochs else {}
    changed = {"model": params.model.model_copy(update=network), "train": params.train.model_copy(update=training)}
    return params.model_copy(update=changed | {"augment": policy.augment})


def heads(params: Params, count: int) -> Examples:
    """Return phantoms of all classes in turn, cropped and with their lesions' masks."""
    drawn = draw_phantoms(params, 0, min(count, HEADS))
    return drawn[np.arange(count) % len(drawn.labels)]


def drawing(options: argparse.Namespace, params: Params) -> Callable[[np.ndarray, int], Examples]:
    """Return what draws the batches of the steps, as the pipeline does."""
    examples = heads(params, options.steps * options.batch)
    if options.pipeline == "noaug" or not params.augment.counterfactual.changes_any:
        examples.masks = examples.outlined = None  # as where no network and no policy asks for them
    return Policy(examples, params, HEADS).draw if options.pipeline == "aug" else lambda indices, of: examples[indices]


def network(params: Params) -> Any:
    """Return the untrained network, after setting up the backend."""
    set_up(params.train.threads, params.train.deterministic, params.train.precision)
    use_all_devices(params.train.batch_size)
    return build(params.model, len(params.dataset.classes), params.train.seed, params.dataset.negative_class)


def compiled(options: argparse.Namespace, params: Params) -> tuple[Any, Callable[[np.ndarray], Batches]]:
    """Return the network, compiled as training compiles it, and what makes batches of some of the images."""
    trainee = compile_for_training(network(params), params.train, max(options.steps, 2))
    drawn, classes = drawing(options, params), len(params.dataset.classes)
    return trainee, lambda places: Batches(drawn, classes, places, options.batch)


WORK: dict[str, Callable[[argparse.Namespace], Work | None]] = {
    "draw": draw,
    "step": step,
    "losses": losses,
    "epoch": epoch,
    "network": write_network,
}


if __name__ == "__main__":
    main()
