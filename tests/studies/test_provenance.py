"""Which commit a study's results belong to, and what has changed since."""

import shutil
from datetime import date
from pathlib import Path

import pytest
from toy import call, commit, edit, make_study

from brain_mri.errors import UserError
from brain_mri.studies import provenance

STAGES = ["fetch", "train", "evaluate"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the toy study at its root and in studies/other, whose `train` depends on a folder too."""
    folder = make_study(tmp_path_factory.mktemp("toy") / "study")
    (folder / "brain_mri/network").mkdir(parents=True)
    (folder / "brain_mri/network/model.py").write_text("layers = 1\n")
    edit(folder / "dvc.yaml", 'toy.py", data/raw]', 'toy.py", "${code}/brain_mri/network", data/raw]')
    other = folder / "studies/other"
    other.mkdir(parents=True)
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(folder / name, other / name)
    edit(other / "params.yaml", "code: .", "code: ../..")
    call(folder, "dvc", "repro", "-q", "dvc.yaml", "studies/other/dvc.yaml")
    commit(folder, "results")
    return folder


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "study", symlinks=True))


@pytest.mark.parametrize("place", [".", "studies/other"])
def test_results_belong_to_the_commit_that_wrote_the_lock(root: Path, place: str) -> None:
    written = call(root, "git", "rev-parse", "--short", "HEAD").strip()
    (root / "note.txt").touch()
    commit(root, "a later commit")
    found = provenance.of(root / place)
    assert (found.commit, found.changed_code, found.changed_params) == (written, [], [])
    assert abs((date.fromisoformat(str(found.date)) - date.today()).days) <= 1


@pytest.mark.parametrize("place", [".", "studies/other"])
@pytest.mark.parametrize(
    ("file", "old", "new", "stages"),
    [
        ("brain_mri/network/model.py", "1", "2", ["train"]),
        ("stages/toy.py", "import csv", "import re, csv", STAGES),
        ("PLACE/dvc.lock", "path: CODE/stages/toy.py", "path: CODE/stages/core/toy.py", ["fetch"]),
        ("PLACE/dvc.lock", "  train:", "  earlier_name:", ["train"]),
        ("PLACE/params.yaml", "seed: 7", "seed: 8", []),
    ],
    ids=["a file of a folder", "a script", "a lock of an older layout", "a stage that was not yet", "a parameter"],
)
def test_stages_with_other_code_are_named(
    root: Path, place: str, file: str, old: str, new: str, stages: list[str]
) -> None:
    old, new = (text.replace("CODE", "." if place == "." else "../..") for text in (old, new))
    edit(root / file.replace("PLACE", place), old, new)
    assert provenance.of(root / place).changed_code == stages


def test_compiled_files_are_no_code(root: Path) -> None:
    (root / "brain_mri/network/__pycache__").mkdir()
    (root / "brain_mri/network/__pycache__/model.pyc").write_text("1")
    assert provenance.of(root).changed_code == []


def test_parameters_of_other_value_are_named(root: Path) -> None:
    edit(root / "params.yaml", "dataset: {", "dataset: {blur: 0.00001, ")
    edit(root / "params.yaml", "seed: 1, seconds: 0", "seed: 2")
    edit(root / "params.yaml", "resamples: 100", "resamples: 200")  # no stage of the toy declares it
    found = provenance.of(root)
    assert found.changed_params == ["dataset.blur", "train.seconds", "train.seed"]
    assert found.changed_code == []


def test_small_numbers_are_read_as_dvc_writes_them(root: Path) -> None:
    edit(root / "params.yaml", "seconds: 0", "seconds: 0, rate: 0.00001")
    edit(root / "dvc.lock", "seconds: 0", "seconds: 0\n          rate: 1e-05")
    assert provenance.of(root).changed_params == []


def test_results_that_are_not_committed_have_no_commit(root: Path) -> None:
    edit(root / "dvc.lock", "schema", "# run again\nschema")
    assert provenance.of(root).commit is None
    shutil.rmtree(root / ".git")
    assert (provenance.of(root).commit, provenance.of(root).date) == (None, None)
    (root / "dvc.lock").unlink()
    assert provenance.of(root) == provenance.Provenance(None, None, [], [])


def test_a_download_without_git_still_knows_its_changes(root: Path) -> None:
    shutil.rmtree(root / ".git")
    edit(root / "brain_mri/network/model.py", "1", "2")
    assert provenance.of(root / "studies/other").changed_code == provenance.of(root).changed_code == ["train"]
    shutil.rmtree(root / ".dvc")
    assert provenance.of(root).changed_code == []


def test_a_broken_lock_is_one_line(root: Path) -> None:
    (root / "dvc.lock").write_text("stages: [")
    with pytest.raises(UserError, match=r"dvc\.lock") as caught:
        provenance.of(root)
    assert "\n" not in str(caught.value)
