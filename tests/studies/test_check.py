"""The check of reproduction: what it catches, what it tolerates, and where it points."""

import shutil
from importlib import metadata
from pathlib import Path

import pytest
from toy import brain_mri, call, commit, edit, make_study

from brain_mri.errors import UserError
from brain_mri.studies.differences import Run, differences, judge, read_run, table
from brain_mri.studies.environment import installed_otherwise, machine


def run(**changes: object) -> Run:
    """A run of three stages with numbers of every kind; a change names a value or a digest to replace."""
    values = {"images": 40, "accuracy": 0.9, "pointing": 0.5, "cropped": "a", "model": "b"} | changes
    return Run(
        {
            "data/cropped": ("crop", f"{values['cropped']}.dir"),
            "metrics/crop.json": ("crop", f"{values['images']}"),
            "models/aug.keras": ("train_aug", f"{values['model']}"),
            "metrics/aug.json": ("evaluate", f"{values['accuracy']}"),
            "metrics/intervals.json": ("evaluate", "c"),
            "metrics/gradcam.json": ("gradcam", f"{values['pointing']}"),
        },
        {
            "metrics/crop.json": {"images": values["images"]},
            "metrics/aug.json": {"test.all.accuracy": values["accuracy"]},
            "metrics/intervals.json": {"aug.all.accuracy.0": 0.85, "aug.all.accuracy.1": 0.93},
            "metrics/gradcam.json": {"pointing": values["pointing"]},
        },
    )


@pytest.mark.parametrize(
    ("changes", "exact", "reproduced", "words"),
    [
        ({}, True, True, "REPRODUCED TO THE BYTE: all 6 outputs"),
        ({"model": "x", "accuracy": 0.87, "pointing": 0.1}, False, True, "WITHIN THE TOLERANCE, not to the byte: 3 of"),
        ({"model": "x", "accuracy": 0.87}, True, False, "NOT REPRODUCED TO THE BYTE"),
        ({"model": "x", "accuracy": 0.84}, False, False, "the first is metrics/aug.json test.all.accuracy"),
        ({"accuracy": None}, False, False, "metrics/aug.json test.all.accuracy"),
        ({"images": 41}, False, False, "the first of them in stage crop; 1 out of tolerance"),
        ({"cropped": "x"}, True, False, "the first of them in stage crop"),
    ],
)
def test_bytes_or_tolerance_or_neither(changes: dict, exact: bool, reproduced: bool, words: str) -> None:
    found, sentence = judge(run(), run(**changes), exact)
    assert found == reproduced
    assert words in sentence


def test_without_intervals_only_bytes_reproduce() -> None:
    first, second = run(), run(model="x")
    for one in (first, second):
        one.metrics["metrics/intervals.json"].clear()
    assert not judge(first, second, False)[0]


def test_the_table_has_every_file_and_number_that_differs() -> None:
    rows = table(differences(run(), run(model="x", accuracy=0.84, pointing=0.4)))
    assert rows == [
        ["train_aug", "models/aug.keras", "bytes", "b", "x", "-", "-", "-"],
        ["evaluate", "metrics/aug.json", "test.all.accuracy", "0.9", "0.84", "-0.06", "0.85 to 0.93", "NO"],
        ["gradcam", "metrics/gradcam.json", "pointing", "0.5", "0.4", "-0.1", "-", "-"],
    ]


def test_of_many_unjudged_numbers_those_that_differ_most() -> None:
    first, second = run(), run(pointing=0)
    for one, factor in ((first, 1.0), (second, 1.01)):
        one.metrics["metrics/gradcam.json"] |= {f"k{i}": factor * (i + 1) for i in range(20)}
    rows = table(differences(first, second))
    assert rows[0][2] == "pointing"
    assert len(rows) == 4
    assert rows[-1][2] == "... and 18 more numbers"


def test_a_package_of_another_version_is_found() -> None:
    here = metadata.version("numpy")
    locked = (
        f"# a comment\nnumpy=={here} \\\n    --hash=sha256:00\n    # via x\n"
        "scipy==0.1 ; python_version >= '3' \\\n    --hash=sha256:00\n"
        "pandas==0.1 ; sys_platform == 'win32'\nnosuchpackage==1.0\ndvc[s3]==1\n"
    )
    assert installed_otherwise(locked) == [
        ["dvc", "1", metadata.version("dvc")],
        ["nosuchpackage", "1.0", "not installed"],
        ["scipy", "0.1", metadata.version("scipy")],
    ]


def test_the_machine_is_named_in_one_line() -> None:
    assert "cores, Python 3." in machine()
    assert "\n" not in machine()


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return make_study(tmp_path / "study")


def check(study: Path, *options: str, code: int, **environment: str) -> str:
    return brain_mri(study, "check", *options, code=code, **environment)


def test_a_study_reproduces_from_its_commit_alone(study: Path) -> None:
    shutil.rmtree(study / ".dvc" / "cache")
    for made in ("data", "models"):
        shutil.rmtree(study / made)
    call(study, "git", "checkout", "-q", ".")
    assert "REPRODUCED TO THE BYTE: all 9 outputs are the same" in check(study, code=0)


def test_another_cpu_reproduces_within_the_tolerance(study: Path) -> None:
    output = check(study, code=0, TOY_CPU="0.05")
    assert "WITHIN THE TOLERANCE, not to the byte: 3 of 9 outputs differ, the first of them in stage train" in output
    assert "metrics/aug.json" in output
    assert "+0.05" in output


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("params.yaml", "train: {seed: 1", "train: {seed: 2", ["train ", "train.seed  1                       2"]),
        ("stages/toy.py", "[[1, 1, 1]", "[[1, 1, 0]", ["fetch", "stages/toy.py"]),
        ("metrics/aug.json", '"n": 40', '"n": 41', ["evaluate", "metrics/aug.json"]),
        ("requirements.txt", "# nothing is locked", "numpy==1.0", ["numpy", "1.0", metadata.version("numpy")]),
    ],
    ids=["one seed", "one pixel of a kernel", "one number", "one dependency"],
)
def test_a_planted_change_is_caught_before_any_run(study: Path, file: str, old: str, new: str, words: list) -> None:
    edit(study / file, old, new)
    assert f"{file}: not as committed" in check(study, code=2)
    commit(study, "planted")
    output = check(study, code=1)
    assert "NOT REPRODUCED" in output
    assert "Running stage" not in output
    for word in words:
        assert word in output


def test_results_of_an_earlier_commit_reproduce_there_with_its_own_code(study: Path) -> None:
    """The stage writes a value of the package into the model, which another copy of the package would not give."""
    (study / "brain_mri").mkdir()
    (study / "brain_mri/__init__.py").write_text("VALUE = 'old'\n")
    edit(study / "stages/toy.py", "import csv", "import brain_mri, csv")
    edit(study / "stages/toy.py", "{other_cpu}", "{brain_mri.VALUE}")
    (study / "requirements.txt").write_text("numpy==1.0\n")
    call(study, "dvc", "repro", "-q", PYTHONPATH=str(study))
    commit(study, "results")
    made = call(study, "git", "rev-parse", "--short", "HEAD").strip()
    (study / "brain_mri/__init__.py").write_text("VALUE = 'new'\n")
    (study / "requirements.txt").write_text("# nothing is locked\n")
    edit(study / "stages/toy.py", "KERNEL = ", "KERNEL = KERNEL_OF_NOW = ")
    commit(study, "other code")
    output = check(study, code=1)
    assert f"belong to commit {made} (" in output
    assert f"brain-mri check . --at {made}" in output
    output = check(study, "--at", made, code=0)
    assert "REPRODUCED TO THE BYTE" in output
    (line,) = [line for line in output.splitlines() if "numpy" in line]
    assert "1.0" in line and metadata.version("numpy") in line


def test_a_seed_in_no_file_is_caught_by_running_twice(study: Path) -> None:
    edit(study / "stages/toy.py", "{other_cpu}", "{time.time()}")
    commit(study, "time in the model")
    output = check(study, "--twice", code=1)
    assert "NOT REPRODUCED TO THE BYTE: 1 of 9 outputs differ, the first of them in stage train" in output
    assert "models/aug.bin" in output


def test_what_cannot_be_checked_is_one_line(study: Path, tmp_path: Path) -> None:
    assert "no study, it has no params.yaml" in check(study, "nowhere", code=2)
    assert "--at nosuch: no commit that git knows" in check(study, "--at", "nosuch", code=2)
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / "params.yaml").write_text("")
    assert "not in a git repository" in check(tmp_path / "alone", code=2, GIT_CEILING_DIRECTORIES=str(tmp_path))
    edit(study / "stages/toy.py", "import csv", "raise SystemExit('broken')\nimport csv")
    commit(study, "broken")
    output = check(study, "--twice", code=2)
    assert "a stage failed in the clean clone" in output
    assert "broken" in output
    call(study, "git", "rm", "-q", "dvc.lock")
    commit(study, "not run")
    assert "the study was not run" in check(study, code=2)
    for text in ("", "schema: '2.0'\n"):
        (study / "dvc.lock").write_text(text)
        with pytest.raises(UserError, match="has no stages"):
            read_run(study)
