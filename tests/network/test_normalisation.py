"""Batch normalisation by one kernel: Keras's own values, its weights, and no trace in a model's file."""

from pathlib import Path

import keras
import numpy as np
import pytest

from brain_mri.network.normalisation import FusedBatchNormalization, fused, give_weights

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="JAX fuses the operations by itself")


def network() -> keras.Model:
    image = keras.layers.Input((6, 5, 3), name="image")
    x = keras.layers.Conv2D(4, 3, name="conv")(image)
    x = keras.layers.BatchNormalization(momentum=0.7, epsilon=1e-3, name="conv_bn")(x)
    return keras.Model(image, keras.ops.mean(keras.ops.square(x), axis=(1, 2)))


def trained(model: keras.Model, batches: list[np.ndarray]) -> list[np.ndarray]:
    model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=False)
    for images in batches:
        model.train_on_batch(images, np.zeros((len(images), 4)))
    return model.get_weights()


def test_trains_as_keras_does() -> None:
    rng = np.random.default_rng(0)
    batches = [rng.normal(3, 5, (size, 6, 5, 3)).astype(np.float32) for size in (8, 8, 3)]
    own = network()
    copy = fused(own)
    assert isinstance(copy.get_layer("conv_bn"), FusedBatchNormalization)
    np.testing.assert_array_equal(copy.predict(batches[0], verbose=0), own.predict(batches[0], verbose=0))
    for ours, keras_own in zip(trained(copy, batches), trained(own, batches), strict=True):
        np.testing.assert_allclose(ours, keras_own, rtol=2e-4, atol=1e-6)


def test_frozen_it_uses_the_moving_statistics() -> None:
    layer = fused(network()).get_layer("conv_bn")
    features = np.random.default_rng(0).normal(3, 5, (2, 4, 3, 4)).astype(np.float32)
    layer.trainable = False
    np.testing.assert_array_equal(layer(features, training=True), layer(features, training=False))
    np.testing.assert_array_equal(layer.moving_mean, np.zeros(4))


def test_half_precision_keeps_its_weights_and_statistics_in_full() -> None:
    layer = FusedBatchNormalization(dtype="mixed_bfloat16", momentum=0.0)
    features = np.random.default_rng(0).normal(3, 5, (4, 8, 8, 4)).astype(np.float32)
    out = layer(features, training=True)
    assert keras.backend.standardize_dtype(out.dtype) == "bfloat16"
    assert {weight.dtype for weight in layer.weights} == {"float32"}
    np.testing.assert_allclose(layer.moving_mean, features.mean((0, 1, 2)), rtol=0.01)
    np.testing.assert_allclose(layer.moving_variance, features.var((0, 1, 2)), rtol=0.01)


def test_a_file_of_what_it_taught_holds_keras_layers_alone(tmp_path: Path) -> None:
    own = network()
    copy = fused(own)
    trained(copy, [np.random.default_rng(0).normal(3, 5, (8, 6, 5, 3)).astype(np.float32)])
    give_weights(copy, own)
    own.save(tmp_path / "model.keras")
    opened = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    assert type(opened.get_layer("conv_bn")) is keras.layers.BatchNormalization
    for ours, in_file in zip(copy.get_weights(), opened.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, in_file)
