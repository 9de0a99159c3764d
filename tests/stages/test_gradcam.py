"""The stage `gradcam` on a handful of images: what it writes, and what odd test sets and bad input get."""

import json
import shutil
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
import yaml
from settings import network

from brain_mri.errors import UserError
from brain_mri.explanation import saliency, summary
from brain_mri.explanation.saliency import METHODS, Explainer
from brain_mri.explanation.summary import CONTROLS, without
from brain_mri.files import read_arrays, read_yaml
from brain_mri.images.dataset import Sample, write_samples
from brain_mri.network.saved import save
from brain_mri.params import PIPELINES, load_params
from stages import gradcam, predict

ROOT = Path(__file__).parents[2]
CLASSES = ["glioma", "meningioma", "notumor", "pituitary"]
OF_MODEL = without(METHODS, CONTROLS)
ARRAYS = {"cascade", "curves", "methods", "samples"}


def make_study(
    folder: Path, labels: list[str], lesions: list[bool], models: tuple[Path, Path], **options: object
) -> Path:
    """A study's folder with models and a test set of noise with a bright box, outlined where `lesions` says so."""
    params = read_yaml(ROOT / "params.yaml")
    params["model"]["image_size"], params["plots"]["dpi"], params["evaluate"]["resamples"] = 32, 40, 100
    params["gradcam"] |= {"images": 2, "samples_per_class": 2, **options}
    samples = []
    for sub in "images", "masks":
        (folder / "data/cropped" / sub).mkdir(parents=True)
    for index, (label, lesion) in enumerate(zip(labels, lesions, strict=True)):
        image = np.random.default_rng(index).integers(0, 120, (64, 64)).astype(np.uint8)
        mask = np.zeros((64, 64), np.uint8)
        mask[10 + index : 24 + 2 * index, 20:40] = 255
        name = f"{index}.png"
        cv2.imwrite(str(folder / "data/cropped/images" / name), np.maximum(image, mask))
        if lesion:
            cv2.imwrite(str(folder / "data/cropped/masks" / name), mask)
        samples.append(Sample(name, label, "Testing", mask=name if lesion else "", group=str(index)))
    for name, table in {"val": [], "test": samples, "external": []}.items():
        write_samples(folder / f"data/split/{name}.csv", table)
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    (folder / "models").mkdir()
    for pipeline, file in zip(PIPELINES, models, strict=True):
        shutil.copy(file, folder / f"models/{pipeline}.keras")
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    files = []
    for seed in 1, 2:
        files.append(tmp_path_factory.mktemp("models") / f"{seed}.keras")
        save(network(seed=seed), files[-1], {"classes": CLASSES, "temperature": 1.0})
    return files[0], files[1]


def run_stage(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict:
    monkeypatch.chdir(folder)
    for stage in (predict, gradcam):
        monkeypatch.setattr(stage, "set_up", lambda threads: None)  # possible once a process
    monkeypatch.setattr(summary, "STEPS", 2)
    monkeypatch.setattr(saliency, "IG_STEPS", 2)
    predict.main()
    gradcam.main()
    return json.loads((folder / "metrics/gradcam.json").read_text())


def is_plain(value: object) -> bool:
    """Whether no number was undefined where images were there."""
    if isinstance(value, dict):
        return all(entry is not None or not value.get("n") for entry in value.values()) and all(
            map(is_plain, value.values())
        )
    return value == value


def test_masks_missing_for_some_and_a_class_without_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, models: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    labels = ["glioma", "glioma", "glioma", "meningioma", "notumor"]
    lesions = [True, True, False, True, False]
    study = make_study(tmp_path / "one", labels, lesions, models, target="meningioma")
    table = run_stage(study, monkeypatch)
    assert is_plain(table)
    assert (table["test_images"], table["lesion_images"]) == (5, 3)
    assert (table["target"], table["tolerance"], table["threshold"]) == ("meningioma", 0, 0.5)
    for pipeline in PIPELINES:
        rows = table[pipeline]
        assert {method: rows[method]["pointing_game"]["n"] for method in METHODS} == dict.fromkeys(METHODS, 3) | {
            "integrated_gradients": 2
        }
        by_class, by_size = (rows["grad_cam"][f"pointing_game_by_{by}"] for by in ("class", "size"))
        assert [by_class[name]["n"] for name in CLASSES] == [2, 1, 0, 0]
        assert by_class["pituitary"] == {"n": 0, "value": None, "interval": None, "chance": None}
        assert [by_size[name]["n"] for name in ("small", "medium", "large")] == [1, 1, 1]
        assert by_size["small"]["pixels"][1] < by_size["medium"]["pixels"][0]
        assert set(rows["faithfulness"]) == {"n", *METHODS} and set(rows["stability"]) == {"n", *OF_MODEL}
        assert set(rows["sanity"]["verdicts"]) == set(OF_MODEL)
        assert len(rows["sanity"]["cascading"]["grad_cam"]["left"]) == len(rows["sanity"]["layers"]) == summary.STEPS
        assert {path.stem for path in (study / "data/maps" / pipeline).iterdir()} == ARRAYS
    printed = capsys.readouterr().out
    assert rows["sanity"]["verdicts"]["guided_backpropagation"]["sentence"] in printed
    assert table["agreement"]["gradient"]["ssim"]["n"] == 2
    shown = read_arrays(study / "data/maps/aug/samples.npz")
    assert shown["maps"].shape == (3, 4, 32, 32) and 0 <= shown["maps"].min() <= shown["maps"].max() <= 1
    assert shown["labels"].tolist() == [0, 0, 1, 2]
    assert shown["targets"].tolist() == [1] * 4

    again = make_study(tmp_path / "two", labels, lesions, models, target="meningioma")
    run_stage(again, monkeypatch)
    for file in ["metrics/gradcam.json", *(f"data/maps/noaug/{name}.npz" for name in ARRAYS)]:
        assert (study / file).read_bytes() == (again / file).read_bytes(), file


def test_one_image_and_no_mask_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, models: tuple[Path, Path]
) -> None:
    table = run_stage(make_study(tmp_path / "one", ["pituitary"], [False], models, target="actual"), monkeypatch)
    assert is_plain(table) and table["lesion_images"] == 0
    assert table["aug"]["grad_cam"]["pointing_game"] == {"n": 0, "value": None, "interval": None}
    assert table["aug"]["integrated_gradients"]["iou"]["n"] == 0
    assert table["chance"]["random"]["pointing_game"] is None
    assert table["aug"]["faithfulness"]["sobel"]["deletion"]["n"] == 1


@pytest.mark.parametrize(("layer", "words"), [("nosuch", "is not in the model"), ("logits", "has no spatial map")])
def test_a_layer_that_cannot_be_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, models: tuple[Path, Path], layer: str, words: str
) -> None:
    study = make_study(tmp_path / "one", ["glioma"], [True], models, layer=layer)
    with pytest.raises(UserError, match=f"{words}; those with a spatial map are .*block4_out"):
        run_stage(study, monkeypatch)
    assert not list((study / "data").glob("*maps*"))


def test_a_model_of_other_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, models: tuple[Path, Path]) -> None:
    study = make_study(tmp_path / "one", ["glioma"], [True], models)
    card = {"classes": ["cat", "dog"], "temperature": 1.0}
    save(network(classes=2), study / "models/aug.keras", card)
    shutil.copy(study / "models/aug.keras", study / "models/noaug.keras")
    with pytest.raises(UserError, match=r"cat.*train it again"):
        run_stage(study, monkeypatch)


def test_images_are_spread_evenly_over_classes() -> None:
    labels = np.tile([2, 0, 1], 40)
    chosen = summary.evenly(labels, labels != 2, 10)
    assert len(set(chosen)) == 10 and np.bincount(labels[chosen]).tolist() == [5, 5]
    assert summary.evenly(labels, labels > 5, 6).size == 6  # none outlined: of all
    assert sorted(summary.evenly(labels, labels == 1, 99)) == np.flatnonzero(labels == 1).tolist()


def test_signed_means_are_means() -> None:
    params = load_params(ROOT / "params.yaml")
    values = np.random.default_rng(0).uniform(-0.9, 0.5, 200)
    row = summary.signed_mean(values, np.arange(200), params)
    assert row["value"] == pytest.approx(values.mean())
    half = 1.96 * values.std(ddof=1) / np.sqrt(200)
    np.testing.assert_allclose(row["interval"], [values.mean() - half, values.mean() + half], atol=0.2 * half)
    assert summary.signed_mean(np.array([]), np.array([], int), params)["n"] == 0


def test_randomised_weights_compile_nothing_anew() -> None:
    """Each method's graph is traced once, not once a step."""
    calls = []

    class Counted(keras.layers.Layer):
        def call(self, inputs: object) -> object:
            calls.append(1)
            return inputs

    image = keras.Input((32, 32, 1), name="image")
    x = keras.layers.ReLU()(keras.layers.Conv2D(4, 3, name="conv")(Counted()(image)))
    x = keras.layers.Dense(4, name="logits")(keras.layers.GlobalAveragePooling2D()(x))
    explainer = Explainer(keras.Model(image, keras.layers.Softmax(name="probabilities")(x)))
    images, ints = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 1)).astype(np.uint8), np.arange(2)
    cases = summary.Cases(images, np.zeros((2, 32, 32), bool), ints, ints, ints)
    params = load_params(ROOT / "params.yaml")
    learned = explainer.explain(images, ints, METHODS, 2)
    before = len(calls)
    table = summary.randomise(explainer, learned, cases, params, "test")
    assert len(calls) == before
    assert table["layers"] == ["logits", "conv"]
