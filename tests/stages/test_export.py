"""The ONNX files: Keras's answers, the same bytes, and enough in them to be used without this project."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import cv2
import keras
import numpy as np
import onnx
import onnxruntime
import pytest
import yaml
from settings import network as build

from brain_mri.errors import UserError
from brain_mri.files import read_yaml, write_png
from brain_mri.images.crop import crop, to_network
from brain_mri.images.dataset import Sample, write_samples
from brain_mri.network.saved import load, save
from brain_mri.params import load_params
from brain_mri.prediction.exporting import export
from brain_mri.prediction.onnx_network import Network
from brain_mri.prediction.outputs import predict_all, with_all_outputs
from stages import export as stage

ROOT = Path(__file__).parents[2]
CLASSES = ["glioma", "meningioma", "notumor", "pituitary"]
CARD = {
    "classes": CLASSES,
    "image_size": 32,
    "crop": read_yaml(ROOT / "params.yaml")["crop"],
    "temperature": 1.7,
}
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (5, 32, 32, 1), dtype=np.uint8)


def example(onnx_file: str, image_file: str) -> dict[str, float]:
    """What the README tells others to do, with nothing of this project."""
    network = onnxruntime.InferenceSession(onnx_file)
    card = {k: json.loads(v) for k, v in network.get_modelmeta().custom_metadata_map.items() if v[0] in "{[0123456789"}
    c, grey = card["crop"], cv2.imread(image_file, cv2.IMREAD_GRAYSCALE)
    if c["stretch"]:
        values = np.sort(grey, None)
        low, high = values[grey.size // 1000], values[-1 - grey.size // 1000]
        grey = np.uint8(np.rint(255 * np.clip((np.float64(grey) - low) / (float(high) - low), 0, 1)))
    head = cv2.threshold(cv2.GaussianBlur(grey, (c["blur"],) * 2, 0), c["threshold"], 255, cv2.THRESH_BINARY)[1]
    head = cv2.dilate(cv2.erode(head, np.ones((3, 3)), iterations=c["erode"]), np.ones((3, 3)), iterations=c["dilate"])
    xy = max(cv2.findContours(head, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0], key=cv2.contourArea)[:, 0]
    (left, top), (right, bottom) = np.maximum(xy.min(0) - c["padding"], 0), xy.max(0) + c["padding"]
    cropped = cv2.resize(grey[top:bottom, left:right], (c["size"],) * 2, interpolation=cv2.INTER_AREA)
    small = cv2.resize(cropped, (card["image_size"],) * 2, interpolation=cv2.INTER_AREA)
    (calibrated,) = network.run(["calibrated"], {"image": np.float32(small)[None, :, :, None]})
    return dict(zip(card["classes"], calibrated[0].tolist(), strict=True))


def test_the_example_gives_the_pipeline_s_answer(tmp_path: Path) -> None:
    down, across = np.mgrid[-1:1:120j, -1:1:100j]
    grey = np.uint8(30 + 150 * (np.hypot(across / 0.8, down / 0.7) < 1) + RNG.integers(0, 40, (120, 100)))
    write_png(tmp_path / "scan.png", grey)
    model = untrained("compact_fine")
    export(model, tmp_path / "network.onnx", CARD, "d")
    said = example(str(tmp_path / "network.onnx"), str(tmp_path / "scan.png"))
    settings = load_params(ROOT / "params.yaml").crop
    images = to_network(crop(grey, settings)[None], 32)
    expected = predict_all(with_all_outputs(model, 1.7), images)["calibrated"][0]
    assert list(said) == CLASSES
    assert np.allclose(list(said.values()), expected, atol=1e-5)


def untrained(network: str, **more: object) -> keras.Model:
    """A network with weights and statistics that differ from layer to layer."""
    model = build(network, seed=3, **more)
    rng = np.random.default_rng(1)
    model.set_weights([weight * rng.uniform(0.7, 1.3, weight.shape) for weight in model.get_weights()])
    return model


@pytest.mark.parametrize("mirrored", [False, True], ids=["", "mirrored"])
@pytest.mark.parametrize("network", ["compact", "compact_lesion"])
def test_answers_are_keras_s(network: str, mirrored: bool, tmp_path: Path) -> None:
    model = untrained(network, standardise=True, negative=2)
    export(model, tmp_path / "network.onnx", CARD, "d", mirrored)
    expected = predict_all(with_all_outputs(model, 1.7, mirrored), IMAGES)
    found = Network(tmp_path / "network.onnx", "d").run(IMAGES)
    assert found.keys() == expected.keys() >= {"calibrated", "probabilities", "logits", "inner_0", "inner_3"}
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=1e-4, err_msg=name)
    softened = np.exp(expected["logits"] / 1.7)
    np.testing.assert_allclose(found["calibrated"], softened / softened.sum(1, keepdims=True), atol=1e-5)


def test_a_network_with_two_answers(tmp_path: Path) -> None:
    single = untrained("compact")
    maps = keras.ops.image.resize(keras.ops.softmax(single.get_layer("block4_out").output) * 2, (16, 16))
    lesion = keras.layers.Activation("linear", name="lesion")(maps)
    model = keras.Model(single.input, [single.output, lesion], name="compact")
    export(model, tmp_path / "network.onnx", CARD, "d")
    found = Network(tmp_path / "network.onnx", "d").run(IMAGES)
    for name, values in zip(("probabilities", "lesion"), model.predict_on_batch(np.float32(IMAGES)), strict=True):
        np.testing.assert_allclose(found[name], values, atol=1e-4, err_msg=name)


def test_bytes_repeat_in_another_process_with_another_past(tmp_path: Path) -> None:
    save(untrained("compact"), tmp_path / "network.keras", CARD)
    code = """
import sys
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/tests"]
from settings import network
from brain_mri.network.saved import load
from brain_mri.prediction.exporting import export
for _ in range(int(sys.argv[3])):
    other = network("compact_fine", classes=3, seed=5)
    export(other, sys.argv[2] + "/other.onnx", {"temperature": 1.0}, "d")
model, card = load(sys.argv[2] + "/network.keras")
export(model, sys.argv[2] + f"/{sys.argv[3]}.onnx", card, "d")
"""
    for times in ("0", "1"):
        subprocess.run([sys.executable, "-c", code, str(ROOT), str(tmp_path), times], check=True)
    export(load(tmp_path / "network.keras")[0], tmp_path / "here.onnx", CARD, "d")
    files = {hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in ("0.onnx", "1.onnx", "here.onnx")}
    assert len(files) == 1


def test_the_file_describes_itself(tmp_path: Path) -> None:
    export(untrained("compact"), tmp_path / "network.onnx", CARD, "d")
    model = onnx.load(tmp_path / "network.onnx")
    onnx.checker.check_model(model, full_check=True)
    notes = {entry.key: entry.value for entry in model.metadata_props}
    assert {name: json.loads(notes[name]) for name in CARD} == CARD
    assert "crop.blur" in notes["how_to"] and notes["keras_sha256"] == "d"


def test_a_file_of_another_model_is_one_line(tmp_path: Path) -> None:
    export(untrained("compact"), tmp_path / "network.onnx", CARD, "d")
    with pytest.raises(UserError, match="made of another model"):
        Network(tmp_path / "network.onnx", "e")
    (tmp_path / "network.onnx").write_bytes(b"nothing")
    with pytest.raises(UserError, match="not an ONNX file of this project"):
        Network(tmp_path / "network.onnx", "d")


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    params = read_yaml(ROOT / "params.yaml")
    params["model"]["image_size"] = 32
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    for number, image in enumerate(IMAGES):
        write_png(tmp_path / f"data/cropped/images/{number}.png", image[..., 0])
    samples = [Sample(f"{number}.png", CLASSES[0], "", group="0") for number in range(len(IMAGES))]
    write_samples(tmp_path / "data/split/test.csv", samples)
    for pipeline in ("noaug", "aug"):
        save(untrained("compact"), tmp_path / f"models/{pipeline}.keras", CARD)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(stage, "set_up", lambda threads: None)  # possible once a process
    return tmp_path


def test_the_stage_compares_and_repeats(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stage.main()
    first = (study / "models/aug.onnx").read_bytes()
    assert "differ by at most" in capsys.readouterr().out
    stage.main()
    assert (study / "models/aug.onnx").read_bytes() == first


def test_a_difference_stops_the_stage(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = Network.run
    monkeypatch.setattr(Network, "run", lambda *given: {k: v + 2e-4 for k, v in right(*given).items()})
    with pytest.raises(UserError, match=r"noaug\.onnx: its answers differ"):
        stage.main()
    assert not (study / "models/noaug.onnx").exists()
