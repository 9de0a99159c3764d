from pathlib import Path

import pytest
import yaml

from brain_mri import results
from brain_mri.errors import UserError
from brain_mri.files import read_yaml
from brain_mri.images.dataset import ImageRecord, read_samples, write_records
from brain_mri.params import load_params
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


STUDIES = [path.parent for path in ROOT.glob("studies/*/params.yaml") if load_params(path).split.patients]


@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.name)
def test_no_patient_and_no_group_stands_on_two_sides(study: Path) -> None:
    """The real tables of each study whose split is by patient."""
    if not (study / "data/split/test.csv").is_file():
        pytest.skip(f"studies/{study.name} has not been run or pulled here")
    tables = {name: read_samples(study / f"data/split/{name}.csv") for name in ("train", "val", "test")}
    for held_out, seen in (("test", ("train", "val")), ("val", ("train",))):
        for key in ("patient", "family", "group"):
            known = {getattr(sample, key) for name in seen for sample in tables[name]} - {""}
            assert not [sample.path for sample in tables[held_out] if getattr(sample, key) in known]


@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.name)
def test_committed_splits_by_patient_share_none(study: Path) -> None:
    file = study / "metrics/split.json"
    if not file.is_file():
        pytest.skip(f"studies/{study.name} has no committed results")
    patients = results.read(file, results.Split).audit.patients
    if patients is None:
        pytest.skip(f"studies/{study.name} was last run before patients were counted")
    for name in ("val", "test"):
        assert patients[name].patient_known > 0  # type: ignore[index]
        assert patients[name].patient_in_training == 0  # type: ignore[index]
