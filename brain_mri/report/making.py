"""The sections on how the study was made: parameters, versions, cost, and the commands that make it again."""

import platform
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from brain_mri.report.blocks import Commands, Finding, Findings, More, Table
from brain_mri.report.study import Study, read_parameters


def parameters(study: Study) -> Iterator[Any]:
    """Every key of params.yaml with what the file says of it."""
    changed = {key: f" (the run had {value})" for key, value in study.changed_params.items()}
    rows = [[row.key, row.value + changed.get(row.key, ""), row.comment] for row in read_parameters(study.text)]
    yield Table("params.yaml", ["key", "value", "what it does, its unit and range"], rows, words=True)


def versions(study: Study) -> Iterator[Any]:
    """Packages, Python, machine, cost, as far as they are known."""
    code = study.folder / study.params.code
    pinned = read_versions(code / "requirements.txt")
    direct = read_dependencies(code / "pyproject.toml") & pinned.keys() or pinned.keys()
    own, others = ([[n, v] for n, v in pinned.items() if (n in direct) == used] for used in (True, False))
    head = ["package", "version"]
    if own:
        caption = "Packages that the project itself uses, as requirements.txt pins them"
        yield Table(caption, head, own, words=True)
    else:
        yield study.missing("requirements.txt is not there, so the versions are not known")
    if others:
        yield More(f"{len(others)} more that those need", [Table("Further packages", head, others, words=True)])
    cost = re.search(r"^#\s*Cost: *(.*)", study.text, re.MULTILINE)
    yield (
        f"This page was made with Python {platform.python_version()} on {platform.system()}, {platform.machine()}. The "
        f"machine of the run is not recorded. Threads: {study.params.train.threads}. "
        + (f"The head of params.yaml states the cost: {cost[1]}" if cost else "Its cost is not stated.")
    )


def read_versions(path: Path) -> dict[str, str]:
    """Return the versions that a requirements file pins, by package; none where it is not there."""
    text = path.read_text() if path.is_file() else ""
    return dict(sorted(re.findall(r"^([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?==([^\s;\\]+)", text, re.MULTILINE)))


def read_dependencies(path: Path) -> set[str]:
    """Return the packages that pyproject.toml names for a run, the web page and the report, if it is there."""
    if not path.is_file():
        return set()
    project = tomllib.loads(path.read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = "\n".join([*project["dependencies"], *extras["web"], *extras["report"]])
    return {name.lower() for name in re.findall(r"^[A-Za-z0-9][\w.-]*", wanted, re.MULTILINE)}


def reproduce(study: Study) -> Iterator[Any]:
    """The commands that make the study again, from the commit that its results belong to."""
    steps = [("git clone <this project> && cd <its folder>", "the code and the committed results")]
    if study.commit:
        steps.append((f"git checkout {study.commit}", f"the commit that made these results, of {study.date}"))
    if study.real:
        about = "see the README: where to get it, and under what name"
        steps.append(("export BRAIN_MRI_DATA=<folder with the data set>", about))
    steps += [
        ("make setup", "makes .venv with the pinned packages"),
        (f". .venv/bin/activate && {study.command}", "runs what is not up to date"),
        (f"brain-mri report {study.name}", "makes this page"),
    ]
    yield Commands(steps)
    if not study.commit:
        yield "No commit holds the study's dvc.lock as it is, so none can be named."
    if files := study.uncommitted:
        text = (
            f"The last commit alone does not hold these results. When this page was made, it lacked {len(files)} "
            f"changes of the study: {', '.join(files[:6])}{', …' if len(files) > 6 else ''}."
        )
        yield Findings([Finding("caution", text)])
    if study.stages:
        stages = ", ".join(study.stages)
        yield f"dvc.lock records these stages, with the digest of each input and output: {stages}."
    else:
        yield study.missing("dvc.lock is not there: what was run from what is not recorded")
    yield "The README names what repeats to the byte, and what comes out close but not equal on another make of CPU."
