"""Our training, ready to step: what the ways that measure it share. A study's parameters, on images made here."""

import os
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "stages"))

import brain_mri.network  # noqa: F401  # isort: skip  # before Keras: it sets what TensorFlow reads when it is loaded

import keras
import numpy as np
import train

from brain_mri.images.examples import Examples
from brain_mri.network.batches import Batches, feed
from brain_mri.network.distribution import spread
from brain_mri.network.machine import set_up
from brain_mri.network.objective import compile_for_training
from brain_mri.network.progress import Bar
from brain_mri.network.resume import State
from brain_mri.network.training import Between
from brain_mri.params import Params, load_params

ROOT = Path(__file__).resolve().parents[2]
HEADS = 16  # phantoms take a quarter of a second each, so few are drawn and come again


def parser(about: str | None) -> ArgumentParser:
    """Return the arguments that say what to train."""
    found = ArgumentParser(description=about)
    found.add_argument("--study", required=True, help="a folder of studies/, or . for the default study")
    found.add_argument("--network", required=True)
    found.add_argument("--size", type=int, required=True)
    found.add_argument("--batch", type=int, required=True)
    found.add_argument("--steps", type=int, required=True)
    found.add_argument("--precision", default="float32")
    return found


def params_of(options: Namespace, threads: int | None = None) -> Params:
    """Return the study's parameters, with this network, size, batch and precision; threads: all cores unless told."""
    folder = ROOT if options.study == "." else ROOT / "studies" / options.study
    params = load_params(folder / "params.yaml")
    network = {"network": options.network, "image_size": options.size, "weights": "none"}
    training = {"batch_size": options.batch, "precision": options.precision, "threads": threads or os.cpu_count()}
    changed = {"model": params.model.model_copy(update=network), "train": params.train.model_copy(update=training)}
    return params.model_copy(update=changed)


def negative_of(params: Params) -> int:
    assert params.dataset.negative is not None
    return params.dataset.classes.index(params.dataset.negative)


def model_of(params: Params) -> keras.Model:
    """Return the untrained network, after setting up the backend."""
    set_up(params.train.threads, params.train.deterministic, params.train.precision)
    spread(params.train.batch_size)
    return train.network(params, "none", negative_of(params))


def examples_of(params: Params, count: int, drawn: int = HEADS) -> Examples:
    """Return phantoms of all classes in turn, cropped and with their lesions' masks; no more are drawn than `drawn`."""
    few = train.phantoms(params, 0, min(count, drawn))
    return few[np.arange(count) % len(few.labels)]


class Engine:
    """A network, compiled, and the batches of its epochs."""

    def __init__(self, params: Params, steps: int) -> None:
        self.params, self.batch = params, params.train.batch_size
        self.model = model_of(params)
        self.negative = negative_of(params) if params.model.architecture.lesion_map else None
        self.trainee = compile_for_training(self.model, train.recipe_of(params), max(steps, 2), self.negative)
        self.order = np.arange(steps * self.batch)
        self.draw = train.drawing("noaug", examples_of(params, len(self.order)), params, negative_of(params))
        self.between: Any = Between(
            self.trainee, State(), Path(tempfile.gettempdir()) / "never-written.npz", 1440, [], Bar(1 << 30, 0)
        )

    def epoch(self) -> None:
        """Train for the steps, with all that the training does between them."""
        batches = Batches(self.draw, len(self.params.dataset.classes), self.order, self.batch, 0, self.negative)
        self.between.state.step = 0
        self.trainee.fit(feed(batches), shuffle=False, verbose=0, callbacks=self.between)
        self.between.check()
