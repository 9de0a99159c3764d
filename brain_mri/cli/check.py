"""Check that a study's committed results are what its committed code gives: run it anew in a clean clone.

    python check_repro.py                     the default study, against its committed dvc.lock
    python check_repro.py studies/compact
    python check_repro.py --twice             two clean clones against each other, the committed results aside
    python check_repro.py --exact             the bytes must hold: on the machine that made the results

Before the run it checks that packages are the ones of requirements.txt, and that dvc.lock was made with the committed
code and parameters. Then every stage runs, without data, cache or memory of earlier runs. Where bytes differ, as on
another make of CPU they will, the numbers decide: those of the data must be the same, and the test metrics of both
pipelines must lie within the committed 95 % intervals. A clone takes as much room as the study; TMPDIR says where.

Exit code: 0, reproduced (the last line says whether to the byte or within the tolerance); 1, not; 2, could not check.
"""

import argparse
import sys
from pathlib import Path


def main() -> None:
    about, *details = (__doc__ or "").split("\n\n")
    parser = argparse.ArgumentParser(
        description=about, epilog="\n\n".join(details), formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("study", nargs="?", type=Path, default=Path(), metavar="STUDY_FOLDER", help="default: this one")
    parser.add_argument("--twice", action="store_true", help="compare two runs; bytes must hold")
    parser.add_argument("--exact", action="store_true", help="bytes must hold")
    parser.add_argument("--markdown", action="store_true", help="tables for GitHub")
    options = parser.parse_args()
    # Imported here so that --help answers at once.
    from brain_mri.errors import run

    run(lambda: sys.exit(0 if check(options) else 1))


def check(options: argparse.Namespace) -> bool:
    """Check, print what differs and a verdict; return whether the study reproduces."""
    from brain_mri.errors import UserError
    from brain_mri.studies import clone, environment, inputs
    from brain_mri.studies.differences import HEADER, differences, judge, read_run, table
    from brain_mri.studies.table import markdown_table, text_table

    show = markdown_table if options.markdown else text_table
    top, place = clone.committed(options.study)
    if not options.twice and not (options.study / "dvc.lock").is_file():
        raise UserError(f"{options.study / 'dvc.lock'}: not there, the study was not run; dvc repro, then commit")
    print(f"This machine: {environment.machine()}", flush=True)
    locked = environment.locked_versions((top / "requirements.txt").read_text())
    if other := environment.installed_otherwise(locked):
        rows = [[name, pair[0], pair[1] or "not installed"] for name, pair in sorted(other.items())]
        print(show(["package", "requirements.txt", "installed"], rows))
        print("NOT REPRODUCED: the packages are not the locked ones; pip install -r requirements.txt")
        return False
    with clone.cleanly(top) as target:
        if not options.twice:
            first = read_run(target / place)
            if changed := inputs.stale(target, place):
                print(show(inputs.HEADER, changed))
                print("NOT REPRODUCED: dvc.lock was made with other code, parameters or data; dvc repro, then commit")
                return False
            then = environment.locked_versions(clone.results_requirements(top, place) or "")
            if newer := [[name, then[name], now] for name, now in locked.items() if then.get(name, now) != now]:
                print(show(["package", "when dvc.lock was made", "now"], newer), flush=True)
        clone.reproduce(top, target, place)
        last = read_run(target / place)
    if options.twice:
        with clone.cleanly(top) as target:
            clone.reproduce(top, target, place)
            first, last = last, read_run(target / place)
    if found := differences(first, last):
        print(show(HEADER, table(found)))
    reproduced, sentence = judge(first, last, options.exact or options.twice)
    print(sentence)
    return reproduced


if __name__ == "__main__":
    main()
