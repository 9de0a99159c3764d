"""The lesion head: what the map is taught, and that the answer is the map's own at the likeliest places."""

import keras
import numpy as np
import pytest
from settings import network as build

from brain_mri.network.lesion import has_lesion_map, map_loss, tumour_log_odds

NEGATIVE = 2


@pytest.fixture(scope="module")
def network() -> keras.Model:
    return build("compact_lesion", standardise=True, negative=NEGATIVE)


def test_the_answer_is_pooled_where_a_tumour_is_likeliest(network: keras.Model) -> None:
    names = ["lesion_logits", "logits"]
    parts = keras.Model(network.input, [network.get_layer(name).output for name in names])
    images = np.random.default_rng(0).uniform(0, 255, (5, 32, 32, 1))
    maps, logits = (keras.ops.convert_to_numpy(part) for part in parts(images, training=False))
    assert maps.shape == (5, 8, 8, 4) and has_lesion_map(network)
    odds = np.logaddexp.reduce(maps[..., [0, 1, 3]], axis=-1) - maps[..., NEGATIVE]
    np.testing.assert_allclose(keras.ops.convert_to_numpy(tumour_log_odds(maps, NEGATIVE)), odds, rtol=1e-4, atol=1e-4)
    attention = np.exp(odds) / np.exp(odds).sum(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(logits, (attention[..., None] * maps).sum(axis=(1, 2)), rtol=1e-3, atol=1e-4)


def test_standardised_images_have_no_brightness(network: keras.Model) -> None:
    image = np.random.default_rng(1).uniform(40, 80, (1, 32, 32, 1))
    brighter = network.predict(image * 2 + 30, verbose=0)
    np.testing.assert_allclose(network.predict(image, verbose=0), brighter, atol=0.02)


def test_the_map_s_loss_by_hand() -> None:
    pixels = np.full((2, 4, 4), NEGATIVE, np.float32)
    pixels[0, :2, :2] = 1  # one of four places holds a lesion of class 1
    pixels[1] = -1  # an image that nobody outlined
    flat = np.zeros((2, 2, 2, 4), np.float32)
    loss = keras.ops.convert_to_numpy(map_loss(4, NEGATIVE, 3.0)(pixels, flat))
    np.testing.assert_allclose(loss, [np.log(4) * (3 + 1 + 1 + 1) / 4, 0], rtol=1e-6)

    right = np.full((2, 2, 2, 4), -50, np.float32)
    right[..., NEGATIVE] = 50
    right[0, 0, 0] = [-50, 50, -50, -50]
    np.testing.assert_allclose(keras.ops.convert_to_numpy(map_loss(4, NEGATIVE, 3.0)(pixels, right)), 0, atol=1e-6)


def test_a_place_half_covered_should_say_half() -> None:
    pixels = np.full((1, 2, 2), NEGATIVE, np.float32)
    pixels[0, 0] = 0
    loss = map_loss(4, NEGATIVE, 1.0)

    def at(share: float) -> float:
        shares = np.array([share, 1e-9, 1 - share, 1e-9])
        return float(loss(pixels, np.log(shares, dtype=np.float32).reshape(1, 1, 1, 4))[0])

    assert at(0.5) < min(at(0.45), at(0.55))
