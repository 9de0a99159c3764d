"""The stage `probe` on studies by hand, and a shortcut planted into phantoms that it must find."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
import yaml

from brain_mri.files import read_arrays, read_yaml, write_png
from brain_mri.images.crop import cut, find_head, resize, resize_mask
from brain_mri.images.dataset import Sample, write_samples
from brain_mri.network.batches import predict_logits
from brain_mri.params import load_params
from brain_mri.phantoms.phantom import phantom
from brain_mri.probing import probes, shortcuts
from brain_mri.statistics.intervals import mean_intervals
from stages import probe

ROOT = Path(__file__).parents[2]
SIDE = 64
CLASSES = ["glioma", "notumor"]


def head(lesion: int, bottom: float = 0) -> np.ndarray:
    """A grey head; with a lesion of that brightness on the right and a mark in the image's corner, unless it is 0."""
    image = np.zeros((SIDE, SIDE), np.uint8)
    cv2.circle(image, (32, 32), 28, 100, -1)
    image[50:56, 20:44] = bottom
    if lesion:
        cv2.circle(image, (46, 30), 6, lesion, -1)
        image[:6, :6] = 160
    return image


def lesion_mask() -> np.ndarray:
    return cv2.circle(np.zeros((SIDE, SIDE), np.uint8), (46, 30), 6, 255, -1)


def by_hand(crop: int, bias: float) -> keras.Model:
    """Calls it a glioma where the brightest pixel, from 0 to 1, of the upper left `crop` pixels is above `-bias`."""
    x = image = keras.Input((SIDE, SIDE, 1), name="image")
    x = keras.layers.Rescaling(1 / 255)(keras.layers.Cropping2D(((0, SIDE - crop), (0, SIDE - crop)))(x))
    x = keras.layers.Dense(2, name="logits")(keras.layers.GlobalMaxPooling2D()(x))
    model = keras.Model(image, keras.layers.Softmax(name="probabilities")(x))
    model.get_layer("logits").set_weights([np.float32([[9, 0]]), np.float32([9 * bias, 0])])
    return model


MODELS = {"noaug": (SIDE, -0.9), "aug": (6, -0.3)}  # one sees bright lesions, the other the mark


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict]:
    """Make a study, run the stage on it, and return its metrics."""

    def make(own: list[tuple[str, str]], outside: int = 0, negative: str | None = "notumor") -> dict:
        """own: label and name of the mask ("" for none) of each test image; outside: external gliomas."""
        params = read_yaml(ROOT / "params.yaml")
        params["dataset"] |= {"classes": CLASSES, "negative": negative}
        params["model"]["image_size"] = SIDE
        params["evaluate"]["resamples"] = 200
        params["plots"]["dpi"] = 40
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(probe, "set_up", lambda threads: None)
        monkeypatch.setattr(probe, "load_for", lambda classes, path: (by_hand(*MODELS[Path(path).stem]), {}))
        samples = [
            Sample(f"{place}.png", label, "Testing", source="here", mask=mask, group=str(place))
            for place, (label, mask) in enumerate(own)
        ]
        there = [Sample(f"{i}.png", "glioma", "External", source="there", group=str(100 + i)) for i in range(outside)]
        write_samples("data/split/test.csv", samples)
        write_samples("data/split/external.csv", there)
        for place, sample in enumerate(samples):
            write_png(f"data/cropped/images/{sample.path}", head(250 if sample.label == "glioma" else 0, place))
        for place, sample in enumerate(there):
            write_png(f"data/external/images/{sample.path}", head(240, place))
        write_png("data/cropped/masks/one.png", lesion_mask())
        write_png("data/cropped/masks/empty.png", 0 * lesion_mask())
        probe.main()
        text = (tmp_path / "metrics/probe.json").read_text()
        assert "NaN" not in text
        return json.loads(text)

    return make


def test_a_classifier_that_sees_the_lesion_and_one_that_sees_a_mark(study: Callable[..., dict]) -> None:
    found = study([("glioma", "one.png"), ("notumor", "")] * 8 + [("glioma", ""), ("glioma", "empty.png")], outside=6)
    assert (found["lesion_images"], found["robustness_images"]) == (8, 18)
    kept = {
        pipeline: {name: row["kept"]["value"] for name, row in found[pipeline]["probes"].items()}
        for pipeline in probe.PIPELINES
    }
    assert kept["noaug"] == {"inpainted": 0, "mirrored": 0, "box_only": 1, "border_only": 0, "histogram_only": 1}
    assert {kept["aug"][name] for name in ("inpainted", "mirrored", "border_only")} == {1}
    assert kept["aug"]["box_only"] == 0
    moved = {pipeline: found[pipeline]["transplant"] for pipeline in probe.PIPELINES}
    assert [(row["n"], row["lesion"]["value"], row["sham"]["value"]) for row in moved.values()] == [
        (8, 1, 0),
        (8, 0, 0),
    ]
    assert found["noaug"]["verdict"].startswith("noaug sees the tumour: with the lesion inpainted, 0 %")
    assert found["aug"]["verdict"].startswith("aug does not need the tumour")
    source = found["noaug"]["source"]["glioma"]
    assert (source["n"], source["images"], source["chance"]) == (16, {"here": 10, "there": 6}, 0.5)
    assert source["balanced_accuracy"] == 1  # the two sources' lesions differ in brightness
    curves = found["aug"]["robustness"]
    assert curves["n"] == 18
    assert curves["clean"]["value"] == 1
    assert curves["contrast"]["1"]["value"] >= curves["contrast"]["3"]["value"]
    shown = read_arrays("data/probed/examples.npz")
    assert shown["probes"].tolist()[:2] == ["original", "inpainted"] and "sham" in shown["probes"]
    assert shown["images"].shape == (1, 8, SIDE, SIDE) and shown["masks"].sum() == (lesion_mask() > 0).sum()
    assert shown["calls"][0, :2].tolist() == [["glioma", "glioma"], ["notumor", "glioma"]]
    table = Path("plots/robustness.csv").read_text().splitlines()
    assert table[0] == "strength,noaug,aug"
    assert table[1] == "0,1.000000,1.000000"
    assert float(table[3].split(",")[2]) == pytest.approx(curves["mean"]["2"]["value"], abs=1e-6)


@pytest.mark.parametrize("own", [[("notumor", "")], [("glioma", "")], [("glioma", "one.png")]], ids=str)
def test_one_image(study: Callable[..., dict], own: list[tuple[str, str]]) -> None:
    found = study(own)["noaug"]
    assert found["robustness"]["clean"]["value"] == 1
    assert found["transplant"]["n"] == 0
    assert "two known sources" in found["source"]["reason"]
    if own[0][1]:
        assert found["probes"]["inpainted"]["n"] == 1
        assert "too few images to tell" in found["verdict"]
    else:
        assert found["probes"]["inpainted"]["reason"] == found["transplant"]["reason"] == probe.NO_LESION
        assert found["verdict"] == f"Whether noaug sees the tumour cannot be told: {probe.NO_LESION}."


def test_without_a_negative_class(study: Callable[..., dict]) -> None:
    found = study([("glioma", "one.png"), ("notumor", "")] * 6, negative=None)["noaug"]
    assert found["probes"]["inpainted"]["kept"]["value"] == 0
    assert "called_negative" not in found["probes"]["inpainted"]
    assert found["transplant"]["n"] == 0
    assert "dataset.negative" in found["transplant"]["reason"]
    assert found["verdict"].startswith("noaug sees the tumour")


@pytest.mark.parametrize(("limit", "expected"), [(3, [0, 3, 6]), (10, list(range(10))), (99, list(range(10)))])
def test_places_are_spread_evenly(limit: int, expected: list[int]) -> None:
    assert probe.spread(np.arange(10), limit).tolist() == expected
    assert probe.spread(np.arange(0), limit).tolist() == []


@pytest.mark.parametrize(
    ("kept", "of", "word"),
    [(0, 1, "open"), (0, 40, "sees"), (16, 40, "partly"), (20, 40, "ignores"), (40, 40, "ignores")],
)
def test_judgement_by_count(kept: int, of: int, word: str) -> None:
    rate = mean_intervals({"kept": np.arange(of) < kept}, np.arange(of), 500)["kept"]
    assert shortcuts.judge(rate) == word


SMALL = 48
TUMOURS = {0: "meningioma", 2: "pituitary"}  # class 1: no tumour


def phantoms(label: str, first: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Heads with a lesion, the same heads without, and the masks, cropped and at 48 pixels."""
    rows = []
    for index in range(first, first + count):
        drawn = phantom(label, 5, index)
        box = find_head(drawn.lesion_free, load_params(ROOT / "params.yaml").crop).box
        both = [resize(cut(image, box), SMALL) for image in (drawn.image, drawn.lesion_free)]
        rows.append((*both, resize_mask(cut(drawn.mask, box), SMALL) > 0))
    ill, healthy, masks = (np.stack(part) for part in zip(*rows, strict=True))
    return ill, healthy, masks


def train(images: np.ndarray, labels: np.ndarray) -> keras.Model:
    keras.utils.set_random_seed(0)
    x = image = keras.Input((SMALL, SMALL, 1), name="image")
    x = keras.layers.Rescaling(1 / 255)(x)
    for filters, stride in (12, 2), (24, 1), (24, 1):
        x = keras.layers.Conv2D(filters, 3, strides=stride, padding="same")(x)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.8)(x))
    x = keras.layers.Dense(3, name="logits")(keras.layers.GlobalMaxPooling2D()(x))
    model = keras.Model(image, keras.layers.Softmax(name="probabilities")(x))
    model.compile(keras.optimizers.Adam(0.005), "sparse_categorical_crossentropy", jit_compile=False)
    model.fit(images[..., None].astype(np.float32), labels, batch_size=16, epochs=20, verbose=0)
    return model


def test_a_planted_shortcut_is_found() -> None:
    """Meningiomas with a chequered corner: the classifier does not need their lesion, but that of the others; the same
    network trained without marks needs both."""
    drawn = {label: phantoms(name, 1000 * label, 64) for label, name in TUMOURS.items()}
    chequered = np.where(np.add.outer(np.arange(6), np.arange(6)) // 2 % 2, 255, 60)
    verdicts = {}
    for marked in (False, True):
        parts: dict[str, list] = {"images": [], "labels": [], "masks": []}
        for label, (ill, healthy, masks) in drawn.items():
            if marked and label == 0:
                ill = ill.copy()
                ill[:, 1:7, 1:7] = chequered
            for images, true, mask in (ill, label, masks), (healthy, 1, 0 * masks):
                parts["images"].append(images)
                parts["labels"].append(np.full(len(images), true))
                parts["masks"].append(mask)
        images, labels, masks = (np.concatenate(part) for part in parts.values())
        training = np.arange(len(images)) % 64 < 40
        model = train(images[training], labels[training])
        asked = ~training & masks.any((1, 2))
        images, labels, masks = images[asked], labels[asked], masks[asked].astype(bool)
        before, after = (
            predict_logits(model, shown[..., None], 64).argmax(1)
            for shown in (images, probes.cover_by_inpainting(images, masks))
        )
        groups = np.arange(len(images))
        rates = {
            name: shortcuts.probe_rates(labels[at], before[at], after[at], groups[at], 1, False)
            for name, at in [("all", labels >= 0)] + [(name, labels == label) for label, name in TUMOURS.items()]
        }
        covered = {**rates["all"], "by_class": {name: rates[name] for name in TUMOURS.values()}}
        verdicts[marked] = shortcuts.verdict("it", covered, {"n": 0}, "notumor")
        low, high = rates["meningioma"]["kept"]["interval"]
        assert (low > 0.6) if marked else (high < 0.5), (marked, rates["meningioma"])
        assert rates["pituitary"]["kept"]["interval"][1] < 0.5
        assert rates["pituitary"]["n"] >= 8
        assert rates["meningioma"]["n"] >= 8
    assert verdicts[False].startswith("it sees the tumour")
    assert "does not need" not in verdicts[False]
    assert "does not need the tumour" in verdicts[True]
    assert "pituitary it sees the tumour" in verdicts[True] or "meningioma it does not need" in verdicts[True]
