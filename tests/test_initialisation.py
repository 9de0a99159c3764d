"""Initial weights: one seed, one set of bytes, on every backend; spread as Keras's own."""

import hashlib

import keras
import numpy as np

from brain_mri.network.initialisation import draw_weights


def network() -> keras.Model:
    image = keras.layers.Input((16, 16, 3))
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(40, 5)(image))
    x = keras.layers.DepthwiseConv2D(3)(x)
    return keras.Model(image, keras.layers.Dense(300)(keras.layers.GlobalAveragePooling2D()(x)))


def drawn(seed: int) -> list[np.ndarray]:
    model = network()
    draw_weights(model, seed)
    return model.get_weights()


def test_a_seed_gives_the_same_bytes_on_every_backend() -> None:
    digest = hashlib.sha256(b"".join(value.tobytes() for value in drawn(1))).hexdigest()
    assert digest[:16] == "d47cc154e6376036"
    assert not np.array_equal(drawn(1)[0], drawn(2)[0])


def test_kernels_spread_as_keras_spreads_them_and_nothing_else_changes() -> None:
    keras.utils.set_random_seed(1)
    for ours, keras_own in zip(drawn(1), network().get_weights(), strict=True):
        if ours.ndim > 1:
            np.testing.assert_allclose(ours.std(), keras_own.std(), rtol=0.1)
            np.testing.assert_allclose(np.abs(ours).max(), np.abs(keras_own).max(), rtol=0.1)
        else:
            np.testing.assert_array_equal(ours, keras_own)
