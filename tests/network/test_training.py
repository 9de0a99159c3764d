"""Training: repeatable bit by bit, resumable after a kill at any step, and the callbacks of the paper."""

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from settings import params

from brain_mri.augmentation.policy import Policy
from brain_mri.errors import UserError
from brain_mri.images.examples import Draw, Examples
from brain_mri.network import training
from brain_mri.network.batches import predict_logits
from brain_mri.network.interruption import Stopped
from brain_mri.network.training import best_epoch, fit
from brain_mri.params import Train

DEFAULT = {
    "seed": 3,
    "epochs": 2,
    "batch_size": 8,
    "learning_rate": 0.003,
    "warmup_epochs": 1,
    "checkpoint_minutes": 60,
}
PLATEAU = {"schedule": "plateau", "optimizer": "adam", "epochs": 3, "learning_rate": 0.3}
PLATEAU |= {"plateau": {"factor": 0.5, "patience": 1, "min_learning_rate": 1e-5}, "early_stopping_patience": 10}


def settings(**changed: Any) -> Train:
    """Return how to train: AdamW on the cosine schedule, as the default study does, but shortly."""
    return params(train=DEFAULT | changed).train


def tiny() -> keras.Model:
    """A network with all that training must keep: batch statistics, dropout's state, a convolution."""
    keras.utils.set_random_seed(3)
    image = keras.layers.Input((32, 32, 1), name="image")
    x = keras.layers.Rescaling(1 / 255)(image)
    x = keras.layers.Conv2D(4, 3, strides=4)(x)
    x = keras.layers.BatchNormalization(momentum=0.5)(x)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU()(x))
    logits = keras.layers.Dense(4, name="logits")(keras.layers.Dropout(0.4, seed=3)(x))
    return keras.Model(image, keras.layers.Softmax()(logits))


def examples(count: int = 20, seed: int = 0) -> Examples:
    """Classes that differ in brightness, so that a few steps learn something."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 4
    images = rng.integers(0, 60, (count, 32, 32, 1)) + 60 * labels[:, None, None, None]
    return Examples(images.astype(np.uint8), labels)


def plain(indices: np.ndarray, epoch: int) -> Examples:
    return examples()[indices]


def moved(indices: np.ndarray, epoch: int) -> Examples:
    return Policy(examples(), params(train={"seed": 3})).draw(indices, epoch)


def train(
    state: Path, draw: Draw = plain, how: Train | None = None, on_epoch: Any = lambda row: None
) -> tuple[list[np.ndarray], list[dict[str, float]]]:
    model = tiny()
    history = fit(model, draw, np.ones(20), examples(12, 1), how or settings(), state, on_epoch)
    return model.get_weights(), history


def same(first: tuple, second: tuple) -> bool:
    """Whether two trainings ended in the same bits, of their weights and of their history."""
    bits = all(np.array_equal(a, b) for a, b in zip(first[0], second[0], strict=True))
    return bits and first[1] == second[1]


def test_two_runs_end_in_the_same_bits(tmp_path: Path) -> None:
    first, again = (train(tmp_path / f"{i}.npz", moved) for i in range(2))
    assert same(first, again)


@pytest.mark.parametrize("changed", [{}, PLATEAU | {"accumulate": 2}], ids=["cosine", "plateau, two batches a step"])
def test_a_run_goes_on_to_the_same_bits_from_every_step(
    tmp_path: Path, changed: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    how = settings(**changed)
    undisturbed = train(tmp_path / "undisturbed.npz", moved, how)
    positions: dict[tuple[int, int], Path] = {}

    def save_and_keep(file: Path, trainee: keras.Model, state: Any) -> bool:
        done = training_save(file, trainee, state)
        kept = tmp_path / f"kept-{len(state.history)}-{state.step}-{len(positions)}.npz"
        positions[len(state.history), state.step] = Path(shutil.copy(file, kept))
        return done

    training_save = training.save
    monkeypatch.setattr(training, "save", save_and_keep)
    assert same(undisturbed, train(tmp_path / "state.npz", moved, settings(**changed, checkpoint_minutes=1e-9)))
    assert set(positions) >= {(0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (1, 3), (how.epochs, 0)}
    monkeypatch.undo()
    for place in positions if not changed else [(1, 0), (1, 1), (2, 2), (2, 3)]:
        assert same(undisturbed, train(positions[place], moved, how)), f"killed after {place}"


def test_a_killed_run_trains_no_epoch_twice_and_tells_of_each(tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    def kill(row: dict) -> None:
        raise Killed

    with pytest.raises(Killed):
        train(tmp_path / "state.npz", on_epoch=kill)
    seen: list[float] = []
    train(tmp_path / "state.npz", on_epoch=lambda row: seen.append(row["epoch"]))
    assert seen == [1, 2]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_step_saves_and_says_so(tmp_path: Path, number: signal.Signals) -> None:
    undisturbed = train(tmp_path / "undisturbed.npz")

    def shoot(indices: np.ndarray, epoch: int) -> Examples:
        if epoch == 1 and not shots:
            shots.append(number)
            os.kill(os.getpid(), number)
        return plain(indices, epoch)

    shots: list[int] = []

    # A job in a shell's background is told to ignore ctrl-C, and so would be the tests started there.
    signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    with pytest.raises(Stopped, match=rf"{number.name} after epoch 1 and \d steps; the state is saved") as stopped:
        train(tmp_path / "state.npz", shoot)
    assert stopped.value.number == number
    assert same(undisturbed, train(tmp_path / "state.npz"))
    assert signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler), "handlers are put back"


def test_a_damaged_state_is_left_aside(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    state = tmp_path / "state.npz"
    first = train(state)
    state.write_bytes(state.read_bytes()[:3000])
    assert same(first, train(state))
    assert (tmp_path / "state.damaged").exists()
    assert "damaged" in capfd.readouterr().out


def test_the_model_ends_with_the_best_validation_loss(tmp_path: Path) -> None:
    model = tiny()
    how = settings(label_smoothing=0.0, epochs=3)
    history = fit(model, plain, np.ones(20), examples(8, 1), how, tmp_path / "s.npz", lambda row: None)
    losses = [row["val_loss"] for row in history]
    assert best_epoch(history) == int(np.argmin(losses)) + 1
    logits = predict_logits(model, examples(8, 1).images, 8)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)(np.eye(4)[examples(8, 1).labels], logits)
    assert float(loss) == pytest.approx(min(losses), rel=1e-4)


def test_the_plateau_lowers_the_rate_and_early_stopping_stops(tmp_path: Path) -> None:
    how = settings(**PLATEAU | {"learning_rate": 1.0, "epochs": 12, "early_stopping_patience": 3})
    _, history = train(tmp_path / "s.npz", plain, how)
    rates = [row["learning_rate"] for row in history]
    assert len(history) < 12
    assert min(rates) < 1.0


def test_the_cosine_rises_and_ends_at_zero(tmp_path: Path) -> None:
    _, history = train(tmp_path / "s.npz")
    rates = [row["learning_rate"] for row in history]
    assert rates[0] == pytest.approx(0.003, rel=1e-5)
    assert rates[-1] == pytest.approx(0, abs=1e-6)


def diverging(**changed: Any) -> Train:
    """A rate that no weight survives; the schema would refuse it."""
    return settings(**PLATEAU, **changed).model_copy(update={"learning_rate": 1e30})


def test_a_loss_that_is_no_number_stops_and_names_the_step(tmp_path: Path) -> None:
    how = diverging()
    with pytest.raises(UserError, match=r"loss is (nan|inf) in epoch 1, step 2; lower train\.learning_rate"):
        train(tmp_path / "s.npz", plain, how)


def test_the_last_good_state_outlives_a_loss_that_is_no_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    how = diverging(checkpoint_minutes=1e-9)
    written: list[int] = []

    def write(file: Path, trainee: keras.Model, state: Any) -> bool:
        written.append(state.step)
        return True

    monkeypatch.setattr(training, "save", write)
    with pytest.raises(UserError, match=r"lower train\.learning_rate"):
        train(tmp_path / "s.npz", plain, how)
    assert all(step < 2 for step in written)


def test_accumulated_batches_take_one_step(tmp_path: Path) -> None:
    """One step of two batches moves the weights as one batch of both does, where nothing depends on the batch."""

    def linear() -> keras.Model:
        keras.utils.set_random_seed(3)
        image = keras.layers.Input((32, 32, 1), name="image")
        x = keras.layers.AveragePooling2D(8)(keras.layers.Rescaling(1 / 255)(image))
        logits = keras.layers.Dense(4, name="logits")(keras.layers.Flatten()(x))
        return keras.Model(image, keras.layers.Softmax()(logits))

    ends = []
    for name, size, accumulate in (("halves", 8, 2), ("whole", 16, 1)):
        model = linear()
        how = settings(**PLATEAU | {"batch_size": size, "accumulate": accumulate, "epochs": 1, "warmup_epochs": 0})
        fit(model, plain, np.ones(16), examples(8, 1), how, tmp_path / f"{name}.npz", lambda row: None)
        ends.append(model.get_weights())
    for halves, whole in zip(*ends, strict=True):
        assert np.allclose(halves, whole, rtol=1e-4, atol=1e-5)
