"""Pipelines, studies and revisions side by side: what is found, what is paired, and what is refused."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from toy import brain_mri, call, commit, edit, make_study

from brain_mri.studies.side_by_side import calibration_interval, cell
from brain_mri.studies.table import markdown_table, text_table


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with a tag `old` of another training seed, an experiment `try`, and studies/{copy,other,idle}."""
    folder = make_study(tmp_path_factory.mktemp("toy") / "study")
    call(folder, "git", "tag", "old")
    edit(folder / "params.yaml", "seed: 1", "seed: 2")
    call(folder, "dvc", "repro", "-q")
    commit(folder, "another seed")
    for name in ("copy", "other"):
        for part in ("params.yaml", "dvc.lock", "metrics", "data"):
            source, target = folder / part, folder / "studies" / name / part
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    other = folder / "studies/other"
    edit(other / "dvc.lock", "path: data/raw", "path: data/renamed")
    edit(other / "data/cropped/images/Testing/glioma/0.png", "7", "8")
    (folder / "studies/idle").mkdir()
    shutil.copy(folder / "params.yaml", folder / "studies/idle/params.yaml")
    commit(folder, "studies")
    call(folder, "dvc", "exp", "run", "-q", "-n", "try", "-S", "train.seed=3")
    call(folder, "git", "checkout", "-q", ".")
    call(folder, "dvc", "checkout", "-q")
    return folder


def compare(folder: Path, *arguments: str, code: int = 0) -> str:
    return brain_mri(folder, "compare", *arguments, code=code)


def test_two_pipelines_of_one_study_are_paired(study: Path) -> None:
    output = compare(study)
    lines = [line.split() for line in output.splitlines()]
    assert lines[0] == ["images", "metric", "noaug", "aug"]
    assert ["all", "test", "images", "n", "40", "40"] in lines
    assert ["clean", "test", "images", "n", "30", "30"] in lines
    assert "aug minus noaug" in output
    assert "exact McNemar test" in output
    assert "ECE, calibrated" in output


def test_each_side_names_its_commit_and_what_has_changed_since(study: Path) -> None:
    edit(study / "params.yaml", "seed: 2", "seed: 4")
    edit(study / "stages/toy.py", "import csv", "import re, csv")
    try:
        lines = compare(study, "aug", "old:noaug").splitlines()
    finally:
        call(study, "git", "checkout", "-q", "params.yaml", "stages/toy.py")
    for name, revision in (("aug", "HEAD~1"), ("old:noaug", "old")):
        (line,) = [line for line in lines if line.startswith(f"{name}: ")]
        assert call(study, "git", "rev-parse", "--short", revision).strip() in line
        assert "fetch, train, evaluate" in line and "train.seed" in line


def test_revisions_and_experiments_are_found_by_name(study: Path) -> None:
    lines = compare(study, "aug", "old:aug", "try").splitlines()
    assert lines[0].split()[-3:] == ["aug", "old:aug", "try"]
    accuracy = next(line for line in lines if "accuracy" in line)
    assert len(set(accuracy.split()[-3:])) > 1
    assert sum("of 40 images" in line for line in lines) == 2


def test_another_study_of_the_same_images_is_paired(study: Path) -> None:
    output = compare(study, "aug", "studies/copy:aug", "old:noaug")
    assert "studies/copy:aug minus aug" in output
    assert "No paired test" not in output


def test_other_images_of_the_same_names_are_not_paired(study: Path) -> None:
    output = compare(study, "aug", "studies/other")
    assert "No paired test: 1 of 40 images have the same name, and other pixels" in output
    assert "exact McNemar" in output.split("clean test images: ")[-1], "the clean part has none of them"


def test_markdown(study: Path) -> None:
    output = compare(study, "noaug", "aug", "--markdown")
    assert output.startswith("| images | metric | noaug | aug |\n| --- | --- | --- | --- |\n")
    assert "\n### aug minus noaug" in output


@pytest.mark.parametrize(
    ("side", "words"),
    [
        ("nosuch:aug", "'nosuch' is no pipeline (noaug, aug), no study's folder, and no revision or experiment"),
        ("studies/idle:aug", "studies/idle: metrics/aug.json is not there; the study was not run"),
        ("old:studies/copy:aug", "studies/copy at old: params.yaml is not there; no study lies there"),
        ("a:b:c:aug", "a:b:c:aug: expected [REVISION:][STUDY:]PIPELINE"),
    ],
)
def test_what_cannot_be_compared_is_one_line(study: Path, side: str, words: str) -> None:
    output = compare(study, side, code=2)
    assert words in output
    assert output.count("\n") == 1


def test_predictions_that_dvc_has_not_got_ask_for_a_pull(study: Path, tmp_path: Path) -> None:
    call(tmp_path, "git", "clone", "-q", str(study), "clone")
    for side in ("aug", "old:aug"):
        output = compare(tmp_path / "clone", side, code=2)
        assert "data/predictions/aug_test.csv is not there; neither here nor in DVC's cache: `dvc " in output
        assert output.count("\n") == 1


def test_tables_have_straight_columns_and_escaped_bars() -> None:
    header, rows = ["a", "bb"], [["1", "2"], ["333", "x|y"]]
    assert text_table(header, rows) == "a    bb\n---  ---\n1    2\n333  x|y"
    assert markdown_table(header, rows).endswith("| 333 | x\\|y |")
    assert cell(0.5, [0.25, 0.75]) == "0.500 (0.250-0.750)"
    assert cell(None, None) == "-"


@pytest.mark.parametrize("excess", [0.0, 0.1])
def test_the_interval_of_the_calibration_error_holds_the_truth(excess: float) -> None:
    """Simulated: confidences between 0.6 and 0.95, right that often less the excess, so the true error is known."""
    held = 0
    for trial in range(60):
        rng = np.random.default_rng((5, trial))
        confidence = rng.uniform(0.6, 0.95, 300)
        labels = (rng.random(300) > confidence - excess).astype(int)
        probabilities = np.stack([confidence, 1 - confidence], 1)
        low, high = calibration_interval(labels, probabilities, np.arange(300), 200, 0)
        held += low <= excess <= high
    assert held >= 54  # 57 of 60 are 95 %
