"""Find the copies in each of a folder's folders of pictures as `brain-mri audit --photographs` does.

python -m bench.our_copies FOLDER
"""

import sys
import tempfile
from pathlib import Path

from bench.answering import serve
from brain_mri.audit.collections import describe_collections, open_collections
from brain_mri.cli.audit import PHOTOGRAPHS
from brain_mri.copies.descriptions import read_descriptions
from brain_mri.copies.duplicates import find_pairs
from brain_mri.images.badimage import Limits
from brain_mri.params import Audit


def pairs(folder: Path) -> list[tuple[str, str]]:
    settings = Audit(**PHOTOGRAPHS._asdict(), scans=None)
    with open_collections([folder], Limits()) as collections, tempfile.TemporaryDirectory() as scratch:
        images = describe_collections(collections, Limits(), Path(scratch, "descriptions"))
        found = find_pairs(read_descriptions(Path(scratch, "descriptions")), settings)
    names = [Path(path).name for path in images.paths]
    return [(names[first], names[second]) for first, second in zip(found.first, found.second, strict=True)]


if __name__ == "__main__":
    serve(lambda: [pair for folder in sorted(Path(sys.argv[1]).iterdir()) for pair in pairs(folder)])
