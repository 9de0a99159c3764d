"""A study that has been run, small enough for a test."""

from pathlib import Path

import numpy as np
import yaml
from pictures import encoded
from settings import network

from brain_mri.files import read_yaml, write_json
from brain_mri.images.crop import to_network
from brain_mri.network.saved import save
from brain_mri.params import load_params
from brain_mri.prediction import novelty
from brain_mri.prediction.inputs import read_crop
from brain_mri.prediction.outputs import predict_batches, with_all_outputs

ROOT = Path(__file__).parent.parent
CLASSES = ["glioma", "meningioma", "notumor", "pituitary"]
SIZE = 32


def disc(seed: int, side: int = 80) -> np.ndarray:
    """A bright disc with noise, uint8 (side, side): what the tiny study takes for a head."""
    rng = np.random.default_rng(seed)
    across, down = np.meshgrid(np.linspace(-1, 1, side), np.linspace(-1, 1, side))
    head = 170 * (np.hypot(across, down * rng.uniform(0.9, 1.1)) < rng.uniform(0.7, 0.95))
    return np.clip(head + rng.normal(25, 6, head.shape), 0, 255).astype(np.uint8)


def tiny_study(folder: Path, named: str = "compact") -> Path:
    """Write a study with a tiny untrained network, a guard that knows discs, and a threshold of confidence."""
    params = read_yaml(ROOT / "params.yaml")
    params["model"]["image_size"], params["plots"]["dpi"] = SIZE, 40
    params["model"]["network"] = named
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    model = network(named, size=SIZE, seed=3)
    card = {"classes": CLASSES, "image_size": SIZE, "crop": params["crop"], "temperature": 0.05}
    save(model, folder / f"models/{params['pipeline']}.keras", card)
    settings = load_params(folder / "params.yaml").crop
    crops = np.stack([read_crop(encoded(disc(seed)), "disc.png", settings) for seed in range(100, 400)])
    outputs = predict_batches(with_all_outputs(model, 1.0), to_network(crops, SIZE))
    described = np.concatenate([novelty.describe(*batch) for batch in outputs])
    novelty.fit(described[:60], described[60:], 0.0).save(folder / f"models/{params['pipeline']}-guard.npz")
    write_json(folder / f"metrics/{params['pipeline']}.json", {"selective": {"threshold": 0.4}})
    return folder
