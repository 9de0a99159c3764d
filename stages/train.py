"""train: train the network of one pipeline, `noaug` or `aug`; they differ in augmentation alone.

    python stages/train.py noaug|aug

Reads   data/split/{train,val}.csv, data/cropped, params `model`, `train`, `dataset.classes`, `dataset.negative`,
        `crop`, and for aug `augment`.
Writes  models/<pipeline>.keras (the weights of the lowest validation loss; it takes raw grey images, 0 to 255),
        plots/history/<pipeline>.csv, dvclive/<pipeline> (live metrics).

A state for resuming lies in .resume/; a killed or stopped run goes on from it by itself. With KERAS_BACKEND=jax, all
devices are used, and several processes train together where the environment says so: docs/several-machines.md.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

import numpy as np
from scmrepo.exceptions import SCMError

from brain_mri.errors import UserError, run
from brain_mri.files import remove, write_csv
from brain_mri.images.dataset import groups_of, labels_of, load_images, load_masks, read_samples
from brain_mri.images.examples import Draw, Examples
from brain_mri.network.batches import predict_logits
from brain_mri.network.distribution import is_first, process_group, shut_down, use_all_devices
from brain_mri.network.interruption import Stopped
from brain_mri.network.machine import out_of_memory, set_precision, set_up
from brain_mri.network.model import build
from brain_mri.network.resume import Row, discard_states, only_one, state_file
from brain_mri.network.sampling import group_weights
from brain_mri.network.saved import save
from brain_mri.network.temperature import fit_temperature
from brain_mri.network.training import best_epoch, fit
from brain_mri.params import PIPELINES, Params, load_params
from dvclive import Live


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pipeline", choices=PIPELINES)
    pipeline = parser.parse_args().pipeline
    params = load_params()
    with only_one(pipeline), process_group():
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
    settings, classes, negative = params.train, params.dataset.classes, params.dataset.negative_class
    lesions = params.model.architecture.lesion_map
    set_up(settings.threads, settings.deterministic, settings.precision)
    use_all_devices(settings.batch_size)

    masks = lesions or (pipeline == "aug" and params.augment.counterfactual.changes_any)
    training, validation = (load_split(name, params, masks) for name in ("train", "val"))
    count = len(training.labels)
    if settings.batch_size > count:
        raise UserError(f"train.batch_size = {settings.batch_size}: the training split has {count} images; lower it")
    draw = augmented(training, params) if pipeline == "aug" else as_they_are(training)

    weights = np.ones(count)
    if settings.sampling == "groups":
        weights = group_weights(training.labels, groups_of(read_samples("data/split/train.csv")))

    model = build(params.model, len(classes), settings.seed, negative)
    state = state_file(pipeline, (*what_decides(pipeline, params), weights.tolist()), (training, validation))
    fitted = partial(fit, model, draw, weights, validation, settings, state, negative=negative if lesions else None)
    if not is_first():  # the first process writes the results
        fitted(lambda row: None)
        shut_down()
        return
    remove(Path("dvclive") / pipeline)
    with Live(f"dvclive/{pipeline}", save_dvc_exp=False, dvcyaml=None, monitor_system=False) as live:
        history = fitted(partial(log, live))
    trained = model.get_weights()
    if shut_down() or settings.precision != "float32":  # how a model was trained does not bind who uses it
        set_precision("float32")
        model = build(params.model.model_copy(update={"weights": "none"}), len(classes), settings.seed, negative)
        model.set_weights(trained)
    logits = predict_logits(model, validation.images, settings.batch_size)
    card = {  # what a program needs to feed the model and to read its answer
        "pipeline": pipeline,
        "classes": classes,
        "image_size": params.model.image_size,
        "crop": params.crop.model_dump(),
        "temperature": fit_temperature(
            validation.labels, logits
        ),  # softmax(logits / temperature), of unmirrored images
    }

    save(model, Path(f"models/{pipeline}.keras"), card)
    write_csv(f"plots/history/{pipeline}.csv", history, list(history[0]))
    discard_states(pipeline)
    print(f"{pipeline}: {len(history)} epochs, the best is epoch {best_epoch(history)}")


def load_split(name: str, params: Params, masks: bool) -> Examples:
    samples, size = read_samples(f"data/split/{name}.csv"), params.model.image_size
    examples = Examples(load_images(samples, size), labels_of(samples, params.dataset.classes))
    if masks:
        examples.masks = load_masks(samples, size)
        examples.outlined = np.array([bool(s.mask) or s.label == params.dataset.negative for s in samples])
    return examples


def as_they_are(training: Examples) -> Draw:
    return lambda indices, epoch: training[indices % len(training.labels)]


def augmented(training: Examples, params: Params) -> Draw:
    # Imported here alone: a change of the augmentation must not train `noaug` again.
    from brain_mri.augmentation.policy import Policy

    return Policy(training, params).draw


def what_decides(pipeline: str, params: Params) -> tuple:
    """Return the parameters that the result of a training depends on."""
    settings = params.train.model_dump(exclude={"checkpoint_minutes"})
    decides = (params.model, settings, params.dataset.classes, params.dataset.negative)
    return (*decides, params.augment, params.crop) if pipeline == "aug" else decides


def log(live: Live, row: Row) -> None:
    for name, value in row.items():
        if name != "epoch":
            live.log_metric(name, value)
    live.next_step()


if __name__ == "__main__":
    run(main)
