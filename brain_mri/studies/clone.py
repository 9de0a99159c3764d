"""A clean clone of the committed state, and a run of one of its studies in which every stage is run anew."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from brain_mri.errors import UserError

READ = ("stages", "requirements.txt", ".dvc/config")  # what a run reads beside its study
OF_STUDY = ("params.yaml", "dvc.yaml", "dvc.lock", "metrics", "plots", "dvclive")


def committed(study: Path) -> tuple[Path, Path]:
    """Return the repository's root and the study's place in it.

    Raises UserError where the study is none, or differs from the commit, of which alone a clone knows.
    """
    if not (study / "params.yaml").is_file():
        raise UserError(f"{study}: no study, it has no params.yaml; give a folder such as studies/compact")
    try:
        top = Path(_git(study, "rev-parse", "--show-toplevel").strip())
        place = study.resolve().relative_to(top.resolve())
        read = [*READ, *(str(place / name) for name in OF_STUDY)]
        changed = [line[3:] for line in _git(top, "status", "--porcelain", "--", *read).splitlines()]
    except (OSError, subprocess.CalledProcessError):
        raise UserError(f"{study}: not in a git repository with a commit; the check clones the commit") from None
    if changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        raise UserError(f"{changed[0]}{more}: not as committed, and the check runs the commit; commit, then check")
    return top, place


@contextmanager
def cleanly(top: Path) -> Iterator[Path]:
    """Yield a clone of the commit that is checked out, without data and cache; it is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="check-repro-") as folder:
        target = Path(folder) / "clone"
        _git(top, "clone", "--quiet", "--no-checkout", str(top), str(target))
        _git(target, "checkout", "--quiet", "--detach", _git(top, "rev-parse", "HEAD").strip())
        yield target


def reproduce(top: Path, target: Path, place: Path) -> None:
    """Run every stage of the study in the clone, whatever DVC remembers of earlier runs; its output goes to stderr.

    Raises UserError where a stage fails."""
    downloads = top / "downloads"
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    if not os.environ.get("BRAIN_MRI_DATA") and downloads.is_dir():
        environment["BRAIN_MRI_DATA"] = str(downloads)
    # --no-run-cache: a cache that is shared by the user's settings would hand the old results back.
    command = [sys.executable, "-m", "dvc", "repro", "--force", "--no-run-cache", str(place / "dvc.yaml")]
    if subprocess.run(command, cwd=target, env=environment, stdout=sys.stderr).returncode:
        raise UserError(
            f"{place / 'dvc.yaml'}: a stage failed in the clean clone (above); mend it, commit, check again"
        )


def results_requirements(top: Path, place: Path) -> str | None:
    """Return the requirements.txt of the commit that last changed the study's dvc.lock; None where there is none."""
    try:
        commit = _git(top, "log", "-1", "--format=%H", "--", str(place / "dvc.lock")).strip()
        return _git(top, "show", f"{commit}:requirements.txt")
    except subprocess.CalledProcessError:
        return None


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "--no-optional-locks", *arguments], cwd=folder, capture_output=True, text=True, check=True
    ).stdout
