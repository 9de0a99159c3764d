"""What training minimises, and by which steps: loss, optimiser, learning rate and the rules that change or end it."""

from dataclasses import dataclass
from typing import Any

import keras

from brain_mri.network.batches import logits_of
from brain_mri.network.lesion import MAP, map_loss
from brain_mri.network.normalisation import fused

LESION_PIXELS = 2.0  # a lesion fills a twentieth of an image; counted twice, small ones are not given up


@dataclass(frozen=True)
class Recipe:
    """How to train; the keys of `params.yaml`, `train`, of the same names say what each does."""

    seed: int
    epochs: int
    batch_size: int
    accumulate: int
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
    lesion_map: float
    jit: bool
    checkpoint_minutes: float


def compile_for_training(
    model: keras.Model, recipe: Recipe, steps_per_epoch: int, negative: int | None = None
) -> keras.Model:
    """Return the model up to its logits, compiled with the recipe's optimiser and cross-entropy on the logits; its
    weights are its own (see `fused`).

    With `negative`, the class without a lesion, it has a second output, the lesion map, whose loss is added
    `lesion_map` times."""
    trainee = logits_of(model)
    loss: Any = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=recipe.label_smoothing)
    metrics: Any = ["accuracy"]
    weights = None
    if negative is not None:
        maps = model.get_layer(MAP).output
        trainee = keras.Model(model.input, {"logits": trainee.output, MAP: maps}, name=trainee.name)
        loss = {"logits": loss, MAP: map_loss(maps.shape[-1], negative, LESION_PIXELS)}
        weights, metrics = {"logits": 1.0, MAP: recipe.lesion_map}, {"logits": metrics}
    trainee = fused(trainee)
    trainee.compile(
        optimizer=optimizer_of(recipe, steps_per_epoch),
        loss=loss,
        loss_weights=weights,
        metrics=metrics,
        # JAX without its compiler is of no use.
        jit_compile=recipe.jit or keras.backend.backend() == "jax",
    )
    trainee.optimizer.build(trainee.trainable_variables)
    return trainee


def optimizer_of(recipe: Recipe, steps_per_epoch: int) -> Any:
    """Return Adam or AdamW with the recipe's schedule; it moves after every `accumulate` batches, by their mean."""
    rate: Any = recipe.learning_rate
    if recipe.schedule == "cosine":
        warmup = recipe.warmup_epochs * steps_per_epoch
        rate = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=0.0 if warmup else recipe.learning_rate,
            decay_steps=recipe.epochs * steps_per_epoch - warmup,
            warmup_target=recipe.learning_rate if warmup else None,
            warmup_steps=warmup,
        )
    accumulate = recipe.accumulate if recipe.accumulate > 1 else None
    if recipe.optimizer == "adam":
        return keras.optimizers.Adam(rate, gradient_accumulation_steps=accumulate)
    return keras.optimizers.AdamW(rate, recipe.weight_decay, gradient_accumulation_steps=accumulate)


def rules_of(trainee: keras.Model, recipe: Recipe) -> list[keras.callbacks.Callback]:
    """Return the rules that look at each epoch's validation loss: when to lower the rate, when to stop."""
    plateau = keras.callbacks.ReduceLROnPlateau(
        monitor="val_loss",
        factor=recipe.plateau_factor,
        patience=recipe.plateau_patience,
        min_lr=recipe.plateau_min_learning_rate,
    )
    stopping = keras.callbacks.EarlyStopping(monitor="val_loss", patience=recipe.early_stopping_patience)
    rules = [stopping] if recipe.schedule == "cosine" else [plateau, stopping]
    for rule in rules:
        rule.set_model(trainee)
        rule.on_train_begin()
    trainee.stop_training = False
    return rules
