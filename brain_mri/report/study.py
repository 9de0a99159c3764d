"""What a finished study left behind, read once: parameters, metrics, tables, versions, commit."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from brain_mri.errors import UserError
from brain_mri.files import read_csv, read_json
from brain_mri.params import Params, load_params

PIPELINES = ("noaug", "aug")
NEEDED = ("noaug", "aug", "intervals", "comparison")
FURTHER = ("dataset", "crop", "split", "gradcam", "probe")
LINE = re.compile(r"^(?P<indent>\s*)(?P<key>[\w]+):(?P<value>(?:\s+[^#\s][^#]*)?)\s*(?:#\s?(?P<comment>.*))?$")


@dataclass(frozen=True)
class Parameter:
    """A line of params.yaml: its dotted key, its value as written, what the file says of it, and the run's value."""

    key: str
    value: str
    comment: str
    run_with: str | None = None  # where dvc.lock has another value


@dataclass(frozen=True)
class Commit:
    number: str
    date: str
    changed: tuple[str, ...]  # files of the study that differ from the commit


@dataclass(frozen=True)
class Study:
    """A study's folder and what was read from it."""

    folder: Path
    name: str
    params: Params
    head: str  # the comment at the top of params.yaml
    parameters: tuple[Parameter, ...]
    metrics: dict[str, Any]  # name of the file -> its content; what is not there is left out
    stages: tuple[str, ...]  # that dvc.lock says were run
    commit: Commit | None

    @property
    def code(self) -> Path:
        """The repository's root."""
        return self.folder / self.params.code

    @property
    def command(self) -> str:
        """What runs the study, from the repository's root."""
        return "dvc repro" if self.name == "." else f"dvc repro {self.name}/dvc.yaml"

    @property
    def real(self) -> bool:
        """Whether its images are of people."""
        return self.params.dataset.source != "phantom"

    def table(self, path: str) -> list[dict[str, str]] | None:
        """Read a table below the study's folder; None where it is not there."""
        file = self.folder / path
        return read_csv(file) if file.is_file() else None


def load(folder: Path) -> Study:
    """Read a study; UserError where it is none, was not run up to its evaluation, or a file of it is broken."""
    if not (folder / "params.yaml").is_file():
        raise UserError(f"{folder}: no study, it has no params.yaml; give a folder such as studies/compact")
    params = load_params(folder / "params.yaml")
    name = _name(folder, params)
    command = "dvc repro" if name == "." else f"dvc repro {name}/dvc.yaml"
    for needed in NEEDED:
        if not (folder / f"metrics/{needed}.json").is_file():
            raise UserError(f"{folder}: not run yet, metrics/{needed}.json is not there; run `{command}` first")
    metrics = {
        name: _mapping(folder / f"metrics/{name}.json")
        for name in (*NEEDED, *FURTHER)
        if (folder / f"metrics/{name}.json").is_file()
    }
    lock = _read_lock(folder / "dvc.lock")
    text = (folder / "params.yaml").read_text()
    head = "\n".join(line.removeprefix("#").strip() for line in _top(text))
    return Study(
        folder, name, params, head, read_parameters(text, _run_with(lock)), metrics, tuple(lock), read_commit(folder)
    )


def _name(folder: Path, params: Params) -> str:
    root, own = (folder / params.code).resolve(), folder.resolve()
    return str(own.relative_to(root)) if own.is_relative_to(root) else own.name


def _mapping(path: Path) -> dict[str, Any]:
    values = read_json(path)
    if not isinstance(values, dict):
        raise UserError(f"{path}: holds no keys; remove it and run `dvc repro`")
    return values


def _read_lock(path: Path) -> dict[str, Any]:
    try:
        stages = yaml.load(path.read_bytes(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))["stages"]
        return {name: stage for name, stage in stages.items() if isinstance(stage, dict)}
    except FileNotFoundError:
        return {}
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, AttributeError):
        raise UserError(f"{path}: not a lock file of DVC; `git checkout` it or run `dvc repro`") from None


def _run_with(lock: dict[str, Any]) -> dict[str, Any]:
    """Return the values that the stages ran with, by dotted key."""
    values: dict[str, Any] = {}
    for stage in lock.values():
        for key, value in ((stage.get("params") or {}).get("params.yaml") or {}).items():
            values |= _flat(key, value)
    return values


def _flat(key: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        return {key: value}
    inner: dict[str, Any] = {key: value}
    for name, part in value.items():
        inner |= _flat(f"{key}.{name}", part)
    return inner


def _top(text: str) -> list[str]:
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line)
    return lines


def read_parameters(text: str, run_with: dict[str, Any]) -> tuple[Parameter, ...]:
    """Return the lines of params.yaml with their comments; a comment may go on in lines of its own."""
    values = _flat("", yaml.safe_load(text))
    found: list[Parameter] = []
    section = ""
    for line in text.splitlines()[len(_top(text)) :]:
        match = LINE.match(line)
        if line.strip().startswith("#") and found:
            last = found.pop()
            found.append(Parameter(last.key, last.value, f"{last.comment} {line.strip(' #')}".strip(), last.run_with))
        if not match:
            continue
        key, written, comment = match["key"], match["value"].strip(), match["comment"] or ""
        section, key = (section, f"{section}.{key}") if match["indent"] else (key, key)
        if written or comment:
            now = values.get(f".{key}")
            other = run_with.get(key, now)
            found.append(Parameter(key, written, comment, None if _plain(other) == _plain(now) else str(other)))
    return tuple(found)


def _plain(value: Any) -> Any:
    """The value as it compares: YAML 1.1 takes 1e-05, as DVC writes it, for text."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    try:
        return float(value)
    except (TypeError, ValueError):
        return value


def read_commit(folder: Path) -> Commit | None:
    """Return the commit that is checked out, and which of the study's files differ from it; None outside of git."""
    try:
        number, date = _git(folder, "log", "-1", "--format=%H %cs").split()
        results = ("params.yaml", "dvc.lock", "metrics", "plots", "dvclive")
        changed = _git(folder, "status", "--porcelain", "--", *results).splitlines()
    except (OSError, subprocess.CalledProcessError, ValueError):
        return None
    return Commit(number, date, tuple(line[3:] for line in changed))


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "--no-optional-locks", *arguments], cwd=folder, capture_output=True, text=True, check=True
    ).stdout


def read_versions(path: Path) -> dict[str, str]:
    """Return the versions that a requirements file pins, by package; none where it is not there."""
    if not path.is_file():
        return {}
    pinned = re.findall(r"^([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?==([^\s;\\]+)", path.read_text(), re.MULTILINE)
    return dict(sorted(pinned))
