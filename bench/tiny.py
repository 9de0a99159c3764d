"""The project in a folder of its own, as it stands in the working tree, with a tiny default study and no results."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from brain_mri.files import read_yaml

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ("dvc.lock", "metrics/", "plots/", "dvclive/")
TINY = {
    "dataset": {"training_per_class": 10, "testing_per_class": 4},
    "model": {"image_size": 32},
    "train": {"warmup_epochs": 1},
    "probe": {"images": 4},
    "gradcam": {"images": 2},
    "plots": {"dpi": 40},
}
COMMIT = ("-c", "user.name=test", "-c", "user.email=test@example.org", "commit", "-qm")


def clone(folder: Path, changes: dict[str, Any]) -> Path:
    """Copy what git tracks or would track into the folder, make its default study tiny, with these changes, commit."""
    listed = ["git", "ls-files", "-co", "--exclude-standard", "-z"]
    for name in subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0"):
        if name and (ROOT / name).is_file() and not name.startswith(RESULTS):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    change(folder, TINY)
    change(folder, changes)
    for words in (("init", "-q"), ("add", "-A"), (*COMMIT, "tiny")):
        subprocess.run(["git", *words], cwd=folder, check=True)  # dvclive asks for a commit
    return folder


def change(study: Path, values: dict[str, Any]) -> None:
    """Change keys of the study's params.yaml; of a section, those that are named."""
    file = study / "params.yaml"
    params = read_yaml(file)
    for section, keys in values.items():
        params[section] = {**params[section], **keys} if isinstance(keys, dict) else keys
    YAML(typ="safe").dump(params, file)
