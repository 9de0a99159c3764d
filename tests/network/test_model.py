"""The networks: the paper's parameter counts, the flat graph, the weights they start from."""

import keras
import numpy as np
import pytest
from settings import network as build


@pytest.fixture(scope="module")
def resnet() -> keras.Model:
    return build("resnet50", 200)


@pytest.fixture(scope="module")
def compact() -> keras.Model:
    return build()


def test_resnet50_has_the_report_s_parameters(resnet: keras.Model) -> None:
    assert resnet.count_params() == 23_595_908
    assert sum(int(np.prod(v.shape)) for v in resnet.trainable_variables) == 23_542_788
    assert resnet.get_layer("dropout").rate == 0.4
    assert all(layer.trainable for layer in resnet.layers)


def test_resnet50_sees_200_by_200_by_3_scaled_to_one(resnet: keras.Model) -> None:
    seen = keras.Model(resnet.input, resnet.get_layer("grey_to_rgb").output)
    image = np.full((1, 200, 200, 1), 255, np.float32)
    assert seen.output.shape == (None, 200, 200, 3)
    assert np.allclose(seen.predict(image, verbose=0), 1)


def test_batch_norm_momentum_is_the_parameter_s(resnet: keras.Model, compact: keras.Model) -> None:
    for network in (resnet, compact):
        momenta = {layer.momentum for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)}
        assert momenta == {0.9}


def test_the_compact_networks_have_the_stated_parameters_and_last_maps(compact: keras.Model) -> None:
    assert round(compact.count_params(), -3) == 309_000
    assert compact.get_layer("block4_out").output.shape[1:3] == (4, 4)  # an eighth of 32
    fine = build("compact_fine")
    assert round(fine.count_params(), -3) == 180_000
    assert fine.get_layer("block4_out").output.shape[1:3] == (8, 8)


def test_the_fine_network_pools_the_root_of_the_mean_square() -> None:
    fine = build("compact_fine")
    image = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 1)).astype(np.float32)
    seen = keras.Model(fine.input, [fine.get_layer("block4_out").output, fine.get_layer("dropout").input])
    features, pooled = seen.predict(image, verbose=0)
    assert np.allclose(pooled, np.sqrt(np.mean(np.square(features), axis=(1, 2))), atol=2e-3)


def test_a_unit_of_the_fine_map_sees_39_pixels() -> None:
    fine = build("compact_fine", 96)
    seen = keras.Model(fine.input, fine.get_layer("block4_out").output)
    image = np.random.default_rng(0).uniform(0, 255, (96, 96, 1)).astype(np.float32)
    images = np.stack([image] * 97)
    images[np.arange(96), 48, np.arange(96)] += 100  # each but the last has another pixel changed
    units = seen.predict(images, batch_size=97, verbose=0)[:, 12, 12]
    changed = [not np.array_equal(unit, units[-1]) for unit in units[:-1]]
    assert np.ptp(np.flatnonzero(changed)) + 1 == 39


def test_the_graph_is_flat(resnet: keras.Model, compact: keras.Model) -> None:
    for network in (resnet, compact):
        assert not any(isinstance(layer, keras.Model) for layer in network.layers)


def test_the_same_seed_gives_the_same_weights(compact: keras.Model) -> None:
    for ours, again in zip(compact.get_weights(), build().get_weights(), strict=True):
        assert np.array_equal(ours, again)
    assert any(
        not np.array_equal(a, b) for a, b in zip(compact.get_weights(), build(seed=2).get_weights(), strict=True)
    )
