"""A stage's `deps` name the code that it imports, by folder: no more and no less; and a change reaches what it must."""

import ast
import graphlib
import json
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml

from brain_mri.files import read_yaml

ROOT = Path(__file__).parents[2]
STAGES = read_yaml(ROOT / "dvc.yaml")["stages"]
TRAINS = {"train_noaug", "train_aug"}


def imported(file: Path, nested: bool = True) -> set[Path]:
    """The project's own files that a file imports, with the packages above them; `nested`: in its functions too."""
    tree = ast.parse(file.read_text())
    names: set[str] = set()
    for statement in ast.walk(tree) if nested else tree.body:
        if isinstance(statement, ast.Import):
            names |= {alias.name for alias in statement.names}
        elif isinstance(statement, ast.ImportFrom):
            names |= {f"{statement.module}.{alias.name}" for alias in statement.names}
    parts = [name.split(".") for name in names if name.partition(".")[0] == "brain_mri"]
    above = {ROOT.joinpath(*part[:count]) for part in parts for count in range(1, len(part) + 1)}
    return {found for path in above for found in (path / "__init__.py", path.with_suffix(".py")) if found.is_file()}


@cache
def needed(file: Path, nested: bool = True) -> frozenset[Path]:
    """All of the project's own files that run when this one does, itself left out."""
    seen: set[Path] = set()
    todo = list(imported(file, nested))
    while todo:
        if (found := todo.pop()) not in seen:
            seen.add(found)
            todo += imported(found)
    return frozenset(seen)


def place(file: Path) -> str:
    """How dvc.yaml names a file of code: by its folder within the package, or by itself."""
    parts = file.relative_to(ROOT).parts
    return "/".join(parts[:2])


@pytest.mark.parametrize("name", STAGES)
def test_deps_are_the_imports(name: str) -> None:
    script = ROOT / STAGES[name]["cmd"].split()[1].replace("${code}/", "")
    declared = {dep.replace("${code}/", "") for dep in STAGES[name]["deps"] if dep.startswith("${code}")}
    # What only the augmented pipeline needs, train.py imports where it makes that pipeline's draws.
    files = needed(script, nested=name != "train_noaug")
    assert declared == {place(file) for file in {script, *files}}


def test_packages_import_one_way() -> None:
    graph: dict[str, set[str]] = {}
    for file in (ROOT / "brain_mri").rglob("*.py"):
        graph.setdefault(place(file), set()).update(map(place, imported(file)))
    package = "brain_mri/__init__.py"
    graph = {name: others - {name, package} for name, others in graph.items()}
    order = list(graphlib.TopologicalSorter(graph).static_order())  # CycleError names a circle
    assert all(order.index(other) < order.index(name) for name, others in graph.items() for other in others)


def test_modules_import_one_way() -> None:
    files = [file for file in (ROOT / "brain_mri").rglob("*.py") if file.name != "__init__.py"]
    assert set(files) <= set(graphlib.TopologicalSorter({file: imported(file) for file in files}).static_order())


@pytest.mark.parametrize("name", sorted(TRAINS))
def test_all_of_train_is_tracked_but_what_changes_no_result(name: str) -> None:
    keys = read_yaml(ROOT / "params.yaml")["train"]
    tracked = {key for key in STAGES[name]["params"] if key.startswith("train")}
    assert tracked == {f"train.{key}" for key in keys} - {"train.checkpoint_minutes"}


def test_studies_share_one_pipeline() -> None:
    for copy in (ROOT / "studies").glob("*/dvc.yaml"):
        assert copy.read_text() == (ROOT / "dvc.yaml").read_text(), f"{copy}: run `make studies`"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The code under a pipeline of the same stages and code dependencies, whose commands do nothing; it was run."""
    folder = tmp_path_factory.mktemp("project")
    for part in ("brain_mri", "stages"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / ".dvcignore", folder)
    stages = {
        name: {
            "cmd": "true",
            "deps": [dep.replace("${code}/", "") for dep in stage["deps"] if dep.startswith("${code}")],
        }
        for name, stage in STAGES.items()
    }
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    for command in (["init", "--no-scm", "--quiet"], ["repro", "--quiet"]):
        dvc(folder, *command)
    return folder


def dvc(folder: Path, *command: str) -> str:
    done = subprocess.run([sys.executable, "-m", "dvc", *command], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("changed", "stages"),
    [
        ("evaluation/metrics_of_tomorrow.py", {"evaluate", "figures"}),
        ("explanation/__init__.py", {"gradcam"}),
        ("probing/__init__.py", {"probe"}),
        ("figures/__init__.py", {"figures"}),
        ("report/__init__.py", set()),
        ("web/__init__.py", set()),
        ("cli/__init__.py", set()),
        ("studies/__init__.py", set()),
        ("augmentation/__init__.py", {"train_aug", "probe", "figures"}),
        ("statistics/__init__.py", {"evaluate", "probe", "gradcam", "figures"}),
        ("copies/__init__.py", {"crop", "split"}),
    ],
)
def test_a_change_of_code_reaches_what_it_must(project: Path, changed: str, stages: set[str]) -> None:
    """DVC lists the stages whose code has changed; those that follow run when their inputs change."""
    file = project / "brain_mri" / changed
    before = file.read_bytes() if file.exists() else None
    try:
        file.write_bytes((before or b"") + b"# changed\n")
        assert set(json.loads(dvc(project, "status", "--json"))) == stages
    finally:
        file.unlink() if before is None else file.write_bytes(before)
    if changed.startswith("cli"):
        assert json.loads(dvc(project, "status", "--json")) == {}
