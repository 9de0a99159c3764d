"""The whole pipeline on a tiny study, through `dvc` as a user calls it."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from bench import tiny

CHANGES = {"train": {"epochs": 2, "batch_size": 8}, "gradcam": {"samples_per_class": 2}}
ENVIRONMENT = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"} | {
    f"GIT_{who}_{what}": "test@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
}


def call(study: Path, *command: str, fails: bool = False) -> str:
    done = subprocess.run(command, cwd=study, env=ENVIRONMENT, capture_output=True, text=True)
    assert (done.returncode != 0) == fails, f"{' '.join(command)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def changed_stages(study: Path) -> set[str]:
    # Without a target, `dvc status` speaks of the other studies too.
    return set(json.loads(call(study, "dvc", "status", "--json", "dvc.yaml")))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of this project with a tiny default study, reproduced once and committed."""
    clone = tiny.clone(tmp_path_factory.mktemp("clone"), CHANGES)
    call(clone, "dvc", "repro")
    call(clone, "git", "add", "-A")
    call(clone, "git", "commit", "-qm", "results")
    return clone


def test_every_table_and_figure_is_there(study: Path) -> None:
    split = json.loads((study / "metrics/split.json").read_text())
    assert [split[name]["images"] for name in ("train", "val", "test")] == [32, 8, 16]
    for pipeline in ("noaug", "aug"):
        metrics = json.loads((study / f"metrics/{pipeline}.json").read_text())
        assert metrics["test"]["all"]["n"] == 16
        assert metrics["test"]["clean"]["n"] + metrics["test"]["leaked"]["n"] == 16
        assert metrics["training"]["epochs"] == 2
        assert (study / f"plots/confusion/{pipeline}.csv").read_text().count("\n") == 17
    pictures = {str(path.relative_to(study / "plots")) for path in (study / "plots").rglob("*.png")}
    for name in (
        "crop_steps",
        "resolutions",
        "learning_curves",
        "confusion_aug",
        "by_class",
        "gradcam/aug/grid",
        "gradcam/noaug/detail",
        "probes",
        "probe_examples",
        "robustness",
    ):
        assert f"{name}.png" in pictures


def test_maps_are_scored_beside_chance(study: Path) -> None:
    scored = json.loads((study / "metrics/gradcam.json").read_text())
    assert scored["lesion_images"] == 12
    for pipeline in ("noaug", "aug"):
        row = scored[pipeline]["grad_cam"]["pointing_game"]
        assert 0 <= row["interval"][0] <= row["value"] <= row["interval"][1] <= 1
    assert scored["chance"]["random"]["pointing_game"] < 0.3


def test_comparison_is_aug_minus_noaug(study: Path) -> None:
    read = {name: json.loads((study / f"metrics/{name}.json").read_text()) for name in ("noaug", "aug", "comparison")}
    difference = read["aug"]["test"]["all"]["log_loss"] - read["noaug"]["test"]["all"]["log_loss"]
    assert read["comparison"]["all"]["aug_minus_noaug"]["log_loss"]["difference"] == pytest.approx(difference, abs=2e-6)


def test_a_second_repro_runs_nothing(study: Path) -> None:
    output = call(study, "dvc", "repro")
    assert "Running stage" not in output
    assert "up to date" in output


def test_forced_training_gives_the_same_lock(study: Path) -> None:
    before = (study / "dvc.lock").read_bytes()
    call(study, "dvc", "repro", "--force", "--single-item", "train_aug")
    call(study, "dvc", "repro", "--force", "--single-item", "fetch")
    assert (study / "dvc.lock").read_bytes() == before


@pytest.mark.parametrize(
    ("values", "stages"),
    [
        ({"crop": {"blur": 7}}, {"crop", "train_noaug", "train_aug", "guard", "figures"}),
        ({"augment": {"rotation": 20}}, {"train_aug"}),
        ({"plots": {"colormap": "Greens"}}, {"figures"}),
        ({"split": {"seed": 1}}, {"split"}),
        ({"pipeline": "noaug"}, {"evaluate", "figures"}),
        ({"dataset": {"seed": 8}}, {"fetch"}),
        ({"train": {"checkpoint_minutes": 7}}, set()),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_a_changed_parameter_touches_what_it_must(study: Path, values: dict, stages: set[str]) -> None:
    """DVC lists the stages that read the parameter; those that follow run when their inputs change."""
    before = (study / "params.yaml").read_text()
    try:
        tiny.change(study, values)
        assert changed_stages(study) == stages
    finally:
        (study / "params.yaml").write_text(before)
    assert changed_stages(study) == set()


def test_a_model_is_float32_however_it_was_trained(study: Path, tmp_path: Path) -> None:
    for part in ("stages", "data/split", "data/cropped"):
        shutil.copytree(study / part, tmp_path / part)
    shutil.copy(study / "params.yaml", tmp_path)
    tiny.change(tmp_path, {"train": {"precision": "mixed_bfloat16"}})
    call(tmp_path, "git", "init", "-q")
    told = call(tmp_path, "python", "stages/train.py", "noaug", fails=True)
    assert "make a first one" in told
    assert "Traceback" not in told
    call(tmp_path, "git", "commit", "-q", "--allow-empty", "-m", "first")
    call(tmp_path, "python", "stages/train.py", "noaug")
    with zipfile.ZipFile(tmp_path / "models/noaug.keras") as file:
        assert b"bfloat16" not in file.read("config.json")


def test_pipelines_compare_as_experiments_without_training(study: Path) -> None:
    for pipeline in ("noaug", "aug"):
        output = call(study, "dvc", "exp", "run", "-n", pipeline, "-S", f"pipeline={pipeline}", "evaluate")
        assert "train.py" not in output
    diff = json.loads(call(study, "dvc", "metrics", "diff", "noaug", "aug", "--json").splitlines()[0])
    assert diff["metrics/test.json"]["all.log_loss"]["diff"] == pytest.approx(
        json.loads((study / "metrics/comparison.json").read_text())["all"]["aug_minus_noaug"]["log_loss"]["difference"],
        abs=2e-6,
    )
    call(study, "dvc", "plots", "diff", "noaug", "aug", "-o", "compared")
    page = (study / "compared/index.html").read_text()
    assert "plots/confusion/test.csv" in page
    assert "aug" in call(study, "dvc", "exp", "show", "--csv")


def test_metrics_differ_between_commits_after_a_change(study: Path) -> None:
    tiny.change(study, {"augment": {"rotation": 25}})
    output = call(study, "dvc", "repro", "evaluate")
    assert "train.py aug" in output
    assert "train.py noaug" not in output
    assert "augment.rotation" in call(study, "dvc", "params", "diff")
    call(study, "git", "commit", "-qam", "rotation")
    assert "metrics/aug.json" in call(study, "dvc", "metrics", "diff", "HEAD~1")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"crop": {"blurr": 5}}, "crop.blurr"),
        ({"train": {"batch_size": 99}}, "train.batch_size = 99"),
        ({"split": {"validation": 0.01}}, "split.validation"),
        ({"gradcam": {"layer": "nosuch"}}, "nosuch"),
    ],
)
def test_a_user_s_error_is_one_line_of_the_stage(study: Path, values: dict, words: str) -> None:
    before = (study / "params.yaml").read_text()
    try:
        tiny.change(study, values)
        output = call(study, "dvc", "repro", fails=True)
        assert words in output
        assert "Traceback" not in output
    finally:
        (study / "params.yaml").write_text(before)


def test_a_missing_archive_says_where_to_get_it(study: Path) -> None:
    env = {**ENVIRONMENT, "BRAIN_MRI_DATA": str(study / "nowhere")}
    done = subprocess.run(
        ["dvc", "repro", "studies/compact/dvc.yaml"], cwd=study, env=env, capture_output=True, text=True
    )
    output = done.stdout + done.stderr
    assert done.returncode != 0
    assert "brain-tumor-mri-v1" in output
    assert "kaggle.com" in output
    assert "Traceback" not in output
