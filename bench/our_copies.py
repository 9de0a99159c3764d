"""Find the copies in each of a folder's folders of pictures as `brain-mri audit --photographs` does.

python -m bench.our_copies FOLDER
"""

import argparse
import contextlib
import os
import sys
import tempfile
from pathlib import Path

from bench.answering import serve
from brain_mri.cli import audit
from brain_mri.files import read_csv


def pairs(folder: Path) -> list[tuple[str, str]]:
    parser = argparse.ArgumentParser()
    audit.add_arguments(parser)
    with tempfile.TemporaryDirectory() as out:
        with Path(os.devnull).open("w") as nothing, contextlib.redirect_stdout(nothing):
            audit.main(parser.parse_args([str(folder), "--photographs", "--out", out]))
        return [(Path(row["first"]).name, Path(row["second"]).name) for row in read_csv(Path(out, "pairs.csv"))]


if __name__ == "__main__":
    serve(lambda: [pair for folder in sorted(Path(sys.argv[1]).iterdir()) for pair in pairs(folder)])
