"""Each stage's `deps` name the code it runs: its script and every room that it imports, directly or not."""

import ast
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
# They check parameters and change none, and DVC tracks their values: a new key must not train anything again.
EXEMPT = {"brain_mri/params.py", "brain_mri/refusal.py"}
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def module_file(name: str) -> Path | None:
    path = ROOT / "stages" / Path(*name.split("."))
    if path.with_suffix(".py").is_file():
        return path.with_suffix(".py")
    return path / "__init__.py" if (path / "__init__.py").is_file() else None


def names_in(statement: ast.AST) -> set[str]:
    """Return what an import names, `from a import b` as a and a.b; nothing for another statement."""
    if isinstance(statement, ast.Import):
        return {alias.name for alias in statement.names}
    if isinstance(statement, ast.ImportFrom):
        return {str(statement.module)} | {f"{statement.module}.{alias.name}" for alias in statement.names}
    return set()


def imported(file: Path) -> set[str]:
    names = set().union(*map(names_in, ast.walk(ast.parse(file.read_text()))))
    # Importing brain_mri.network.model runs core/network/__init__.py too.
    return {".".join(name.split(".")[:n]) for name in names for n in range(1, name.count(".") + 2)}


def code_of(script: Path) -> set[str]:
    """Return the script and all files of `core` that it imports, below the root; empty files have nothing to track."""
    seen, todo = set(), [script]
    while todo:
        file = todo.pop()
        if file in seen:
            continue
        seen.add(file)
        todo += [found for name in imported(file) if name.startswith("core") and (found := module_file(name))]
    return {str(file.relative_to(ROOT)) for file in seen if file.stat().st_size} - EXEMPT


@pytest.mark.parametrize("name", STAGES)
def test_deps_are_the_imports(name: str) -> None:
    script = ROOT / STAGES[name]["cmd"].split()[1].replace("${code}/", "")
    declared = {dep.replace("${code}/", "") for dep in STAGES[name]["deps"] if dep.startswith("${code}")}
    assert declared == code_of(script)


@pytest.mark.parametrize("name", ["train_noaug", "train_aug"])
def test_all_of_train_is_tracked_but_what_changes_no_result(name: str) -> None:
    keys = yaml.safe_load((ROOT / "params.yaml").read_text())["train"]
    tracked = {key for key in STAGES[name]["params"] if key.startswith("train")}
    assert tracked == {f"train.{key}" for key in keys} - {"train.checkpoint_minutes"}


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_that_asks_for_the_negative_class_tracks_it(name: str) -> None:
    script = ROOT / STAGES[name]["cmd"].split()[1].replace("${code}/", "")
    if "dataset.negative" in script.read_text():
        assert "dataset.negative" in STAGES[name]["params"] or "dataset" in STAGES[name]["params"]


def test_studies_share_one_pipeline() -> None:
    for copy in (ROOT / "studies").glob("*/dvc.yaml"):
        assert copy.read_text() == (ROOT / "dvc.yaml").read_text(), f"{copy}: run `make studies`"


def test_imports_have_no_circle() -> None:
    files = [file for file in (ROOT / "stages" / "core").rglob("*.py") if file.stat().st_size]
    for file in files:
        for name in imported(file):
            found = module_file(name) if name.startswith("core") else None
            if found and found != file and found.name != "__init__.py":
                assert str(file.relative_to(ROOT)) not in code_of(found), f"{file} and {found} import each other"


SETTINGS = ("brain_mri.network", "brain_mri.explanation")  # importing any room of these makes Keras's settings first


@pytest.mark.parametrize("file", [*(ROOT / "stages").rglob("*.py"), *ROOT.glob("*.py")], ids=lambda file: file.name)
def test_no_room_loads_keras_before_its_settings_are_made(file: Path) -> None:
    """TensorFlow reads once, when it is loaded, whether oneDNN is on; core/network/__init__.py says so."""
    if file.parent.name in ("network", "explanation"):
        return
    for statement in ast.parse(file.read_text()).body:
        names = names_in(statement)
        if any(name.startswith(settings) for name in names for settings in SETTINGS):
            return
        assert not {"keras", "tensorflow"} & {name.split(".")[0] for name in names}, f"line {statement.lineno}"
