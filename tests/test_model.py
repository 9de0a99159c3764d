"""The networks: the report's parameter counts, the flat graph, the weights they start from."""

import hashlib
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from brain_mri.errors import UserError
from brain_mri.network import model as networks


def build(
    network: str = "compact", size: int = 32, weights: str = "none", sha256: str | None = None, seed: int = 1
) -> keras.Model:
    return networks.build(network, size, 4, 0.4, 0.9, weights, sha256, seed)


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


def test_a_weights_file_gives_the_body_and_needs_its_digest(tmp_path: Path, compact: keras.Model) -> None:
    file = tmp_path / "body.weights.h5"
    compact.save_weights(file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    other = build(weights=str(file), sha256=digest, seed=9)
    stem = [m.get_layer("stem").get_weights()[0] for m in (compact, other)]
    assert np.array_equal(*stem)
    with pytest.raises(UserError, match="sha256"):
        build(weights=str(file), sha256="0" * 64)
    with pytest.raises(UserError, match="no such file"):
        build(weights=str(tmp_path / "gone.h5"), sha256=digest)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    x = keras.layers.Input((4,))
    keras.Model(x, keras.layers.Dense(2)(x)).save_weights(tmp_path / "other.weights.h5")
    digest = hashlib.sha256((tmp_path / "other.weights.h5").read_bytes()).hexdigest()
    with pytest.raises(UserError, match=r"other\.weights\.h5"):
        build(weights=str(tmp_path / "other.weights.h5"), sha256=digest)


def test_imagenet_weights_offline_end_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(weights: str | None, **how: Any) -> keras.Model:
        if weights:
            raise Exception("URL fetch failure on https://example: None -- no network")
        return untaught(weights=None, **how)

    untaught = keras.applications.ResNet50
    monkeypatch.setattr(keras.applications, "ResNet50", offline)
    with pytest.raises(UserError, match=r"model\.weights = imagenet: .* could not fetch them"):
        build("resnet50", weights="imagenet")


def test_imagenet_weights_reach_every_layer_of_resnet50(monkeypatch: pytest.MonkeyPatch) -> None:
    def drawn(weights: str | None, **how: Any) -> keras.Model:
        model = untaught(weights=None, **how)
        if weights:
            model.set_weights([np.full_like(values, 0.5) for values in model.get_weights()])
        return model

    untaught = keras.applications.ResNet50
    monkeypatch.setattr(keras.applications, "ResNet50", drawn)
    model = build("resnet50", 32, weights="imagenet")
    body = [weight for layer in model.layers if layer.name.startswith("conv") for weight in layer.weights]
    assert len(body) == 318 and all((weight == 0.5).all() for weight in map(keras.ops.convert_to_numpy, body))
