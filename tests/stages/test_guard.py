"""The stage guard on a tiny study: what it writes, and that it repeats."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from settings import network

from brain_mri.files import read_yaml, write_png
from brain_mri.images.dataset import Sample, write_samples
from brain_mri.network.saved import save
from brain_mri.prediction import novelty, other_pictures
from stages import guard as stage

ROOT = Path(__file__).parents[2]
CLASSES = ["glioma", "meningioma", "notumor", "pituitary"]


def make_study(folder: Path) -> None:
    """A study whose images are bright discs, with an untrained network."""
    params = read_yaml(ROOT / "params.yaml")
    params["model"]["image_size"] = 32
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    rng = np.random.default_rng(0)
    across, down = np.meshgrid(np.linspace(-1, 1, 64), np.linspace(-1, 1, 64))
    for name, count in (("train", 60), ("val", 40), ("test", 30), ("external", 0)):
        rows = []
        for index in range(count):
            disc = 180 * (np.hypot(across, down * rng.uniform(0.9, 1.1)) < rng.uniform(0.8, 0.95))
            image = np.clip(disc + rng.normal(20, 4, disc.shape), 0, 255).astype(np.uint8)
            path = f"{name}_{index}.png"
            write_png(folder / "data/cropped/images" / path, image)
            rows.append(Sample(path, CLASSES[index % 4], "", group="0"))
        write_samples(folder / f"data/split/{name}.csv", rows)
    for seed, pipeline in enumerate(("noaug", "aug")):
        model = network(seed=seed)
        save(model, folder / f"models/{pipeline}.keras", {"classes": CLASSES, "temperature": 1.0})


def test_detectors_and_their_rates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_study(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(stage, "set_up", lambda threads: None)  # possible once a process
    monkeypatch.setattr(stage, "EACH", 2)
    stage.main()
    written = {name: (tmp_path / name).read_bytes() for name in ("models/aug-guard.npz", "metrics/guard.json")}
    table = json.loads(written["metrics/guard.json"])
    for pipeline in ("noaug", "aug"):
        rates = table[pipeline]["false_alarms"]
        assert set(rates) == {"val", "test"}  # there is no external image
        assert rates["val"]["n"] == 40 and rates["val"]["rate"] <= 0.025
        hits = table[pipeline]["hits"]
        assert set(hits["measuring"]["kinds"]) == set(other_pictures.MEASURING)
        assert hits["measuring"]["n"] == 2 * len(other_pictures.MEASURING)
        assert hits["measuring"]["rate"] > 0.9
        assert novelty.load(f"models/{pipeline}-guard.npz").threshold > 0
    stage.main()
    assert all((tmp_path / name).read_bytes() == data for name, data in written.items())
