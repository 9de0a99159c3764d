"""What a finished study left behind, read once: parameters, metrics, tables, versions, commit."""

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from brain_mri import results
from brain_mri.errors import UserError
from brain_mri.evaluation.calibration import apply_temperature, to_logits
from brain_mri.files import read_csv, read_yaml
from brain_mri.params import PIPELINES, Params, load_params
from brain_mri.report.blocks import Missing
from brain_mri.statistics.metrics import look_up
from brain_mri.studies import provenance
from brain_mri.studies.git import git

NEEDED = ("noaug", "aug", "intervals", "comparison")
FURTHER = ("dataset", "crop", "split", "gradcam", "probe", "folds")
RESULTS = ("params.yaml", "dvc.lock", "metrics", "plots", "dvclive")  # what git has of a study
LINE = re.compile(r"^(?P<indent>\s*)(?P<key>\w+):(?P<value>(?:\s+[^#\s][^#]*)?)\s*(?:#\s?(?P<comment>.*))?$")


@dataclass
class Parameter:
    """A line of params.yaml: its dotted key, its value as written, and what the file says of it."""

    key: str
    value: str
    comment: str


@dataclass(frozen=True)
class Predictions:
    """Of N test images: the table's rows, labels int (N,), whether each is clean, probabilities float (N, C)."""

    rows: list[dict[str, str]]
    labels: np.ndarray
    clean: np.ndarray
    before: np.ndarray
    after: np.ndarray  # temperature scaling


@dataclass(frozen=True)
class Study:
    """A study's folder and what was read from it."""

    folder: Path
    name: str
    params: Params
    text: str  # params.yaml
    metrics: dict[str, Any]  # name of the file -> its content; what is not there is left out
    stages: list[str]  # that dvc.lock says were run
    commit: str | None  # that last wrote dvc.lock
    date: str | None
    uncommitted: list[str]  # files of results that git does not have as they are
    changes: list[provenance.Change]  # code and parameters that are other than dvc.lock says

    @property
    def command(self) -> str:
        """What runs the study, from the repository's root."""
        return command(self.name)

    @property
    def real(self) -> bool:
        """Whether its images are of people."""
        return self.params.dataset.source != "phantom"

    @property
    def order(self) -> list[str]:
        """The pipelines, the study's own first."""
        return sorted(PIPELINES, key=lambda pipeline: pipeline != self.params.pipeline)

    @property
    def sizes(self) -> dict[str, int]:
        """Test images by part: all, clean, leaked."""
        return {part: row["n"] for part, row in self.metrics[self.params.pipeline]["test"].items()}

    @property
    def own_part(self) -> str:
        """The part of the test set that stands for the study: the clean one where there is one."""
        return "clean" if self.sizes["clean"] else "all"

    @property
    def parts(self) -> list[str]:
        """The parts of the test set that have images; `all` alone where it is the clean part as well."""
        n = self.sizes
        return [part for part in ("clean", "all", "leaked") if n[part] and (part != "clean" or n[part] < n["all"])]

    @property
    def changed_params(self) -> dict[str, str]:
        """The values that the run had of the parameters that are other now, by dotted key."""
        return {change.name: change.recorded for change in self.changes if change.kind == "parameter"}

    def rate(self, pipeline: str, *path: str) -> dict[str, Any]:
        """A metric and its interval, {value, interval}: by part of the test set, of `patients`, or below `external` by
        source."""
        row = self.metrics[pipeline]
        values = row["test"] | {"patients": row.get("patients"), "external": row["external"]}
        return {"value": look_up(values, path), "interval": look_up(self.metrics["intervals"][pipeline], path)}

    def missing(self, what: str) -> Missing:
        """The block that stands where a file is not there."""
        return Missing(what, f"dvc pull, or {self.command}" if what.startswith("data/") else self.command)

    def table(self, path: str) -> list[dict[str, str]] | None:
        """Read a table below the study's folder; None where it is not there."""
        file = self.folder / path
        return read_csv(file) if file.is_file() else None

    def predictions(self, pipeline: str) -> Predictions | None:
        """Return what a pipeline answers to the test images; None where the table is not there."""
        path = self.folder / f"data/predictions/{pipeline}_test.csv"
        if not path.is_file():
            return None
        temperature = self.metrics[pipeline]["calibration"]["temperature"]
        return _read_predictions(path.resolve(), tuple(self.params.dataset.classes), temperature)


@lru_cache(maxsize=4)
def _read_predictions(path: Path, classes: tuple[str, ...], temperature: float) -> Predictions:
    rows = read_csv(path)
    try:
        labels = np.array([classes.index(row["label"]) for row in rows], np.int64)
        before = np.array([[float(row[f"p_{name}"]) for name in classes] for row in rows]).reshape(-1, len(classes))
        clean = np.array([row["part"] == "clean" for row in rows], bool)
    except (KeyError, ValueError, TypeError):
        raise UserError(f"{path}: not the predictions of these classes; remove it and run `dvc repro`") from None
    return Predictions(rows, labels, clean, before, apply_temperature(to_logits(before), temperature))


def load(folder: Path) -> Study:
    """Read a study; UserError where it is none, was not run up to its evaluation, or a file of it is broken."""
    if not (folder / "params.yaml").is_file():
        raise UserError(f"{folder}: no study, it has no params.yaml; give a folder such as studies/compact")
    params, own = load_params(folder / "params.yaml"), folder.resolve()
    root = (folder / params.code).resolve()
    name = str(own.relative_to(root)) if own.is_relative_to(root) else own.name
    there = [name for name in (*NEEDED, *FURTHER) if (folder / f"metrics/{name}.json").is_file()]
    for needed in NEEDED:
        if needed not in there:
            raise UserError(f"{folder}: not run yet, metrics/{needed}.json is not there; run `{command(name)}` first")
    stages = _read_stages(folder / "dvc.lock")
    commit, date = provenance.commit_of(folder)
    made = f"made by commit {commit}; `git checkout {commit}` or " if commit else ""
    metrics = {}
    for file in there:
        try:
            table = results.read(folder / f"metrics/{file}.json", results.SCHEMAS[file])
        except UserError as error:
            raise UserError(f"{error}; {made}run the study again: `{command(name)}`") from None
        metrics[file] = table.model_dump(exclude_unset=True)
    text = (folder / "params.yaml").read_text(encoding="utf-8")
    changes = provenance.changes(folder)
    return Study(folder, name, params, text, metrics, stages, commit, date, uncommitted(folder), changes)


def command(name: str) -> str:
    return "dvc repro" if name == "." else f"dvc repro {name}/dvc.yaml"


def _read_stages(path: Path) -> list[str]:
    try:
        return list(read_yaml(path)["stages"])
    except FileNotFoundError:
        return []
    except (UserError, KeyError, TypeError):
        raise UserError(f"{path}: not a lock file of DVC; `git checkout` it or run `dvc repro`") from None


def uncommitted(folder: Path) -> list[str]:
    """Return the files of results that differ from the commit that is checked out; none outside of git."""
    lines = git(folder, "status", "--porcelain", "--", *RESULTS) or ""
    return [line.split(maxsplit=1)[1] for line in lines.splitlines()]


def read_parameters(text: str) -> list[Parameter]:
    """Return the lines of params.yaml with their comments; a comment may go on in lines of its own."""
    found: list[Parameter] = []
    path: list[str] = []
    for line in text.splitlines():
        if match := LINE.match(line):
            path = [*path[: len(match["indent"]) // 2], match["key"]]
            found.append(Parameter(".".join(path), match["value"].strip(), match["comment"] or ""))
        elif line.strip().startswith("#") and found:
            found[-1].comment = f"{found[-1].comment} {line.strip(' #')}".strip()
    return [row for row in found if row.value or row.comment]
