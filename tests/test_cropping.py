"""Prediction and training see the same pixels."""

from pathlib import Path

import crop as stage
import numpy as np
import published
import pytest
from pictures import encoded

from brain_mri.images.cropping import to_network
from brain_mri.images.dataset import Sample, load_images
from brain_mri.images.records import ImageRecord
from brain_mri.params import Crop, load_params
from brain_mri.phantoms.phantom import CLASSES, phantom
from brain_mri.prediction.inputs import read_crop

ROOT = Path(__file__).parent.parent
SETTINGS = load_params(ROOT / "params.yaml").crop


def by_training(files: dict[str, bytes], size: int, settings: Crop, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """What the stage crop writes, and the stage train reads."""
    for name, data in files.items():
        path = Path("data/raw", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    monkeypatch.setattr(stage, "describe", lambda grey: None)  # for the audit of copies alone, and slow
    own = Path("data/cropped")
    done = [stage.crop_one(ImageRecord(name, "a", ""), settings, own, Path("data/external")) for name in files]
    cropped = [result[0] for result in done if isinstance(result, tuple)]
    assert len(cropped) == len(files)
    samples = [Sample(result.record.path, "a", "", "", "", "", "0") for result in cropped]
    return load_images(samples, size)


def by_prediction(files: dict[str, bytes], size: int, settings: Crop) -> np.ndarray:
    return to_network(np.stack([read_crop(data, name, settings) for name, data in files.items()]), size)


@pytest.fixture(scope="module")
def phantoms() -> dict[str, bytes]:
    drawn = {f"phantom_{index}.png": phantom(CLASSES[index % 4], 11, index).image for index in range(20)}
    return {name: encoded(image) for name, image in drawn.items()}


@pytest.mark.parametrize("size", [96, 200])
def test_phantoms(size: int, phantoms: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    trained = by_training(phantoms, size, SETTINGS, monkeypatch)
    assert np.array_equal(trained, by_prediction(phantoms, size, SETTINGS))
    assert len({image.tobytes() for image in trained}) == 20


def test_other_settings_count(phantoms: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = SETTINGS.model_copy(update={"padding": 9, "size": 77, "interpolation": "linear"})
    other = by_prediction(phantoms, 64, settings)
    assert np.array_equal(by_training(phantoms, 64, settings, monkeypatch), other)
    assert not np.array_equal(other, by_prediction(phantoms, 64, SETTINGS))


def test_published_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {name: data for name, data in published.images(70).items() if name.endswith(".jpg")}
    assert len(files) >= 100
    monkeypatch.chdir(tmp_path)
    trained = by_training(files, 128, SETTINGS, monkeypatch)
    assert np.array_equal(trained, by_prediction(files, 128, SETTINGS))
