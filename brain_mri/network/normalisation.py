"""Batch normalisation as the backend's own kernel does it, for training.

Keras composes the layer of a dozen operations, each of which reads and writes all features; TensorFlow has one kernel
for it (Ioffe & Szegedy 2015, algorithm 1). The rest of a step is mostly convolutions, so this is a fifth to
a third of its time (`python -m bench.speed step`). JAX's compiler fuses the operations by itself.
"""

from typing import Any

import keras
from keras import layers, ops


def fused(model: keras.Model) -> keras.Model:
    """Return a copy of the model, weights included, in which each batch normalisation is one kernel, on TensorFlow; the
    model itself elsewhere. Layers keep their names."""
    if keras.backend.backend() != "tensorflow":
        return model

    def copied(layer: layers.Layer) -> layers.Layer:
        kind = FusedBatchNormalization if type(layer) is layers.BatchNormalization else type(layer)
        return kind.from_config(layer.get_config())

    copy = keras.models.clone_model(model, clone_function=copied)
    give_weights(model, copy)
    return copy


def give_weights(source: keras.Model, target: keras.Model) -> None:
    """Give the layers of `target` the weights that the layers of the same names have in `source`."""
    if source is target:
        return
    for layer in source.layers:
        if layer.weights:
            target.get_layer(layer.name).set_weights(layer.get_weights())


class FusedBatchNormalization(layers.BatchNormalization):
    """Keras's layer over the last axis of features (N, H, W, C); in training computed by one kernel, the same values to
    rounding. In files it must not appear: who opens a model has Keras alone."""

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if not (training and self.trainable):
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        scale, offset = tf.convert_to_tensor(self.gamma), tf.convert_to_tensor(self.beta)
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs, scale=scale, offset=offset, mean=[], variance=[], epsilon=self.epsilon
        )
        # The kernel estimates the variance of all images; Keras keeps that of the batch, so that backends agree.
        count = ops.cast(ops.size(inputs) / inputs.shape[-1], variance.dtype)
        for moving, now in ((self.moving_mean, mean), (self.moving_variance, variance * (count - 1) / count)):
            moving.assign(moving * self.momentum + now * (1 - self.momentum))
        return outputs
