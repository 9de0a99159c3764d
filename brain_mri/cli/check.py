"""Check that a study's committed results are what its committed code gives: run it anew in a clean clone.

    brain-mri check                           the study in this folder, against its committed dvc.lock
    brain-mri check studies/compact --at 1a2b3c4   the code and the results of that commit
    brain-mri check --twice                   two clean clones against each other, the committed results aside
    brain-mri check --exact                   the bytes must hold: on the machine that made the results

The current code reproduces the default study. The results of any other study belong to the commit that last wrote its
dvc.lock: where code or parameters have changed since, the check names that commit, and --at runs it.

Before the run it checks that packages are the ones of requirements.txt, and that dvc.lock was made with the code and
parameters of its commit. Then every stage runs, without data, cache or memory of earlier runs. Where bytes differ, as
on another make of CPU they will, the numbers decide: those of the data must be the same, and the test metrics of both
pipelines must lie within the committed 95 % intervals. A clone takes the disk space of the study; TMPDIR says where.

Exit code: 0, reproduced (the last line says whether to the byte or within the tolerance); 1, not; 2, could not check.
"""

import argparse
import sys
from pathlib import Path

from brain_mri.cli import named_path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "study", nargs="?", type=named_path, default=Path(), metavar="STUDY_FOLDER", help="default: this one"
    )
    parser.add_argument("--at", metavar="COMMIT", help="check that commit; default: the current one")
    parser.add_argument("--twice", action="store_true", help="compare two runs; bytes must hold")
    parser.add_argument("--exact", action="store_true", help="bytes must hold")
    parser.add_argument("--markdown", action="store_true", help="tables for GitHub")


def main(options: argparse.Namespace) -> None:
    """Check, print what differs and a verdict; exit code 1 where the study does not reproduce."""
    from brain_mri.studies.clone import clone, locate, reproduce
    from brain_mri.studies.differences import HEADER, differences, judge, read_run, table
    from brain_mri.studies.environment import installed_otherwise, machine
    from brain_mri.studies.git import git
    from brain_mri.studies.provenance import changes, commit_of
    from brain_mri.studies.table import markdown_table, text_table

    show = markdown_table if options.markdown else text_table
    top, place, commit = locate(options.study, options.at)
    print(f"This machine: {machine()}", flush=True)
    if not options.at and (other := installed_otherwise((top / "requirements.txt").read_text())):
        print(show(["package", "requirements.txt", "installed"], other))
        print("NOT REPRODUCED: the packages are not the locked ones; pip install -r requirements.txt")
        sys.exit(1)
    with clone(top, commit) as target:
        first = None if options.twice else read_run(target / place)
        made, day = commit_of(target / place)
        if first and (found := changes(target / place, files=True)):
            print(show(["stage", "input", "when dvc.lock was made", "now"], [change.row() for change in found]))
            owner = f"its results belong to commit {made} ({day}): brain-mri check {options.study} --at {made}"
            remedy = "dvc repro, then commit" if not made or commit.startswith(made) else owner
            print(f"NOT REPRODUCED: dvc.lock was made with other code, parameters or data; {remedy}")
            sys.exit(1)
        if other := installed_otherwise(git(target, "show", f"{made or commit}:requirements.txt") or ""):
            listed = ", ".join(f"{name} {now} for {then}" for name, then, now in other)
            print(f"Packages that are others than when dvc.lock was made: {listed}", flush=True)
        reproduce(top, target, place)
        last = read_run(target / place)
    if first is None:
        first = last
        with clone(top, commit) as target:
            reproduce(top, target, place)
            last = read_run(target / place)
    if differing := differences(first, last):
        print(show(HEADER, table(differing)))
    reproduced, sentence = judge(first, last, options.exact or options.twice)
    print(sentence)
    sys.exit(0 if reproduced else 1)
