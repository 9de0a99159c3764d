"""Training: one epoch after the other, exactly repeatable, taken up after a kill where its state was last saved.

Every source of chance is a function of (seed, epoch, index): the order of the images and their augmentation are drawn
from it; what Keras draws itself (initial weights, dropout) comes from seeded states that are saved with the weights.
"""

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from brain_mri import params
from brain_mri.errors import UserError
from brain_mri.images.examples import Draw, Examples
from brain_mri.network.batches import Batches, feed, in_order
from brain_mri.network.distribution import draw_own_rows, even_parts
from brain_mri.network.interruption import Stopped, agree_to_stop, stop_signals
from brain_mri.network.normalisation import give_weights
from brain_mri.network.objective import compile_for_training, rules_for
from brain_mri.network.progress import Bar
from brain_mri.network.resume import Row, State, assign, restore, save, values_of
from brain_mri.network.sampling import epoch_order

STEPS_BETWEEN_CHECKS = 50  # reading a loss waits for its step, so it is not done at each


def fit(
    model: keras.Model,
    draw: Draw,
    weights: np.ndarray,
    validation: Examples,
    settings: params.Train,
    state_file: Path,
    on_epoch: Callable[[Row], None],
    negative: int | None = None,
) -> list[Row]:
    """Train the model in place, leave it with the weights of `best_epoch`, and return the history, a row an epoch.

    `draw` gives the batch of some showings of the N training images in an epoch; `weights`, float (N,), says how often
    each is shown (see `epoch_order`). `state_file` is read first and written
    every `checkpoint_minutes` and after every epoch, so a killed run goes on and ends in the same weights; the caller
    names it after all that the result depends on and removes it when the result is safe. `on_epoch` gets each row of
    the history, those of an earlier run too. `negative`, the class without a lesion, is asked for by a network with a
    lesion map, which is taught by the examples' masks. Raises UserError when the loss is no longer finite, and Stopped
    after SIGTERM or SIGINT, with the state saved."""
    classes, steps = model.output.shape[-1], -(-len(weights) // settings.batch_size)
    trainee = compile_for_training(model, settings, steps, negative)
    rules = rules_for(trainee, settings)

    def batches(draw: Draw, indices: np.ndarray, epoch: int = 0) -> Any:
        return feed(Batches(draw_own_rows(draw), classes, indices, settings.batch_size, epoch, negative))

    state = restore(state_file, trainee, rules)
    for row in state.history:
        on_epoch(row)
    with stop_signals() as asked, Bar(steps * settings.epochs, steps * len(state.history) + state.step) as bar:
        monitor = StepMonitor(trainee, state, state_file, settings.checkpoint_minutes, asked, bar)
        if state.step:
            monitor.make_sums(in_order(validation, classes, 1, negative))
        for epoch in range(len(state.history), settings.epochs):
            if trainee.stop_training:
                break
            order = epoch_order(settings.seed, epoch, weights)[state.step * settings.batch_size :]
            # Nothing is left of the order where a signal came in the validation.
            for part in even_parts(order, settings.batch_size) if len(order) else ():
                trainee.fit(batches(draw, part, epoch), shuffle=False, verbose=0, callbacks=monitor)
                monitor.check()
                state.sums = values_of(trainee.metrics_variables)
            row = {"epoch": epoch + 1, "learning_rate": float(trainee.optimizer.learning_rate)}
            row |= as_row(trainee.get_metrics_result())
            rows, sizes = [], []
            for part in even_parts(np.arange(len(validation.labels)), settings.batch_size):
                shown = batches(lambda indices, _: validation[indices], part)
                rows.append(as_row(trainee.evaluate(shown, verbose=0, callbacks=monitor, return_dict=True)))
                sizes.append(len(part))
            row |= {f"val_{name}": float(np.average([part[name] for part in rows], weights=sizes)) for name in rows[0]}
            if not np.isfinite(row["val_loss"]):
                raise UserError(divergence(f"validation loss is {row['val_loss']} after epoch {epoch + 1}"))
            if row["val_loss"] < min((earlier["val_loss"] for earlier in state.history), default=np.inf):
                state.best_weights = values_of(trainee.weights)
            for rule in rules:
                rule.on_epoch_end(epoch, dict(row))
            state.history.append(row)
            state.step, state.sums = 0, []
            bar.write_row(row)
            monitor.save()
            on_epoch(row)
    assign(trainee.weights, state.best_weights)
    give_weights(trainee, model)
    return state.history


def best_epoch(history: list[Row]) -> int:
    """Return the first epoch with the lowest validation loss, counted from 1."""
    return int(np.argmin([row["val_loss"] for row in history])) + 1


def as_row(metrics: dict[str, Any]) -> Row:
    """Return Keras's metrics as a row of the history; `accuracy` is the image's in every network."""
    return {name.replace("logits_accuracy", "accuracy"): float(value) for name, value in sorted(metrics.items())}


def divergence(what: str) -> str:
    return f"train: the {what}; lower train.learning_rate. The last good state is kept"


class StepMonitor(keras.callbacks.CallbackList):
    """What is done between two steps: count, check whether the loss is a number, save, stop when a signal asked for it.

    Keras's own list fetches the loss for each step and so waits for it; this one keeps the losses where they are and
    checks many at a time. A loss that is no number spoils the epoch's running mean, so the last one tells."""

    def __init__(
        self, trainee: keras.Model, state: State, file: Path, minutes: float, asked: list[signal.Signals], bar: Bar
    ) -> None:
        super().__init__(add_history=True, model=trainee)  # `fit` returns the history: it wants one
        self.trainee, self.state, self.file, self.asked, self.bar = trainee, state, file, asked, bar
        self.seconds, self.saved_at = minutes * 60, time.monotonic()
        self.losses: list[Any] = []
        self.calls = 0

    def make_sums(self, batches: Batches) -> None:
        """Give the metrics the sums of the saved state; Keras makes their variables with the first batch they see."""
        images, targets = batches[0]
        targets = keras.tree.map_structure(keras.ops.convert_to_tensor, targets)
        self.trainee.compute_metrics(images, targets, self.trainee(images))
        assign(self.trainee.metrics_variables, self.state.sums)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if self.state.step:  # `fit` has just set them to zero
            assign(self.trainee.metrics_variables, self.state.sums)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.state.step += 1
        self.bar.step()
        self.losses.append(logs["loss"])
        if len(self.losses) >= STEPS_BETWEEN_CHECKS:
            self.check()
        if self.is_to_stop() or self.is_due():
            self.check()
            self.synchronise()
            self.state.sums = values_of(self.trainee.metrics_variables)
            self.save()

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.is_to_stop() or self.is_due():
            self.synchronise()
            self.save()

    def is_to_stop(self) -> bool:
        self.calls += 1
        return agree_to_stop(self.asked, self.calls)

    def is_due(self) -> bool:
        return time.monotonic() - self.saved_at >= self.seconds

    def synchronise(self) -> None:
        if keras.backend.backend() == "jax":
            self.trainee.jax_state_sync()  # inside an epoch JAX keeps the values apart from the variables

    def check(self) -> None:
        """Raise UserError that names the step where the loss stopped being a number."""
        losses, self.losses = self.losses, []
        if not losses or np.isfinite(float(losses[-1])):
            return
        bad = next(place for place, loss in enumerate(losses) if not np.isfinite(float(loss)))
        step = self.state.step - len(losses) + bad + 1
        raise UserError(divergence(f"loss is {float(losses[bad])} in epoch {len(self.state.history) + 1}, step {step}"))

    def save(self) -> None:
        """Save the state; raise UserError where weights are no numbers, and Stopped where a signal asked for it."""
        where = f"after epoch {len(self.state.history)} and {self.state.step} steps"
        if not all(np.isfinite(weights).all() for weights in values_of(self.trainee.trainable_variables)):
            raise UserError(divergence(f"weights are no numbers {where}"))
        saved = save(self.file, self.trainee, self.state)
        self.saved_at = time.monotonic()
        if self.asked:
            raise Stopped(self.asked[0], where, saved)
