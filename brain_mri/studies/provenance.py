"""Which commit a study's results belong to, and what of their code and parameters is other now than dvc.lock recorded.

DVC itself compares: a dependency counts as `dvc status` counts it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from brain_mri.errors import UserError, reason
from brain_mri.studies.git import git

CODE = ("stages", "brain_mri")  # the folders of code, below the root that the study's parameter `code` names
ABSENT = "-"


@dataclass(frozen=True)
class Provenance:
    """Where a study's results come from.

    `commit` is the short hash of the commit that last wrote the study's dvc.lock and `date` its day (ISO); both are
    None where there is no git, no lock, or a lock that is not committed as it is. `changed_code` names the stages whose
    code has other content now than the lock recorded, in the order of dvc.yaml, and `changed_params` the dotted keys of
    params.yaml that have other values. A study without a lock, or outside of a DVC repository, has no changes.
    """

    commit: str | None
    date: str | None
    changed_code: list[str]
    changed_params: list[str]

    def __str__(self) -> str:
        words = f"results of commit {self.commit} ({self.date})" if self.commit else "results that are not committed"
        for names, what in ((self.changed_code, "code"), (self.changed_params, "parameters")):
            words += f"; other {what} since: {', '.join(names)}" if names else ""
        return words


@dataclass(frozen=True)
class Change:
    """An input of a stage that is other now than dvc.lock recorded; `recorded` and `now` are for people."""

    stage: str
    kind: Literal["command", "code", "parameter", "file"]
    name: str
    recorded: str
    now: str

    def row(self) -> list[str]:
        return [self.stage, self.name, self.recorded, self.now]


def of(study: Path, revision: str | None = None) -> Provenance:
    """Return where a study's results come from, those of the working tree or of a revision; what has changed is what
    the working tree has otherwise. UserError where DVC cannot read the study's files."""
    found = changes(study, revision)
    commit, date = commit_of(study, revision)
    return Provenance(
        commit,
        date,
        list(dict.fromkeys(change.stage for change in found if change.kind == "code")),
        sorted({change.name for change in found if change.kind == "parameter"}),
    )


def commit_of(study: Path, revision: str | None = None) -> tuple[str, str] | tuple[None, None]:
    """Return the short hash and the day of the commit that last wrote the study's dvc.lock, as `Provenance` has it."""
    written = git(study, "log", "-1", "--format=%h %cs", revision or "HEAD", "--", "dvc.lock")
    if not written or (revision is None and git(study, "status", "--porcelain", "--", "dvc.lock")):
        return None, None
    commit, date = written.split()
    return commit, date


def changes(study: Path, revision: str | None = None, files: bool = False) -> list[Change]:
    """Return what the study's dvc.yaml, params.yaml and code hold otherwise than its dvc.lock says, stage by stage.

    `revision`: the one whose dvc.lock is meant, None: the working tree's. `files`: also the stages' other inputs and
    outputs that are single files and there; in a fresh clone these are the committed metrics and plots (of a folder of
    pictures git may hold a part). UserError where DVC cannot read dvc.yaml or dvc.lock.
    """
    # Imported here because it takes a second.
    from dvc.dvcfile import load_file  # type: ignore[import-untyped]
    from dvc.exceptions import DvcException, NotDvcRepoError  # type: ignore[import-untyped]
    from dvc.repo import Repo  # type: ignore[import-untyped]
    from dvc.utils.serialize import load_yaml, parse_yaml  # type: ignore[import-untyped]

    study = study.resolve()
    try:
        with Repo(str(study), config={"core": {"no_scm": True}}) as repo:  # git is not asked, and need not be there
            pipeline = load_file(repo, str(study / "dvc.yaml"))
            if revision:
                pipeline.lockfile_contents = parse_yaml(
                    git(study, "show", f"{revision}:./dvc.lock") or "{}", "dvc.lock"
                )
            if not pipeline.exists() or not pipeline.lockfile_contents:
                return []
            params = load_yaml(str(study / "params.yaml"))
            recorded = pipeline.stages.lockfile_data
            return [
                change
                for stage in pipeline.stages.values()
                for change in _of_stage(stage, recorded.get(stage.name, {}), params, study, files)
            ]
    except NotDvcRepoError:
        return []
    except DvcException as error:
        raise UserError(f"{study}: {reason(error)}; fix the file that it names") from None


def _of_stage(stage: Any, entry: dict, params: dict, study: Path, files: bool) -> Iterator[Change]:
    name, code = stage.name, (study / params.get("code", ".")).resolve()
    if stage.cmd_changed:
        yield Change(name, "command", "cmd", entry["cmd"], stage.cmd)
    for key, recorded, now in changed_params(entry.get("params", {}).get("params.yaml", {}), params):
        yield Change(name, "parameter", key, recorded, now)
    for item in [*stage.deps, *(stage.outs if files else [])]:
        path = Path(item.fs_path).resolve()
        is_code = any(path.is_relative_to(code / folder) for folder in CODE)
        if item.hash_name == "params" or not (is_code or (files and path.is_file())) or not item.workspace_status():
            continue
        now = item.get_hash().value[:8] if item.exists else ABSENT
        place = path.relative_to(code if is_code else study).as_posix()
        yield Change(name, "code" if is_code else "file", place, (item.hash_info.value or ABSENT)[:8], now)


def changed_params(recorded: dict[str, Any], params: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield (dotted key, recorded value, value now) of what differs; keys that were not recorded are left out, but for
    those that are new within a section that was."""
    from dvc.utils.flatten import flatten  # type: ignore[import-untyped]

    for section, before in recorded.items():
        now: Any = params
        for part in section.split("."):
            now = now.get(part, ABSENT) if isinstance(now, dict) else ABSENT
        old, new = flatten({section: before}), flatten({section: now})
        for key in {**old, **new}:
            if old.get(key, ABSENT) != new.get(key, ABSENT):
                yield key, str(old.get(key, ABSENT)), str(new.get(key, ABSENT))
