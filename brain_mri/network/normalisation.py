"""Batch normalisation as the backend's own kernel does it, for training.

Keras composes the layer of a dozen operations, each of which reads and writes all features; TensorFlow and PyTorch have
one kernel for it (Ioffe & Szegedy 2015, algorithm 1). The rest of a step is mostly convolutions, so this is a fifth to
a third of its time (`python bench/table.py step`). JAX's compiler fuses the operations by itself.
"""

from typing import Any

import keras
from keras import layers, ops


def fused(model: keras.Model) -> keras.Model:
    """Return a copy of the model, weights included, in which each batch normalisation is one kernel where the backend
    has one; the model itself where not. Layers keep their names."""
    if keras.backend.backend() not in KERNELS:
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
        outputs, mean, variance = KERNELS[keras.backend.backend()](inputs, self.gamma, self.beta, self.epsilon)
        # Kernels estimate the variance of all images; Keras keeps that of the batch, so that backends agree.
        count = ops.cast(ops.size(inputs) / inputs.shape[-1], variance.dtype)
        for moving, now in ((self.moving_mean, mean), (self.moving_variance, variance * (count - 1) / count)):
            moving.assign(moving * self.momentum + now * (1 - self.momentum))
        return outputs


def _tensorflow(x: Any, gamma: Any, beta: Any, epsilon: float) -> tuple[Any, Any, Any]:
    import tensorflow as tf

    scale, offset = tf.convert_to_tensor(gamma), tf.convert_to_tensor(beta)
    kernel = tf.raw_ops.FusedBatchNormV3(x=x, scale=scale, offset=offset, mean=[], variance=[], epsilon=epsilon)
    return kernel.y, kernel.batch_mean, kernel.batch_variance


def _torch(x: Any, gamma: Any, beta: Any, epsilon: float) -> tuple[Any, Any, Any]:
    import torch

    mean, variance = torch.zeros_like(gamma.value), torch.zeros_like(gamma.value)
    channels_first = x.permute(0, 3, 1, 2)  # how Keras lays out what a convolution returns: nothing is copied
    y = torch.nn.functional.batch_norm(
        channels_first, mean, variance, gamma.value, beta.value, training=True, momentum=1.0, eps=epsilon
    )
    return y.permute(0, 2, 3, 1), mean, variance


KERNELS = {"tensorflow": _tensorflow, "torch": _torch}
