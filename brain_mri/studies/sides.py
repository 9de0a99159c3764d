"""What is compared: a pipeline of a study, in the working tree or at a revision of git, an experiment included.

`[REVISION:][STUDY:]PIPELINE`: `aug`, `studies/compact:aug`, `main:aug`, `main:studies/compact:aug`. Without a pipeline
(`studies/compact`, `main`, the name of an experiment) it is the study's own, which its params.yaml names.
"""

import hashlib
import io
import json
import os
import unicodedata
from collections.abc import Callable
from csv import DictReader
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

from brain_mri.errors import UserError, reason
from brain_mri.files import parse_yaml
from brain_mri.params import PIPELINES
from brain_mri.studies.git import git

METRICS: dict[str, tuple[str, ...]] = {
    "accuracy": ("accuracy",),
    "balanced accuracy": ("balanced_accuracy",),
    "macro F1": ("macro_f1",),
    "macro ROC AUC": ("macro_roc_auc",),
    "tumour sensitivity": ("tumour", "sensitivity"),
    "tumour specificity": ("tumour", "specificity"),
    "log loss": ("log_loss",),
}
NEEDED = (("dataset", "classes"), ("dataset", "negative"), ("evaluate", "resamples"), ("evaluate", "seed"))


@dataclass(frozen=True)
class Images:
    """The images of a set and a pipeline's predictions, in the order of its table."""

    paths: np.ndarray  # str (N,)
    labels: np.ndarray  # str (N,)
    groups: np.ndarray  # int (N,)
    probabilities: np.ndarray  # float (N, C), before temperature scaling
    kinds: np.ndarray  # str (N,): clean or leaked of the test set, the source of external images

    def part(self, name: str) -> "Images":
        """Return the images of a kind; "all" is every one."""
        chosen = (self.kinds == name) | (name == "all")
        return Images(*(values[chosen] for values in vars(self).values()))


@dataclass(frozen=True)
class Files:
    """A study's files in the working tree or at a commit: `read` gives the text of one and `digest` its MD5; both raise
    FileNotFoundError."""

    study: Path
    commit: str | None  # None: the working tree
    where: str  # for people: "studies/compact", "studies/compact at main"
    run: str  # the command that runs the study
    pull: str  # the command that brings its data
    read: Callable[[str], str]
    digest: Callable[[str], str]

    def text(self, path: str, hint: str) -> str:
        """Return a file's text; UserError with `hint` where it is not there."""
        try:
            return self.read(path)
        except (FileNotFoundError, NotADirectoryError):
            raise UserError(f"{self.where}: {path} is not there; {hint}") from None

    def mapping(self, path: str) -> dict[str, Any]:
        """Read a JSON or YAML file of keys."""
        no_study = "no study lies there; name another, such as studies/compact:aug"
        text = self.text(
            path, no_study if path == "params.yaml" else f"the study was not run up to there: `{self.run}`"
        )
        try:
            values = json.loads(text) if path.endswith(".json") else parse_yaml(text, path)
        except (ValueError, UserError) as error:
            raise UserError(f"{self.where}: {path} is broken ({reason(error)})") from None
        if not isinstance(values, dict):
            raise UserError(f"{self.where}: {path} holds no keys; run `{self.run}`")
        return values

    def table(self, path: str) -> list[dict[str, str]]:
        """Read a table that DVC keeps."""
        return list(DictReader(io.StringIO(self.text(path, f"neither here nor in DVC's cache: `{self.pull}`"))))


@dataclass(frozen=True)
class Side:
    """A pipeline of a study as it was run; what takes long is read when it is asked for."""

    name: str
    pipeline: str
    params: dict[str, Any]
    files: Files

    @cached_property
    def metrics(self) -> dict[str, Any]:
        return self.files.mapping(f"metrics/{self.pipeline}.json")

    @cached_property
    def bounds(self) -> dict[str, Any]:
        return self.files.mapping("metrics/intervals.json").get(self.pipeline, {})

    @cached_property
    def raw(self) -> str | None:
        """The digest of all images as they came, from dvc.lock."""
        stage = self.files.mapping("dvc.lock").get("stages", {}).get("fetch", {})
        return next((out.get("md5") for out in stage.get("outs", []) if out.get("path") == "data/raw"), None)

    @property
    def classes(self) -> list[str]:
        # In the form that the stages wrote into their tables.
        return [unicodedata.normalize("NFC", name) for name in self.params["dataset"]["classes"]]

    @property
    def negative(self) -> str | None:
        return self.params["dataset"]["negative"]

    @cached_property
    def images(self) -> dict[str, Images]:
        """The predictions, "test" and "external"; UserError where DVC has not got them."""
        return {name: self._images(name) for name in ("test", "external")}

    def _images(self, name: str) -> Images:
        path = f"data/predictions/{self.pipeline}_{name}.csv"
        rows = self.files.table(path)
        if rows and any(f"p_{label}" not in rows[0] for label in self.classes):
            raise UserError(f"{self.files.where}: {path} is of other classes than params.yaml; `{self.files.run}`")
        kinds = [row["part"] for row in rows]
        if name == "external":
            sources = {row["path"]: row["source"] for row in self.files.table("data/split/external.csv")}
            kinds = [sources[row["path"]] for row in rows]
        probabilities = [[float(row[f"p_{label}"]) for label in self.classes] for row in rows]
        return Images(
            np.array([row["path"] for row in rows], str),
            np.array([row["label"] for row in rows], str),
            np.array([int(row["group"]) for row in rows], int),
            np.array(probabilities, float).reshape(len(rows), len(self.classes)),
            np.array(kinds, str),
        )

    def digests(self, images: Images) -> list[str] | None:
        """Return the MD5 of cropped images; None where one is not there."""
        folder = "data/external/images" if images.paths[0].startswith("External/") else "data/cropped/images"
        try:
            return [self.files.digest(f"{folder}/{path}") for path in images.paths]
        except (FileNotFoundError, NotADirectoryError):
            return None


def find(name: str, folder: Path) -> Side:
    """Find what `name` means, seen from `folder`; UserError where it means nothing or was not run."""
    parts = name.split(":")
    pipeline = parts.pop() if parts[-1] in PIPELINES else None
    study, revision = folder, None
    if len(parts) == 2:
        revision, study = parts[0], folder / parts[1]
    elif len(parts) == 1 and (folder / parts[0] / "params.yaml").is_file():
        study = folder / parts[0]
    elif len(parts) == 1:
        revision = parts[0]
    elif parts:
        raise UserError(f"{name}: expected [REVISION:][STUDY:]PIPELINE, such as main:studies/compact:aug")
    files = _working_tree(study, folder) if revision is None else _at_revision(study, revision, name)
    params = files.mapping("params.yaml")
    for section, key in NEEDED:
        if key not in (params.get(section) or {}):
            raise UserError(f"{files.where}: params.yaml has no {section}.{key}; name a study of this project")
    pipeline = pipeline or params.get("pipeline")
    if pipeline not in PIPELINES:
        raise UserError(f"{files.where}: params.yaml names no pipeline; add :noaug or :aug")
    return Side(name, pipeline, params, files)


def _working_tree(study: Path, folder: Path) -> Files:
    place = os.path.relpath(study, folder)
    target = "" if place == "." else f" {place}/dvc.yaml"
    return Files(
        study,
        None,
        "this folder" if place == "." else place,
        f"dvc repro{target}",
        f"dvc pull{target}",
        lambda path: (study / path).read_text(encoding="utf-8"),
        lambda path: hashlib.md5((study / path).read_bytes()).hexdigest(),
    )


def _at_revision(study: Path, revision: str, name: str) -> Files:
    top = Path(git(study if study.is_dir() else Path.cwd(), "rev-parse", "--show-toplevel") or study).resolve()
    commit = _commit(top, revision)
    if commit is None:
        raise UserError(
            f"{name}: {revision!r} is no pipeline ({', '.join(PIPELINES)}), no study's folder, and no revision or"
            " experiment that git knows; see `git branch -a`, `dvc exp list`"
        )
    if not study.resolve().is_relative_to(top):
        raise UserError(f"{name}: the study lies outside of the repository {top}; revisions know of what lies within")
    place = study.resolve().relative_to(top)
    at_root = place == Path()

    def reading(read: Callable[[Any, str], str]) -> Callable[[str], str]:
        """Return a function from a path in the study to what `read` makes of DVC's file system and the whole path."""

        def call(path: str) -> str:
            # Imported here because DVC takes a second, which the working tree need not wait.
            from dvc_data.index import DataIndexDirError

            try:
                return read(_file_system(top, commit), str(place / path))
            except DataIndexDirError:  # the list of a folder is in neither cache nor remote
                raise FileNotFoundError(path) from None

        return call

    return Files(
        study,
        commit,
        revision if at_root else f"{place} at {revision}",
        f"git checkout {revision} && dvc repro" + ("" if at_root else f" {place / 'dvc.yaml'}"),
        "dvc fetch --all-commits",
        reading(lambda files, path: files.read_text(path)),
        reading(lambda files, path: files.info(path)["md5"]),
    )


@cache
def _file_system(top: Path, commit: str) -> Any:
    from dvc.api import DVCFileSystem  # type: ignore[import-untyped]

    return DVCFileSystem(str(top), rev=commit)


def _commit(top: Path, revision: str) -> str | None:
    """Return the commit of a branch, tag, abbreviated hash, or experiment; UserError where a name is of several."""
    if found := git(top, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"):
        return found
    commits = (git(top, "for-each-ref", "--format=%(objectname)", f"refs/exps/*/*/{revision}") or "").split()
    if len(commits) > 1:
        raise UserError(f"{revision}: {len(commits)} experiments have this name; give the hash that `dvc exp show` has")
    return commits[0] if commits else None
