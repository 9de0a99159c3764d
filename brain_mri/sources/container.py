"""A zip or a folder as one thing: a list of files, checked as a whole before the first one is read."""

import lzma
import os
import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath

from brain_mri.errors import UserError
from brain_mri.images.badimage import Limits, Reason
from brain_mri.sources.records import Refused

MAX_ENTRIES = 500_000
MAX_BYTES = 64 * 2**30  # unpacked, of all files together
MAX_RATIO = 200  # unpacked to packed; images that are mostly black pack 50 to 1, zip bombs 1,000 to 1 and up
DAMAGE = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    NotImplementedError,
    RuntimeError,
    ValueError,
    IndexError,
    KeyError,
    OverflowError,
    OSError,
)


@dataclass(frozen=True)
class Entry:
    """A file of a container: posix path relative to its top, size in bytes."""

    path: str
    size: int
    read: Callable[[], bytes]


@dataclass(frozen=True)
class Container:
    """Entries in order of path; files that are refused; the number of those that no one means (`.DS_Store`)."""

    source: Path
    entries: list[Entry]
    refused: list[Refused]
    ignored: int

    def within(self, tops: set[str]) -> "Container":
        """The same without its one enclosing folder, should it have one that is not among `tops`."""
        folders = {entry.path.partition("/")[0] for entry in self.entries if "/" in entry.path}
        if len(folders) != 1 or folders & tops or any(entry.path in tops for entry in self.entries):
            return self
        (top,) = folders
        inside = [
            replace(entry, path=entry.path.removeprefix(f"{top}/"))
            for entry in self.entries
            if entry.path.startswith(f"{top}/")
        ]
        refused = [replace(file, path=file.path.removeprefix(f"{top}/")) for file in self.refused]
        return Container(self.source, inside, refused, self.ignored + len(self.entries) - len(inside))


@contextmanager
def opened(source: Path, limits: Limits | None = None) -> Iterator[Container]:
    """Open a zip or a folder; a file above `limits.max_bytes` is refused.

    Raises UserError for a zip that is damaged or unsafe, and where `source` is neither.
    """
    largest = (limits or Limits()).max_bytes
    if source.is_dir():
        yield _folder(source, largest)
    elif source.is_file():
        with _damage_named(source):
            archive = zipfile.ZipFile(source)
        with archive:
            yield _zip(source, archive, largest)
    else:
        raise UserError(f"{source}: not there, or neither a zip nor a folder; put a zip or a folder there")


def is_ignored(path: str) -> bool:
    """Whether a file is an operating system's own: Finder's and Explorer's, and any hidden one."""
    parts = PurePosixPath(path).parts
    return (
        "__MACOSX" in parts
        or parts[-1].lower() in ("thumbs.db", "desktop.ini")
        or any(part.startswith(".") for part in parts)
    )


def _folder(source: Path, largest: int) -> Container:
    entries, refused, ignored = [], [], 0
    for folder, subfolders, names in os.walk(source):
        links = [name for name in subfolders if Path(folder, name).is_symlink()]
        for name in names + links:
            path = Path(folder, name)
            relative = path.relative_to(source).as_posix()
            size = path.lstat().st_size
            if is_ignored(relative):
                ignored += 1
            elif (reason := _reason(path, source, largest)) is not None:
                refused.append(Refused(relative.encode(errors="backslashreplace").decode(), str(reason), size))
            else:
                entries.append(Entry(relative, size, path.read_bytes))
    entries.sort(key=lambda entry: entry.path)
    return Container(source, entries, sorted(refused, key=lambda file: file.path), ignored)


def _reason(path: Path, source: Path, largest: int) -> Reason | None:
    """Why a file of a folder must not be opened."""
    try:
        str(path).encode()
        if not path.resolve(strict=True).is_relative_to(source.resolve()):
            return Reason.LINK_OUT
        status = path.stat()
    except UnicodeEncodeError:
        return Reason.NAME
    except (OSError, RuntimeError):
        return Reason.NOT_AN_IMAGE  # a link that leads nowhere or in a circle
    if not stat.S_ISREG(status.st_mode):
        return Reason.NOT_AN_IMAGE
    return Reason.TOO_LARGE if status.st_size > largest else None


def _zip(source: Path, archive: zipfile.ZipFile, largest: int) -> Container:
    files = [info for info in archive.infolist() if not info.is_dir()]
    _check_zip(source, archive.infolist())
    entries, refused, ignored = [], [], 0
    for info in sorted(files, key=lambda info: info.filename):
        if is_ignored(info.filename):
            ignored += 1
        elif info.file_size > largest:
            refused.append(Refused(info.filename, str(Reason.TOO_LARGE), info.file_size))
        else:
            entries.append(Entry(info.filename, info.file_size, partial(_read_member, source, archive, info)))
    return Container(source, entries, refused, ignored)


def _check_zip(source: Path, members: list[zipfile.ZipInfo]) -> None:
    """Raise UserError for what a zip of images never holds; nothing has been unpacked yet."""

    def refuse(what: str) -> UserError:
        return UserError(f"{source}: not unpacked: {what}; fetch the archive again from where it is published")

    if len(members) > MAX_ENTRIES:
        raise refuse(f"{len(members):,} entries, the limit is {MAX_ENTRIES:,}")
    for member in members:
        name, parts = member.filename, member.filename.rstrip("/").split("/")
        kind = stat.S_IFMT(member.external_attr >> 16)
        if not name.isprintable() or "\\" in name or ":" in parts[0] or {"", ".", ".."} & set(parts):
            raise refuse(f"the entry {name!r} could lead out of the folder")
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise refuse(f"the entry {name!r} is a link or a device")
        if member.flag_bits & 1:
            raise refuse(f"the entry {name!r} is encrypted")
    names = Counter(member.filename for member in members)
    if twice := [name for name, count in names.items() if count > 1]:
        raise refuse(f"the entry {twice[0]!r} is there {names[twice[0]]} times")
    total = sum(member.file_size for member in members)
    if total > MAX_BYTES or total > MAX_RATIO * source.stat().st_size:
        raise refuse(f"it would unpack to {total:,} bytes from {source.stat().st_size:,}")


def _read_member(source: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    with _damage_named(source):
        return archive.read(member)


@contextmanager
def _damage_named(source: Path) -> Iterator[None]:
    try:
        yield
    except DAMAGE as error:
        raise UserError(
            f"{source}: not a whole zip ({type(error).__name__}: {error}); "
            "fetch the archive again, or unpack it and use the folder"
        ) from None
