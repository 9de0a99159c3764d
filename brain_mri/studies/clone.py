"""A clean clone of a commit, and a run of one of its studies in which every stage is run anew."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from brain_mri.errors import UserError
from brain_mri.studies.git import git

READ = ("stages", "brain_mri", "requirements.txt", ".dvc/config")  # what a run reads beside its study
OF_STUDY = ("params.yaml", "dvc.yaml", "dvc.lock", "metrics", "plots", "dvclive")


def locate(study: Path, at: str | None) -> tuple[Path, Path, str]:
    """Return the repository's root, the study's place in it, and the hash of the commit `at`, None: the current one.

    Raises UserError where the study is none, where git does not know the commit, and, without `at`, where the study
    differs from its commit, of which alone a clone knows.
    """
    if not (study / "params.yaml").is_file():
        raise UserError(f"{study}: no study, it has no params.yaml; give a folder such as studies/compact")
    root, commit = git(study, "rev-parse", "--show-toplevel"), git(study, "rev-parse", f"{at or 'HEAD'}^{{commit}}")
    if not root or not (commit or at):
        raise UserError(f"{study}: not in a git repository with a commit; the check clones a commit")
    if not commit:
        raise UserError(
            f"--at {at}: no commit that git knows; `git log -- {study / 'dvc.lock'}` lists those with results"
        )
    top = Path(root)
    place = study.resolve().relative_to(top.resolve())
    read = [*READ, *(str(place / name) for name in OF_STUDY)]
    if not at and (status := git(top, "status", "--porcelain", "--", *read)):
        changed = [line.split(maxsplit=1)[1] for line in status.splitlines()]
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        raise UserError(f"{changed[0]}{more}: not as committed, and the check runs the commit; commit, then check")
    return top, place, commit


@contextmanager
def clone(top: Path, commit: str) -> Iterator[Path]:
    """Yield a clone of the commit, without data and cache; it is removed afterwards. UserError where there is none."""
    with tempfile.TemporaryDirectory(prefix="check-") as folder:
        target = Path(folder) / "clone"
        git(top, "clone", "--quiet", "--no-checkout", str(top), str(target))
        if git(target, "checkout", "--quiet", "--detach", commit) is None:
            raise UserError(f"{top}: no clone of {commit[:7]} in {folder}; is its disk full? TMPDIR names another")
        yield target


def reproduce(top: Path, target: Path, place: Path) -> None:
    """Run every stage of the study in the clone, whatever DVC remembers of earlier runs; its output goes to stderr.

    Raises UserError where a stage fails."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    if (target / "brain_mri").is_dir():  # the clone's own package, wherever another one is installed
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(target), os.environ.get("PYTHONPATH")]))
    named = os.environ.get("BRAIN_MRI_DATA")
    if named or (top / "downloads").is_dir():  # a relative one is seen from the repository, as by `locate`
        environment["BRAIN_MRI_DATA"] = str(top / os.path.expanduser(named or "downloads"))  # noqa: PTH111
    # --no-run-cache: a cache that is shared by the user's settings would hand the old results back.
    command = [sys.executable, "-m", "dvc", "repro", "--force", "--no-run-cache", str(place / "dvc.yaml")]
    if subprocess.run(command, cwd=target, env=environment, stdout=sys.stderr).returncode:
        raise UserError(f"{place / 'dvc.yaml'}: a stage failed in the clean clone (above); fix it, commit, check again")
