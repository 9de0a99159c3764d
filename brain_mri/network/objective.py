"""What training minimises, and by which steps: loss, optimiser, learning rate and the rules that change or end it."""

from typing import Any

import keras

from brain_mri import params
from brain_mri.network.batches import logits_of
from brain_mri.network.lesion import MAP, map_loss
from brain_mri.network.normalisation import fused

LESION_PIXELS = 2.0  # a lesion fills a twentieth of an image; counted twice, small ones are not given up


def compile_for_training(
    model: keras.Model, settings: params.Train, steps_per_epoch: int, negative: int | None = None
) -> keras.Model:
    """Return the model up to its logits, compiled with the study's optimiser and cross-entropy on the logits; its
    weights are its own (see `fused`).

    With `negative`, the class without a lesion, it has a second output, the lesion map, whose loss is added
    `lesion_map` times."""
    trainee = logits_of(model)
    loss: Any = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=settings.label_smoothing)
    metrics: Any = ["accuracy"]
    weights = None
    if negative is not None:
        maps = model.get_layer(MAP).output
        trainee = keras.Model(model.input, {"logits": trainee.output, MAP: maps}, name=trainee.name)
        loss = {"logits": loss, MAP: map_loss(maps.shape[-1], negative, LESION_PIXELS)}
        weights, metrics = {"logits": 1.0, MAP: settings.lesion_map}, {"logits": metrics}
    trainee = fused(trainee)
    trainee.compile(
        optimizer=optimizer_for(settings, steps_per_epoch),
        loss=loss,
        loss_weights=weights,
        metrics=metrics,
        # JAX without its compiler is of no use.
        jit_compile=settings.jit or keras.backend.backend() == "jax",
    )
    trainee.optimizer.build(trainee.trainable_variables)
    return trainee


def optimizer_for(settings: params.Train, steps_per_epoch: int) -> Any:
    """Return Adam or AdamW with the study's schedule; it moves after every `accumulate` batches, by their mean."""
    rate: Any = settings.learning_rate
    if settings.schedule == "cosine":
        warmup = settings.warmup_epochs * steps_per_epoch
        rate = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=0.0 if warmup else settings.learning_rate,
            decay_steps=settings.epochs * steps_per_epoch - warmup,
            warmup_target=settings.learning_rate if warmup else None,
            warmup_steps=warmup,
        )
    accumulate = settings.accumulate if settings.accumulate > 1 else None
    if settings.optimizer == "adam":
        return keras.optimizers.Adam(rate, gradient_accumulation_steps=accumulate)
    return keras.optimizers.AdamW(rate, settings.weight_decay, gradient_accumulation_steps=accumulate)


def rules_for(trainee: keras.Model, settings: params.Train) -> list[keras.callbacks.Callback]:
    """Return the rules that look at each epoch's validation loss: when to lower the rate, when to stop."""
    plateau = keras.callbacks.ReduceLROnPlateau(
        monitor="val_loss",
        factor=settings.plateau.factor,
        patience=settings.plateau.patience,
        min_lr=settings.plateau.min_learning_rate,
    )
    stopping = keras.callbacks.EarlyStopping(monitor="val_loss", patience=settings.early_stopping_patience)
    rules = [stopping] if settings.schedule == "cosine" else [plateau, stopping]
    for rule in rules:
        rule.set_model(trainee)
        rule.on_train_begin()
    trainee.stop_training = False
    return rules
