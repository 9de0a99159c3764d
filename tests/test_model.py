"""The networks: the report's parameter counts, the flat graph, and a file that repeats bit by bit."""

import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
import scipy.special

from core.files import UserError
from core.network import model as networks


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


def test_saving_twice_in_two_processes_gives_the_same_bytes(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from core.network.model import build, save\n"
        "for _ in range(int(sys.argv[2])): model = build('compact_fine', 32, 4, 0.4, 0.9, 'none', None, 1)\n"
        "save(model, Path(sys.argv[1]), {'classes': ['a']})"
    )
    digests = set()
    for count in (1, 2):  # an earlier model in the process must not change the layers' names either
        file = tmp_path / f"{count}.keras"
        subprocess.run(
            [sys.executable, "-c", script, str(file), str(count)],
            check=True,
            cwd=Path(__file__).parent.parent / "stages",
        )
        digests.add(hashlib.sha256(file.read_bytes()).hexdigest())
    assert len(digests) == 1


def test_a_saved_model_opens_with_plain_keras_and_carries_its_card(tmp_path: Path, compact: keras.Model) -> None:
    file = tmp_path / "m.keras"
    networks.save(compact, file, {"classes": ["a", "b"], "image_size": 32})
    image = np.random.default_rng(0).integers(0, 255, (2, 32, 32, 1)).astype(np.float32)
    plain = keras.models.load_model(file, safe_mode=True)
    assert np.array_equal(plain.predict(image, verbose=0), compact.predict(image, verbose=0))
    loaded, card = networks.load(file)
    assert card == {"classes": ["a", "b"], "image_size": 32}
    logits = networks.logits_of(loaded).predict(image, verbose=0)
    assert np.allclose(scipy.special.softmax(logits, axis=-1), loaded.predict(image, verbose=0), atol=1e-6)


@pytest.mark.parametrize("content", [b"", b"no zip", None])
def test_a_broken_or_missing_model_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "m.keras"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UserError, match=r"m\.keras"):
        networks.load(file)


def test_a_truncated_model_is_named(tmp_path: Path, compact: keras.Model) -> None:
    file = tmp_path / "m.keras"
    networks.save(compact, file, {})
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(UserError, match=r"m\.keras: not a model"):
        networks.load(file)


def test_a_keras_file_without_a_card_is_refused(tmp_path: Path, compact: keras.Model) -> None:
    compact.save(tmp_path / "m.keras")
    with pytest.raises(UserError, match="not a model of this project"):
        networks.load(tmp_path / "m.keras")


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
    def offline(*_: object, **__: object) -> None:
        raise Exception("URL fetch failure on https://example: None -- no network")

    monkeypatch.setattr(keras.applications, "ResNet50", offline)
    with pytest.raises(UserError, match=r"model\.weights = imagenet: .* could not fetch them"):
        build("resnet50", weights="imagenet")
    with pytest.raises(UserError, match="none for the compact networks"):
        build("compact", weights="imagenet")


def test_no_date_and_no_address_stay_in_the_file(tmp_path: Path, compact: keras.Model) -> None:
    networks.save(compact, tmp_path / "m.keras", {})
    with zipfile.ZipFile(tmp_path / "m.keras") as file:
        assert {info.date_time for info in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert json.loads(file.read("metadata.json"))["date_saved"].startswith("1980")
