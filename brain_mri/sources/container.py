"""A zip or a folder as one thing: a list of files, checked as a whole before the first one is read.

Links are followed in a folder, wherever they lead: it is the user's own, and DVC, git-annex, DataLad and OpenNeuro put
links in the place of files. A zip comes from anywhere, so that none may be in it.
"""

import io
import os
import re
import stat
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from brain_mri.decoding.decode import check_file
from brain_mri.errors import UserError
from brain_mri.images.badimage import BadImage, Limits, Reason, Refused
from brain_mri.sources.names import find_file, normal_path

# What lies beside images, and no one takes for one: names without an ending, and endings.
BESIDE = {"dicomdir", "readme", "changes", "license", "licence", "autorun", "lockfile", "version", "participants"}
ENDINGS = {
    *("bat", "bval", "bvec", "cfg", "cmd", "css", "csv", "dll", "doc", "docx", "exe", "htm", "html", "ico", "inf"),
    *("ini", "jar", "js", "json", "lnk", "log", "md", "ods", "odt", "pdf", "ppt", "pptx", "py", "rtf", "sh", "tsv"),
    *("txt", "url", "xls", "xlsx", "xml", "yaml", "yml"),
}
SYSTEMS_OWN = {"__MACOSX", "$RECYCLE.BIN", "System Volume Information", "@eaDir"}  # folders of Finder, Windows, a NAS
MAX_ENTRIES = 500_000
MAX_BYTES = 64 * 2**30  # unpacked, of all files together
NOT_FETCHED = "link to a file that is not there, which git annex get, datalad get or dvc checkout brings"
UTF8 = 0x800  # flag of a zip's member: the name is UTF-8
MAX_RATIO = 200  # unpacked to packed; images that are mostly black pack 50 to 1, zip bombs 1,000 to 1 and up


@dataclass(frozen=True)
class Entry:
    """A file of a container: path relative to its top, in the form of `normal_path`."""

    path: str
    read: Callable[[], bytes]

    @property
    def may_be_image(self) -> bool:
        """Whether its name leaves it open that it is an image, as a name without an ending does."""
        stem, _, ending = PurePosixPath(self.path).name.lower().rpartition(".")
        return ending not in (ENDINGS if stem else BESIDE)

    @property
    def top(self) -> str:
        """The first folder of the path; "" for a file at the top."""
        return self.path.rpartition("/")[0].partition("/")[0]


class DamagedMember(UserError):
    """A member of a zip cannot be read; the others may be whole."""


@dataclass(frozen=True)
class Member:
    """Reads a member of a zip. A worker process that it is sent to opens the zip for itself."""

    source: Path
    archive: zipfile.ZipFile
    info: zipfile.ZipInfo

    def __call__(self) -> bytes:
        with _damage_named(self.source, DamagedMember):
            return self.archive.read(self.info)

    def __reduce__(self) -> tuple[Any, ...]:
        return _member_elsewhere, (self.source, self.source.stat().st_mtime_ns, self.info)


def _member_elsewhere(source: Path, changed: int, info: zipfile.ZipInfo) -> Member:
    return Member(source, _zip_elsewhere(source, changed), info)


@lru_cache(maxsize=4)
def _zip_elsewhere(source: Path, changed: int) -> zipfile.ZipFile:
    with _damage_named(source):
        return zipfile.ZipFile(source)


@dataclass(frozen=True)
class Container:
    """Entries in order of path; files that are refused; the number of those that no one means (`.DS_Store`)."""

    source: Path
    entries: list[Entry]
    refused: list[Refused]
    ignored: int

    def within(self, tops: set[str]) -> "Container":
        """The same without its one enclosing folder, should it have one that is not among `tops`."""
        folders = {entry.top for entry in self.entries} - {""}
        if len(folders) != 1 or folders & tops or any(entry.path.lower() in tops for entry in self.entries):
            return self
        prefix = f"{folders.pop()}/"
        inside = [
            replace(entry, path=entry.path.removeprefix(prefix))
            for entry in self.entries
            if entry.path.startswith(prefix)
        ]
        refused = [replace(file, path=file.path.removeprefix(prefix)) for file in self.refused]
        return Container(self.source, inside, refused, self.ignored + len(self.entries) - len(inside))


def locate(name: str, downloads: Path, hint: str = "") -> Path:
    """Find the data set `name`, as a zip or a folder: where BRAIN_MRI_DATA points, else in `downloads`.

    BRAIN_MRI_DATA may begin with `~`; a relative path is seen from the folder that holds `downloads`. In the temporary
    copy of the repository in which DVC runs an experiment (`--temp`, `--queue`), the repository itself counts too.
    Raises UserError that says where it was looked for and, with `hint` ("get it from ..."), where it is to be had.
    """
    named = os.environ.get("BRAIN_MRI_DATA")
    roots = [downloads.parent.resolve()]
    if "DVC_ROOT" in os.environ:  # DVC sets it to the repository, in a copy of it too
        roots.append(Path(os.environ["DVC_ROOT"]).resolve())
    # Path.expanduser raises for a user that is not there.
    inside = Path(os.path.expanduser(named)) if named else Path(downloads.name)  # noqa: PTH111
    folders = list(dict.fromkeys(root / inside for root in roots))
    for folder in folders:
        for place in (find_file(folder, f"{name}.zip"), find_file(folder, name)):
            if place.exists() or place.is_symlink():
                return place
    raise UserError(
        f"data set {name!r}: neither {name}.zip nor a folder {name} in {' or '.join(map(str, folders))}"
        f"{' (from BRAIN_MRI_DATA)' if named else ''}; {f'{hint} and put' if hint else 'put'} it there, or let the "
        "environment variable BRAIN_MRI_DATA name the folder that holds it, by an absolute path"
    )


@contextmanager
def opened(source: Path, limits: Limits) -> Iterator[Container]:
    """Open a zip or a folder; a file above `limits.max_bytes` is refused.

    Raises UserError for a zip that is damaged or unsafe, and where `source` is neither.
    """
    if source.is_dir():
        yield _folder(source, limits)
    elif source.is_file():
        with _damage_named(source):
            archive = zipfile.ZipFile(source)
        with archive:
            yield _zip(source, archive, limits, source.stat().st_size)
    elif is_dangling(source):
        raise UserError(f"{source}: {NOT_FETCHED}")
    else:
        raise UserError(f"{source}: not there, or neither a zip nor a folder; put a zip or a folder there")


@contextmanager
def opened_zip(data: bytes, name: str, limits: Limits) -> Iterator[Container]:
    """Open the bytes of a zip, which errors call `name`; as `opened` otherwise."""
    source = Path(name)
    with _damage_named(source):
        archive = zipfile.ZipFile(io.BytesIO(data))
    with archive:
        yield _zip(source, archive, limits, len(data))


def is_dangling(path: Path) -> bool:
    """Whether a path is a link to nothing: what is left of a file whose content was not fetched."""
    return path.is_symlink() and not path.exists()


def _is_ignored(path: str) -> bool:
    """Whether a file is an operating system's own: Finder's and Explorer's, and any hidden one."""
    parts = PurePosixPath(path).parts
    return (
        not SYSTEMS_OWN.isdisjoint(parts)
        or PurePosixPath(path).name.lower() in ("thumbs.db", "desktop.ini", "icon\r")
        or any(part.startswith(".") for part in parts)
    )


def _folder(source: Path, limits: Limits) -> Container:
    entries, refused, ignored = [], [], 0
    for count, path in enumerate(_files(source, frozenset([source.resolve()]))):
        if count == MAX_ENTRIES:
            raise UserError(f"{source}: more than {MAX_ENTRIES:,} files, links followed; name a folder of images alone")
        relative = path.relative_to(source).as_posix()
        if _is_ignored(relative):
            ignored += 1
            continue
        try:
            check_file(path, limits)
            entries.append(Entry(normal_path(relative), path.read_bytes))
        except BadImage as error:
            shown = normal_path(relative).encode(errors="backslashreplace").decode()
            reason = NOT_FETCHED if is_dangling(path) else str(error)
            refused.append(Refused(shown, reason, path.lstat().st_size))
    entries.sort(key=lambda entry: entry.path)
    return Container(source, entries, sorted(refused, key=lambda file: file.path), ignored)


def _files(folder: Path, above: frozenset[Path]) -> Iterator[Path]:
    """Yield what lies below a folder but folders, links followed; a link back to a folder above it comes as itself."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() and (real := path.resolve()) not in above:
            yield from _files(path, above | {real})
        else:
            yield path


def _zip(source: Path, archive: zipfile.ZipFile, limits: Limits, size: int) -> Container:
    members = [(_member_name(info), info) for info in archive.infolist()]
    _check_zip(source, members, size)
    entries, refused, ignored = [], [], 0
    for name, info in sorted(members, key=lambda member: member[0]):
        if name.endswith("/"):
            continue
        name = normal_path(name)
        if _is_ignored(name):
            ignored += 1
        elif info.file_size > limits.max_bytes:
            refused.append(Refused(name, str(Reason.TOO_LARGE), info.file_size))
        else:
            entries.append(Entry(name, Member(source, archive, info)))
    return Container(source, entries, refused, ignored)


def _member_name(info: zipfile.ZipInfo) -> str:
    """The name of a zip's member, `/` between folders: macOS writes UTF-8 without the flag that says so."""
    name = info.orig_filename
    if not info.flag_bits & UTF8:
        with suppress(UnicodeError):
            name = name.encode("cp437").decode()
    return name.replace("\\", "/")


def _check_zip(source: Path, members: Sequence[tuple[str, zipfile.ZipInfo]], size: int) -> None:
    """Raise UserError for what a zip of images, of `size` bytes, never holds; nothing has been unpacked yet."""

    def refuse(what: str, remedy: str) -> UserError:
        return UserError(f"{source}: not unpacked: {what}; {remedy}")

    if len(members) > MAX_ENTRIES:
        raise refuse(f"{len(members):,} entries, the limit is {MAX_ENTRIES:,}", "make a zip of the images alone")
    for name, member in members:
        kind = stat.S_IFMT(member.external_attr >> 16)
        if name.startswith("/") or ".." in name.split("/") or re.match("[A-Za-z]:", name):
            raise refuse(
                f"the entry {name!r} leads out of the folder, which an archive of images has no need of",
                "get the archive from where it is published, or zip its folder anew",
            )
        if not _is_ignored(name) and any(unicodedata.category(mark) in ("Cc", "Zl", "Zp") for mark in name):
            raise refuse(f"the name of the entry {name!r} has a control character", "rename that file and zip it anew")
        if normal_path(name) == "." and not name.endswith("/"):
            raise refuse("an entry has no name", "zip its folder anew")
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise refuse(f"the entry {name!r} is a link or a device", "zip the files themselves")
        if member.flag_bits & 1:
            raise refuse(f"the entry {name!r} is encrypted", "unpack it with its password, and use the folder")
    files = Counter(normal_path(name) for name, _ in members if not name.endswith("/"))
    for name, count in files.most_common(1):
        if count > 1:
            raise refuse(f"the entry {name!r} is there {count} times", "which one is meant? zip its folder anew")
    total = sum(member.file_size for _, member in members)
    if total > MAX_BYTES or total > MAX_RATIO * size:
        raise refuse(
            f"it would unpack to {total:,} bytes from {size:,}, which images never do",
            "get the archive from where it is published",
        )


@contextmanager
def _damage_named(source: Path, kind: type[UserError] = UserError) -> Iterator[None]:
    try:
        yield
    except PermissionError:
        raise  # says nothing of the zip
    # zipfile passes on whatever the parsers and decoders beneath it raise.
    except Exception as error:
        raise kind(
            f"{source}: not a whole zip ({type(error).__name__}: {error}); "
            "fetch the archive again, or unpack it and use the folder"
        ) from None
