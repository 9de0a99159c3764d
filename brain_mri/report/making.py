"""The sections on how the study was made: parameters, versions, cost, and the commands that make it again."""

import platform
import re
import tomllib
from pathlib import Path
from typing import Any

from brain_mri.report.blocks import Commands, Finding, Findings, Missing, More, Prose, Section, Table
from brain_mri.report.study import Study, read_versions


def parameters(study: Study) -> Section:
    """Every key of params.yaml with what the file says of it."""
    rows = [
        [row.key, row.value + (f" (the run had {row.run_with})" if row.run_with is not None else ""), row.comment]
        for row in study.parameters
    ]
    table = Table("params.yaml", ["key", "value", "what it does, its unit and range"], rows, words=True)
    return Section("parameters", "Parameters", [table])


def versions(study: Study) -> Section:
    """Packages, Python, machine, cost, as far as they are known."""
    blocks: list[Any] = []
    pinned = read_versions(study.code / "requirements.txt")
    if pinned:
        direct = _direct(study.code / "pyproject.toml") & pinned.keys() or set(pinned)
        rows = [[name, pinned[name]] for name in sorted(direct)]
        blocks.append(
            Table(
                "Packages that the project itself uses, as requirements.txt pins them",
                ["package", "version"],
                rows,
                words=True,
            )
        )
        others = [[name, version] for name, version in pinned.items() if name not in direct]
        if others:
            blocks.append(
                More(
                    f"{len(others)} more that those need",
                    [Table("Further packages", ["package", "version"], others, words=True)],
                )
            )
    else:
        blocks.append(
            Missing("requirements.txt is not there, so the versions are not known", "git checkout requirements.txt")
        )
    cost = re.findall(r"Cost:.*", study.head)
    blocks.append(
        Prose(
            f"This page was made with Python {platform.python_version()} on {platform.system()}, "
            f"{platform.machine()}. The machine of the run is not recorded. Threads: {study.params.train.threads}. "
            + (
                f"The head of params.yaml states the cost: {cost[0].removeprefix('Cost:').strip()}"
                if cost
                else "Its cost is not stated."
            )
        )
    )
    return Section("versions", "Versions, machine and cost", blocks)


def _direct(path: Path) -> set[str]:
    if not path.is_file():
        return set()
    project = tomllib.loads(path.read_text())["project"]
    listed = [
        *project["dependencies"],
        *project["optional-dependencies"]["web"],
        *project["optional-dependencies"]["report"],
    ]
    return {match[0].lower() for line in listed if (match := re.match(r"[A-Za-z0-9][\w.-]*", line))}


def reproduce(study: Study) -> Section:
    """The commands that make the study again, from the commit that it was made at."""
    commit = study.commit
    blocks: list[Any] = []
    steps = [("git clone <this project> && cd <its folder>", "the code and the committed results")]
    if commit:
        steps.append((f"git checkout {commit.number}", "the commit that this page was made at"))
    if study.real:
        steps.append(
            ("export BRAIN_MRI_DATA=<folder with the data set>", "see the README: where to get it, and under what name")
        )
    steps += [
        ("make setup", "makes .venv with the pinned packages"),
        (f". .venv/bin/activate && {study.command}", "runs what is not up to date"),
        (f"python report.py {study.name}", "makes this page"),
    ]
    blocks.append(Commands(steps))
    if commit is None:
        blocks.append(Prose("The study is not in git, so no commit can be named."))
    elif commit.changed:
        text = (
            f"The commit alone does not hold these results. When this page was made, it lacked {len(commit.changed)} "
            f"changes of the study: {', '.join(commit.changed[:6])}{', …' if len(commit.changed) > 6 else ''}."
        )
        blocks.append(Findings([Finding("caution", text)]))
    if not study.stages:
        blocks.append(Missing("dvc.lock is not there: what was run from what is not recorded", study.command))
    else:
        blocks.append(
            Prose(
                f"dvc.lock records these stages, with the digest of each input and output: {', '.join(study.stages)}."
            )
        )
    blocks.append(
        Prose(
            "What repeats to the byte, and what comes out close but not equal on another make of CPU, stands in the "
            "README."
        )
    )
    return Section("reproduce", "How to reproduce it", blocks)
