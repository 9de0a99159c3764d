"""Make a study's report: one HTML file that opens without a network, with everything that the run found.

    brain-mri report                        the study in this folder: writes report.html beside its params.yaml
    brain-mri report studies/compact
    brain-mri report studies/compact --out /tmp/compact.html

It reads what the run wrote (params.yaml, dvc.lock, metrics, plots, data/errors, data/predictions) and computes no
result of its own. A part that the study does not have is left out, with a line that says which command makes it.
"""

import argparse
from pathlib import Path

from brain_mri.cli import check_file_to_write, named_path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "study", nargs="?", type=named_path, default=Path(), metavar="STUDY_FOLDER", help="default: this folder"
    )
    parser.add_argument("--out", type=named_path, metavar="FILE", help="default: report.html in the study's folder")


def main(options: argparse.Namespace) -> None:
    make(options.study, options.out)


def make(folder: Path, out: Path | None) -> None:
    """Write the report of the study in `folder` to `out`; UserError where it cannot be made."""
    from brain_mri.errors import UserError
    from brain_mri.files import write_bytes
    from brain_mri.report.page import LIMIT, render
    from brain_mri.report.study import load

    if out:
        check_file_to_write("--out", out)
        if out.exists() and out.suffix.lower() not in (".html", ".htm"):
            raise UserError(f"--out {out}: a file stands there that is by its name no page; name another")
    study = load(folder)
    page = render(study).encode()
    if len(page) > LIMIT:
        raise UserError(
            f"{folder}: the report has {len(page) / 1e6:.1f} MB, more than {LIMIT / 1e6:.0f}; lower plots.dpi"
        )
    target = out or folder / "report.html"
    write_bytes(target, page)
    print(f"{target}: {len(page) / 1e6:.1f} MB, open it in a browser")
