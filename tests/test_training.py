"""Training: repeatable bit by bit, resumable after a kill, and the callbacks of the report."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from core.files import UserError
from core.network import training
from core.network.augmentation import Affine, augment
from core.network.training import Batches, Examples, Recipe, epoch_order, fit, predict_logits

RECIPE = Recipe(
    seed=3,
    epochs=3,
    batch_size=8,
    optimizer="adamw",
    learning_rate=0.003,
    weight_decay=0.01,
    schedule="cosine",
    warmup_epochs=1,
    plateau_factor=0.5,
    plateau_patience=2,
    plateau_min_learning_rate=1e-5,
    early_stopping_patience=10,
    label_smoothing=0.05,
)


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


def moved(images: np.ndarray, indices: np.ndarray, epoch: int) -> np.ndarray:
    return augment(images, indices, Affine(15, 0.08, 0.15, False), 3, epoch)


def train(state: Path, augmentation: Any = None, recipe: Recipe = RECIPE, on_epoch: Any = lambda row: None) -> tuple:
    model = tiny()
    outcome = fit(model, examples(), examples(8, 1), recipe, augmentation, state, on_epoch)
    return model.get_weights(), outcome


def same(first: list, second: list) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_two_runs_end_in_the_same_bits(tmp_path: Path) -> None:
    (weights, outcome), (again, repeated) = (train(tmp_path / f"{i}.npz", moved) for i in range(2))
    assert same(weights, again)
    assert outcome == repeated


class Killed(Exception):
    pass


@pytest.mark.parametrize("schedule", ["cosine", "plateau"])
def test_a_killed_run_goes_on_to_the_same_bits(tmp_path: Path, schedule: str) -> None:
    recipe = Recipe(**{**vars(RECIPE), "schedule": schedule, "plateau_patience": 1, "epochs": 4})
    weights, outcome = train(tmp_path / "undisturbed.npz", moved, recipe)

    def kill(row: dict) -> None:
        if row["epoch"] == 2:
            raise Killed

    with pytest.raises(Killed):
        train(tmp_path / "state.npz", moved, recipe, kill)
    seen: list[float] = []
    resumed, after = train(tmp_path / "state.npz", moved, recipe, lambda row: seen.append(row["epoch"]))
    assert seen == [1, 2, 3, 4], "earlier epochs are logged again, none is trained twice"
    assert same(weights, resumed)
    assert outcome == after


def test_a_damaged_state_is_left_aside(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    state = tmp_path / "state.npz"
    weights, _ = train(state)
    state.write_bytes(state.read_bytes()[:3000])
    again, _ = train(state)
    assert same(weights, again)
    assert (tmp_path / "state.damaged").exists()
    assert "damaged" in capfd.readouterr().out


def test_the_model_ends_with_the_best_validation_loss(tmp_path: Path) -> None:
    model = tiny()
    recipe = Recipe(**{**vars(RECIPE), "label_smoothing": 0.0})
    outcome = fit(model, examples(), examples(8, 1), recipe, None, tmp_path / "s.npz", lambda row: None)
    losses = [row["val_loss"] for row in outcome.history]
    assert outcome.best_epoch == int(np.argmin(losses)) + 1
    logits = predict_logits(model, examples(8, 1).images, 8)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)(np.eye(4)[examples(8, 1).labels], logits)
    assert float(loss) == pytest.approx(min(losses), rel=1e-4)


def test_the_plateau_lowers_the_rate_and_early_stopping_stops(tmp_path: Path) -> None:
    recipe = Recipe(
        **{
            **vars(RECIPE),
            "schedule": "plateau",
            "learning_rate": 1.0,
            "epochs": 12,
            "optimizer": "adam",
            "early_stopping_patience": 3,
        }
    )
    _, outcome = train(tmp_path / "s.npz", None, recipe)
    rates = [row["learning_rate"] for row in outcome.history]
    assert len(outcome.history) < 12
    assert min(rates) < 1.0


def test_the_cosine_rises_and_ends_at_zero(tmp_path: Path) -> None:
    _, outcome = train(tmp_path / "s.npz")
    rates = [row["learning_rate"] for row in outcome.history]
    assert rates[0] == pytest.approx(0.003, rel=1e-5)
    assert rates[-1] == pytest.approx(0, abs=1e-6)


def test_a_loss_that_is_no_number_stops(tmp_path: Path) -> None:
    recipe = Recipe(**{**vars(RECIPE), "optimizer": "adam", "schedule": "plateau", "learning_rate": 1e30})
    with pytest.raises(UserError, match=r"epoch \d.*learning_rate"):
        train(tmp_path / "s.npz", None, recipe)


def test_pipelines_see_the_same_first_batch_before_augmentation() -> None:
    order = epoch_order(3, 0, 20)
    plain = Batches(examples(), 4, order, 8)[0]
    seen: list[np.ndarray] = []

    def spy(images: np.ndarray, indices: np.ndarray, epoch: int) -> np.ndarray:
        seen.append(images.copy())
        return moved(images, indices, epoch)

    augmented = Batches(examples(), 4, order, 8, spy, 0)[0]
    assert np.array_equal(plain[0], seen[0])
    assert np.array_equal(plain[1], augmented[1])
    assert not np.array_equal(plain[0], augmented[0])


def test_an_epoch_shows_each_image_once_in_an_order_of_its_own() -> None:
    orders = [epoch_order(3, epoch, 20) for epoch in range(3)]
    assert all(sorted(order) == list(range(20)) for order in orders)
    assert not np.array_equal(orders[0], orders[1])
    batches = Batches(examples(), 4, orders[0], 8)
    assert [len(batches[step][0]) for step in range(len(batches))] == [8, 8, 4]


def test_set_up_fixes_threads() -> None:
    import tensorflow as tf

    if keras.backend.backend() != "tensorflow":
        pytest.skip("threads are fixed for TensorFlow alone")
    with pytest.raises(RuntimeError):  # operations ran already: it must not pass silently
        training.set_up(tf.config.threading.get_intra_op_parallelism_threads() + 1)
