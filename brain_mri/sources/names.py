"""Names of files as people, archives and file systems write them, brought to one form."""

import os
import unicodedata
from functools import lru_cache
from pathlib import Path, PurePosixPath


def normal_path(path: str) -> str:
    """Return the one form of a relative path for look-up and duplicates: Unicode's NFC, `/` between folders, no `.` and
    no empty parts; `..` stays.

    macOS writes letters with accents as two characters (NFD), Windows parts folders with backslashes, and `./a.png` is
    `a.png`."""
    return str(PurePosixPath(unicodedata.normalize("NFC", path).replace("\\", "/")))


def find_file(folder: Path, path: str) -> Path:
    """Return the file that `path`, seen from `folder`, means: itself where it is there, else one of the same normal
    form, else, though it is not there, the normal form."""
    if os.path.lexists(folder / path):
        return folder / path
    found = folder
    for part in PurePosixPath(normal_path(path)).parts:
        found /= part if os.path.lexists(found / part) else _names(found).get(part, part)
    return found


@lru_cache(maxsize=16)
def _names(folder: Path) -> dict[str, str]:
    """Names in a folder by their normal form; none where there is no folder."""
    try:
        return {normal_path(name): name for name in sorted(path.name for path in folder.iterdir())}
    except (OSError, ValueError):
        return {}
