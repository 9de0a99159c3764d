from pathlib import Path

import pytest
import yaml

from brain_mri.errors import UserError
from brain_mri.files import read_yaml
from brain_mri.images.dataset import ImageRecord, write_records
from stages import split as stage

ROOT = Path(__file__).parents[2]


def test_a_class_renamed_between_the_stages_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`dvc repro -s split` after a class was renamed or taken away: the tables are of other classes."""
    monkeypatch.chdir(tmp_path)
    params = read_yaml(ROOT / "params.yaml")
    params["dataset"]["classes"][0] = "Glioma"
    Path("params.yaml").write_text(yaml.safe_dump(params))
    write_records("data/cropped.csv", [ImageRecord("Training/glioma/a.png", "glioma", "Training")])
    with pytest.raises(UserError, match=r"label 'glioma' is none of Glioma, .*`dvc repro`"):
        stage.main()
