"""A zip or a folder as one thing: a list of files, checked as a whole before the first one is read."""

import os
import stat
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath

from brain_mri.errors import UserError
from brain_mri.images.badimage import BadImage, Limits, Reason, Refused
from brain_mri.images.decode import check_file

# What lies beside images, and no one takes for one: names without an ending, and endings.
BESIDE = {"dicomdir", "readme", "changes", "license", "licence", "autorun", "lockfile", "version", "participants"}
ENDINGS = {
    *("bat", "bval", "bvec", "cfg", "cmd", "css", "csv", "dll", "doc", "docx", "exe", "htm", "html", "ico", "inf"),
    *("ini", "jar", "js", "json", "lnk", "log", "md", "ods", "odt", "pdf", "ppt", "pptx", "py", "rtf", "sh", "tsv"),
    *("txt", "url", "xls", "xlsx", "xml", "yaml", "yml"),
}
MAX_ENTRIES = 500_000
MAX_BYTES = 64 * 2**30  # unpacked, of all files together
MAX_RATIO = 200  # unpacked to packed; images that are mostly black pack 50 to 1, zip bombs 1,000 to 1 and up


@dataclass(frozen=True)
class Entry:
    """A file of a container: posix path relative to its top."""

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
        if len(folders) != 1 or folders & tops or any(entry.path in tops for entry in self.entries):
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

    Raises UserError that says where it was looked for and, with `hint` ("get it from ..."), where it is to be had.
    """
    folder = Path(os.environ.get("BRAIN_MRI_DATA") or downloads)
    for place in (folder / f"{name}.zip", folder / name):
        if place.exists():
            return place
    raise UserError(
        f"data set {name!r}: neither {name}.zip nor a folder {name} in {folder}; "
        f"{f'{hint} and put' if hint else 'put'} it there, or let the environment variable "
        "BRAIN_MRI_DATA name the folder that holds it"
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
            yield _zip(source, archive, limits)
    else:
        raise UserError(f"{source}: not there, or neither a zip nor a folder; put a zip or a folder there")


def _is_ignored(path: str) -> bool:
    """Whether a file is an operating system's own: Finder's and Explorer's, and any hidden one."""
    parts = PurePosixPath(path).parts
    return (
        "__MACOSX" in parts
        or parts[-1].lower() in ("thumbs.db", "desktop.ini")
        or any(part.startswith(".") for part in parts)
    )


def _folder(source: Path, limits: Limits) -> Container:
    entries, refused, ignored = [], [], 0
    for folder, subfolders, names in os.walk(source):
        for name in names + [name for name in subfolders if Path(folder, name).is_symlink()]:
            path = Path(folder, name)
            relative = path.relative_to(source).as_posix()
            if _is_ignored(relative):
                ignored += 1
                continue
            try:
                check_file(path, limits, source)
                entries.append(Entry(relative, path.read_bytes))
            except BadImage as error:
                shown = relative.encode(errors="backslashreplace").decode()
                refused.append(Refused(shown, str(error.reason), path.lstat().st_size))
    entries.sort(key=lambda entry: entry.path)
    return Container(source, entries, sorted(refused, key=lambda file: file.path), ignored)


def _zip(source: Path, archive: zipfile.ZipFile, limits: Limits) -> Container:
    _check_zip(source, archive.infolist())
    entries, refused, ignored = [], [], 0
    for info in sorted(archive.infolist(), key=lambda info: info.filename):
        if info.is_dir():
            continue
        if _is_ignored(info.filename):
            ignored += 1
        elif info.file_size > limits.max_bytes:
            refused.append(Refused(info.filename, str(Reason.TOO_LARGE), info.file_size))
        else:
            entries.append(Entry(info.filename, partial(_read_member, source, archive, info)))
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
    for name, count in Counter(member.filename for member in members).most_common(1):
        if count > 1:
            raise refuse(f"the entry {name!r} is there {count} times")
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
    # zipfile passes on whatever the parsers and decoders beneath it raise.
    except Exception as error:
        raise UserError(
            f"{source}: not a whole zip ({type(error).__name__}: {error}); "
            "fetch the archive again, or unpack it and use the folder"
        ) from None
