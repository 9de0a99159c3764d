"""Training: one epoch after the other, exactly repeatable, taken up after a kill where the last epoch ended.

Every source of chance is a function of (seed, epoch, index): the order of the images and their augmentation are drawn
from it; what Keras draws itself (initial weights, dropout) comes from seeded states that are saved with the weights.
"""

import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from core.files import UserError, replacing
from core.network.model import logits_of

Row = dict[str, float]
Augmentation = Callable[[np.ndarray, np.ndarray, int], np.ndarray]  # images, indices, epoch -> images


@dataclass(frozen=True)
class Recipe:
    """How to train; the keys of `params.yaml`, `train`, of the same names say what each does."""

    seed: int
    epochs: int
    batch_size: int
    optimizer: str
    learning_rate: float
    weight_decay: float
    schedule: str
    warmup_epochs: int
    plateau_factor: float
    plateau_patience: int
    plateau_min_learning_rate: float
    early_stopping_patience: int
    label_smoothing: float


@dataclass
class Examples:
    """Images, uint8 (N, size, size, 1), and their labels, int (N,), from 0 to classes - 1."""

    images: np.ndarray
    labels: np.ndarray


@dataclass
class Outcome:
    """A finished training: the model has the weights of `best_epoch` (counted from 1), the lowest validation loss."""

    best_epoch: int
    history: list[Row]


@dataclass
class _State:
    """All that a resumed run needs besides the variables of model and optimiser."""

    history: list[Row] = field(default_factory=list)
    best_loss: float = float("inf")
    best_epoch: int = 0
    best_weights: list[np.ndarray] = field(default_factory=list)


def set_up(threads: int) -> None:
    """Fix the number of threads and ask for deterministic kernels; must run before the first operation.

    With a fixed number of threads the same sums are taken in the same order on any number of cores."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        tf.config.experimental.enable_op_determinism()


class Batches(keras.utils.PyDataset):
    """The batches of one epoch: float32 images (B, size, size, 1) of 0 to 255 and one-hot labels (B, classes)."""

    def __init__(
        self,
        examples: Examples,
        classes: int,
        order: np.ndarray,
        batch_size: int,
        augmentation: Augmentation | None = None,
        epoch: int = 0,
    ) -> None:
        super().__init__(workers=1, use_multiprocessing=False, max_queue_size=4)
        self.examples, self.order, self.batch_size = examples, order, batch_size
        self.one_hot = np.eye(classes, dtype=np.float32)
        self.augmentation, self.epoch = augmentation, epoch

    def __len__(self) -> int:
        return -(-len(self.order) // self.batch_size)

    def __getitem__(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        indices = self.order[step * self.batch_size : (step + 1) * self.batch_size]
        images = self.examples.images[indices]
        if self.augmentation:
            images = self.augmentation(images, indices, self.epoch)
        return images.astype(np.float32), self.one_hot[self.examples.labels[indices]]


def epoch_order(seed: int, epoch: int, count: int) -> np.ndarray:
    """Return the order, int (count,), in which an epoch shows the images."""
    return np.random.default_rng((seed, epoch)).permutation(count)


def compile_for_training(model: keras.Model, recipe: Recipe, steps_per_epoch: int) -> keras.Model:
    """Return the model up to its logits, compiled with the recipe's optimiser and cross-entropy on the logits."""
    rate: Any = recipe.learning_rate
    if recipe.schedule == "cosine":
        warmup = recipe.warmup_epochs * steps_per_epoch
        rate = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=0.0 if warmup else recipe.learning_rate,
            decay_steps=recipe.epochs * steps_per_epoch - warmup,
            warmup_target=recipe.learning_rate if warmup else None,
            warmup_steps=warmup,
        )
    optimizer = {
        "adam": lambda: keras.optimizers.Adam(rate),
        "adamw": lambda: keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay),
    }[recipe.optimizer]()
    trainee = logits_of(model)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=recipe.label_smoothing)
    # XLA's CPU code is slower than the plain kernels for both networks.
    trainee.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"], jit_compile=False)
    optimizer.build(trainee.trainable_variables)
    return trainee


def fit(
    model: keras.Model,
    train: Examples,
    validation: Examples,
    recipe: Recipe,
    augmentation: Augmentation | None,
    state_file: Path,
    on_epoch: Callable[[Row], None],
) -> Outcome:
    """Train the model in place and leave it with the weights of the lowest validation loss.

    `state_file` is written after every epoch and read first, so a killed run goes on and ends in the same weights;
    the caller names it after all that the result depends on and removes it when the result is safe. `on_epoch` gets
    each row of the history, those of an earlier run too. Raises UserError when the loss is no longer finite."""
    classes = model.output.shape[-1]
    steps = -(-len(train.labels) // recipe.batch_size)
    trainee = compile_for_training(model, recipe, steps)
    plateau = keras.callbacks.ReduceLROnPlateau(
        monitor="val_loss",
        factor=recipe.plateau_factor,
        patience=recipe.plateau_patience,
        min_lr=recipe.plateau_min_learning_rate,
    )
    stopping = keras.callbacks.EarlyStopping(monitor="val_loss", patience=recipe.early_stopping_patience)
    callbacks = [stopping] if recipe.schedule == "cosine" else [plateau, stopping]
    for callback in callbacks:
        callback.set_model(trainee)
        callback.on_train_begin()
    trainee.stop_training = False

    state = _restore(state_file, trainee, callbacks) or _State()
    for row in state.history:
        on_epoch(row)
    in_order = np.arange(len(validation.labels))
    held_out = Batches(validation, classes, in_order, recipe.batch_size)
    with _Bar(steps * recipe.epochs, steps * len(state.history)) as bar:
        for epoch in range(len(state.history), recipe.epochs):
            if trainee.stop_training:
                break
            order = epoch_order(recipe.seed, epoch, len(train.labels))
            batches = Batches(train, classes, order, recipe.batch_size, augmentation, epoch)
            logs = trainee.fit(
                batches,
                epochs=epoch + 1,
                initial_epoch=epoch,
                shuffle=False,
                verbose=0,
                validation_data=held_out,
                callbacks=[bar],
            ).history
            row = {"epoch": epoch + 1, "learning_rate": float(trainee.optimizer.learning_rate)}
            row |= {name: float(values[-1]) for name, values in logs.items() if name != "learning_rate"}
            if not np.isfinite([row["loss"], row["val_loss"]]).all():
                raise UserError(
                    f"train: the loss is {row['loss']} in epoch {epoch + 1}; lower train.learning_rate. "
                    "The last good epoch is kept"
                )
            if row["val_loss"] < state.best_loss:
                state.best_loss, state.best_epoch = row["val_loss"], epoch + 1
                state.best_weights = [np.array(weight) for weight in trainee.get_weights()]
            for callback in callbacks:
                callback.on_epoch_end(epoch, dict(row))
            state.history.append(row)
            _save(state_file, trainee, callbacks, state)
            on_epoch(row)
            bar.say(row)
    trainee.set_weights(state.best_weights)
    return Outcome(state.best_epoch, state.history)


class _Bar(keras.callbacks.Callback):
    """Counts and time left over all epochs: a bar on a terminal, a line an epoch everywhere."""

    def __init__(self, total: int, done: int) -> None:
        super().__init__()
        self.total, self.done, self.begun_with, self.begin = total, done, done, time.monotonic()
        self.bar = tqdm(total=total, initial=done, unit="step", desc="train", disable=None)

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.done += 1
        self.bar.update(1)

    def say(self, row: Row) -> None:
        text = "  ".join(f"{name} {row[name]:.4f}" for name in ("loss", "accuracy", "val_loss", "val_accuracy"))
        per_step = (time.monotonic() - self.begin) / (self.done - self.begun_with)
        left = tqdm.format_interval((self.total - self.done) * per_step)
        tqdm.write(f"epoch {row['epoch']:.0f}  {text}  {left} left")


def _attributes(callback: keras.callbacks.Callback) -> Iterator[tuple[str, Any]]:
    for name in ("wait", "best", "best_epoch", "cooldown_counter", "stopped_epoch"):
        if hasattr(callback, name):
            yield name, getattr(callback, name)


def _variables(trainee: keras.Model) -> list[Any]:
    return [*trainee.variables, *trainee.optimizer.variables]


def _save(file: Path, trainee: keras.Model, callbacks: list[Any], state: _State) -> None:
    counters = [{name: None if value is None else float(value) for name, value in _attributes(c)} for c in callbacks]
    facts = {
        "history": state.history,
        "best_loss": state.best_loss,
        "best_epoch": state.best_epoch,
        "callbacks": counters,
        "stop": bool(trainee.stop_training),
    }
    arrays: dict[str, Any] = {
        f"variable{i}": keras.ops.convert_to_numpy(variable) for i, variable in enumerate(_variables(trainee))
    }
    arrays |= {f"best{i}": weight for i, weight in enumerate(state.best_weights)}
    buffer = io.BytesIO()
    np.savez(buffer, facts=np.array(json.dumps(facts)), **arrays)
    with replacing(file) as temporary:
        temporary.write_bytes(buffer.getvalue())


def _restore(file: Path, trainee: keras.Model, callbacks: list[Any]) -> _State | None:
    if not file.exists():
        return None
    variables = _variables(trainee)
    try:
        with np.load(file, allow_pickle=False) as saved:
            facts = json.loads(str(saved["facts"]))
            values = [saved[f"variable{i}"] for i in range(len(variables))]
            best = [saved[f"best{i}"] for i in range(len(trainee.get_weights()))]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        tqdm.write(f"{file}: the saved state is damaged ({error}); left aside, training starts anew")
        file.replace(file.with_suffix(".damaged"))
        return None
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    for callback, counters in zip(callbacks, facts["callbacks"], strict=True):
        for name, _ in list(_attributes(callback)):
            value = counters[name]
            setattr(callback, name, int(value) if value is not None and name != "best" else value)
    trainee.stop_training = facts["stop"]
    tqdm.write(f"train: goes on after epoch {len(facts['history'])}")
    return _State(facts["history"], facts["best_loss"], facts["best_epoch"], best)


def predict_logits(model: keras.Model, images: np.ndarray, batch_size: int) -> np.ndarray:
    """Return logits, float32 (N, classes), for images, uint8 (N, size, size, 1); memory is bounded by the batch."""
    network = logits_of(model)
    classes = model.output.shape[-1]
    order = np.arange(len(images))
    return network.predict(Batches(Examples(images, np.zeros(len(images), int)), classes, order, batch_size), verbose=0)
