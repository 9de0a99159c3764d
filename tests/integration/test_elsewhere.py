"""A training done on a machine that has neither this repository nor DVC's cache nor TensorFlow, as
docs/several-machines.md says, and its results at home."""

import importlib.util
import shutil
import subprocess
from pathlib import Path

import pytest
from test_pipeline import ENVIRONMENT, call, changed_stages

from bench import tiny

with_jax = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed")
SENT = ("brain_mri", "stages", "params.yaml", "data/cropped", "data/split")
BROUGHT = ("models", "plots/history", "dvclive")


@with_jax
def test_a_training_elsewhere_becomes_the_stages_own(tmp_path: Path) -> None:
    home = tiny.clone(tmp_path / "home", {"train": {"epochs": 2, "batch_size": 8}})
    there = tmp_path / "there"
    call(home, "dvc", "repro", "split")
    for name in SENT:
        (there / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (home / name).is_dir() else shutil.copy
        copy(home / name, there / name)
    (there / "missing").mkdir()
    (there / "missing/tensorflow.py").write_text("raise ImportError('not on this machine')\n")

    environment = ENVIRONMENT | {"KERAS_BACKEND": "jax", "PYTHONPATH": f"{there}:{there / 'missing'}"}
    for pipeline in ("noaug", "aug"):
        subprocess.run(["python", "stages/train.py", pipeline], cwd=there, env=environment, check=True)
    for name in BROUGHT:
        shutil.copytree(there / name, home / name, dirs_exist_ok=True)
    trained = (home / "models/aug.keras").read_bytes()
    assert {"train_noaug", "train_aug"} <= changed_stages(home)

    call(home, "dvc", "commit", "-f", "train_noaug", "train_aug")
    assert not {"train_noaug", "train_aug"} & changed_stages(home)
    call(home, "dvc", "repro", "evaluate")
    assert (home / "models/aug.keras").read_bytes() == trained
    assert (home / "metrics/aug.json").is_file()
