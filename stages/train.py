"""train: train the network of one pipeline, `noaug` or `aug`; they differ in augmentation alone.

    python stages/train.py noaug|aug

Reads   data/split/{train,val}.csv, data/cropped, params `model`, `train`, `dataset.classes`, and for aug `augment`.
Writes  models/<pipeline>.keras (the weights of the lowest validation loss; it takes raw grey images, 0 to 255),
        plots/history/<pipeline>.csv, dvclive/<pipeline> (live metrics).

A state for resuming lies in .resume/; a killed or stopped run goes on from it by itself. With KERAS_BACKEND=jax, all
devices are used, and several processes train together where the environment says so: docs/several-machines.md.
"""

import argparse
import fcntl
import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import keras
import numpy as np
from scmrepo.exceptions import SCMError

from brain_mri.augmentation.affine import Affine
from brain_mri.augmentation.appearance import Appearance
from brain_mri.augmentation.counterfactual import Counterfactuals, Rates
from brain_mri.augmentation.policy import Plain, Policy
from brain_mri.errors import UserError, run
from brain_mri.files import progress, remove, write_csv
from brain_mri.images.crop import cut, cut_out, find_head, resize_mask, to_network
from brain_mri.images.dataset import labels_of, load_images, load_masks, read_samples
from brain_mri.images.examples import Draw, Examples
from brain_mri.network.batches import predict_logits
from brain_mri.network.distribution import from_first, is_first, leave, processes, spread, together
from brain_mri.network.lesion import has_lesion_map
from brain_mri.network.machine import out_of_memory, set_up
from brain_mri.network.model import build
from brain_mri.network.objective import Recipe
from brain_mri.network.resume import Row
from brain_mri.network.saved import save
from brain_mri.network.temperature import fit_temperature
from brain_mri.network.training import Stopped, fit
from brain_mri.params import Params, load_params
from brain_mri.phantoms.phantom import phantom
from dvclive import Live

UNCHANGED = Appearance(0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0)
PHANTOMS = 400  # drawn once, in about ten seconds; each comes as often as augment.phantoms says, changed anew
RESUME = Path(".resume")  # git-ignored and no output of the stage: DVC removes a stage's outputs before it runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pipeline", choices=["noaug", "aug"])
    pipeline = parser.parse_args().pipeline
    params = load_params()
    with only_one(pipeline), together():
        try:
            train(pipeline, params)
        except Stopped as stopped:
            print(f"train.py: {stopped}", file=sys.stderr)
            sys.exit(128 + stopped.number)
        except SCMError as error:
            raise UserError(
                f"git: {error}; dvclive notes the commit that a training starts from: make a first one (git commit)"
            ) from None
        except Exception as error:
            if not out_of_memory(error):
                raise
            raise UserError(
                "train: the memory is full; lower train.batch_size (and raise train.accumulate as much), "
                "or lower model.image_size"
            ) from None


def train(pipeline: str, params: Params) -> None:
    negative = params.dataset.negative_class
    set_up(params.train.threads, params.train.deterministic, params.train.precision)
    recipe = recipe_of(params)
    spread(recipe.batch_size)
    model = network(params, params.model.weights, negative)
    lesions = has_lesion_map(model)
    masks = lesions or any(vars(params.augment.counterfactual).values())
    training, validation = (load_split(name, params, masks) for name in ("train", "val"))
    count = len(training.labels)
    if recipe.batch_size > count:
        raise UserError(f"train.batch_size = {recipe.batch_size}: the training split has {count} images; lower it")
    draw = drawing(pipeline, training, params, negative)

    digest = key(pipeline, params, training, validation)
    if from_first(digest.encode()) != digest.encode():
        raise UserError(
            "train: process 0 has other parameters, data or code than this one; bring the same to each machine"
        )
    state_file = RESUME / f"{pipeline}-{digest}.npz"
    fitted = partial(fit, model, draw, count, validation, recipe, state_file, negative=negative if lesions else None)
    if not is_first():  # the first process writes the results
        fitted(lambda row: None)
        leave()
        return
    if not state_file.exists() and (others := sorted(RESUME.glob(f"{pipeline}-*.npz"))):
        print(f"train: {others[0]} is the state of a run with other parameters, data or code; training starts anew")
    remove(Path("dvclive") / pipeline)
    with Live(f"dvclive/{pipeline}", save_dvc_exp=False, dvcyaml=None, monitor_system=False) as live:
        outcome = fitted(partial(log, live))
    trained = model.get_weights()
    if leave() or params.train.precision != "float32":  # how a model was trained does not bind who uses it
        keras.config.set_dtype_policy("float32")
        model = network(params, "none", negative)
        model.set_weights(trained)
    logits = predict_logits(model, validation.images, recipe.batch_size)
    temperature = fit_temperature(validation.labels, logits)
    save(model, Path(f"models/{pipeline}.keras"), card(pipeline, temperature, params))
    write_csv(f"plots/history/{pipeline}.csv", outcome.history, list(outcome.history[0]))
    for file in RESUME.glob(f"{pipeline}-*.npz"):
        file.unlink()
    print(f"{pipeline}: {len(outcome.history)} epochs, the best is epoch {outcome.best_epoch}")


def network(params: Params, weights: str, negative: int | None) -> keras.Model:
    settings = params.model
    return build(
        settings.network,
        settings.image_size,
        len(params.dataset.classes),
        settings.dropout,
        settings.batch_norm_momentum,
        weights,
        settings.weights_sha256,
        params.train.seed,
        settings.standardise,
        negative,
    )


def load_split(name: str, params: Params, masks: bool) -> Examples:
    samples, size = read_samples(f"data/split/{name}.csv"), params.model.image_size
    examples = Examples(load_images(samples, size), labels_of(samples, params.dataset.classes))
    if masks:
        examples.masks = load_masks(samples, size)
        examples.outlined = np.array([bool(s.mask) or s.label == params.dataset.negative for s in samples])
    return examples


def drawing(pipeline: str, training: Examples, params: Params, negative: int | None) -> Draw:
    """Return what draws a batch: the images as they are, or each changed by a draw of its own."""
    if pipeline == "noaug":
        return lambda indices, epoch: training[indices]
    settings = params.augment
    rates = Rates(**settings.counterfactual.model_dump())
    appearance = Appearance(**settings.appearance.model_dump())
    policy = Policy(
        params.train.seed,
        phantoms(params, params.train.seed, PHANTOMS) if settings.phantoms else None,
        settings.phantoms,
        Counterfactuals(training, rates, negative) if any(vars(rates).values()) and negative is not None else None,
        Affine(settings.rotation, settings.shift, settings.zoom, settings.flip),
        appearance if appearance != UNCHANGED else None,
        Plain(params.train.epochs - settings.plain.epochs, settings.plain.share),
        settings.mixup,
    )
    return partial(policy.draw, training)


def phantoms(params: Params, seed: int, count: int) -> Examples:
    """Draw phantoms of the study's classes, one after the other, and crop them as its images; UserError for a class
    that none is drawn of."""
    classes, size = params.dataset.classes, params.model.image_size
    images, masks = np.empty((count, size, size, 1), np.uint8), np.empty((count, size, size), bool)
    labels = np.arange(count) % len(classes)
    for place in progress(range(count), "phantoms"):
        drawn = phantom(classes[labels[place]], seed, place)
        head = find_head(drawn.image, params.crop)
        images[place] = to_network(cut_out(drawn.image, head, params.crop)[None], size)[0]
        masks[place] = resize_mask(cut(drawn.mask, head.box), size) > 0
    return Examples(images, labels, masks, np.ones(count, bool))


def recipe_of(params: Params) -> Recipe:
    settings = params.train.model_dump(exclude={"threads", "deterministic", "precision", "plateau"})
    return Recipe(**settings, **{f"plateau_{name}": value for name, value in params.train.plateau.model_dump().items()})


def log(live: Live, row: Row) -> None:
    for name, value in row.items():
        if name != "epoch":
            live.log_metric(name, value)
    live.next_step()


def card(pipeline: str, temperature: float, params: Params) -> dict:
    """What the model file tells about itself: what a program needs to feed it and to read its answer."""
    return {
        "pipeline": pipeline,
        "classes": params.dataset.classes,
        "image_size": params.model.image_size,
        "crop": params.crop.model_dump(),
        "temperature": temperature,  # softmax(logits / temperature) is calibrated on validation
    }


def key(pipeline: str, params: Params, *splits: Examples) -> str:
    """Return a digest of all that the training depends on: a state saved under another one must not be resumed."""
    train = params.train.model_dump(exclude={"checkpoint_minutes"})
    digest = hashlib.sha256(repr((pipeline, params.model, train)).encode())
    digest.update(f"{keras.__version__} {keras.backend.backend()}".encode())
    if pipeline == "aug":
        digest.update(repr((params.augment, params.crop, params.dataset.negative)).encode())
    loaded = [module for name, module in sys.modules.items() if name.startswith("brain_mri.network")]
    for file in [__file__, *sorted(str(module.__file__) for module in loaded)]:
        digest.update(Path(file).read_bytes())
    for examples in splits:
        for part in vars(examples).values():
            digest.update(b"" if part is None else part)
    return digest.hexdigest()[:16]


@contextmanager
def only_one(pipeline: str) -> Iterator[None]:
    """Hold this pipeline's lock: a killed `dvc` leaves its training running, and two must not write one model.

    Each of the processes that train together has a lock of its own."""
    RESUME.mkdir(exist_ok=True)
    which = pipeline if is_first() else f"{pipeline}-{processes()[1]}"
    with (RESUME / f"{which}.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            raise UserError(
                f"train {pipeline}: process {lock.read() or '?'} still trains it in this study; wait for it or stop it"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


if __name__ == "__main__":
    run(main)
