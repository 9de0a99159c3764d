"""Find the copies in each of a folder's folders of pictures with a hash of imagededup, as its README does.

python -m bench.peers.imagededup_copies FOLDER PHash|DHash|WHash|AHash
"""

import sys
from pathlib import Path

from imagededup import methods

from bench.answering import serve


def pairs(folder, hasher):
    found = hasher.find_duplicates(image_dir=folder)
    return sorted({tuple(sorted((name, other))) for name, others in found.items() for other in others})


if __name__ == "__main__":
    hasher = getattr(methods, sys.argv[2])(verbose=False)
    serve(lambda: [pair for folder in sorted(Path(sys.argv[1]).iterdir()) for pair in pairs(folder, hasher)])
