"""Collections of images that a person names for an audit: listed with care, then described on all workers."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from brain_mri.copies.descriptions import Description, describe, write_descriptions
from brain_mri.decoding.decode import decode_grey
from brain_mri.errors import UserError
from brain_mri.files import progress
from brain_mri.images.badimage import Limits
from brain_mri.images.groups import Integers
from brain_mri.prediction.inputs import UNREADABLE, Input, Unread, list_inputs
from brain_mri.sources.names import find_file
from brain_mri.workers import workers

CHUNK = 32  # images a task of a worker


@dataclass(frozen=True)
class Collection:
    """A folder, a zip or a CSV as a list of images; `unread`: what must not be opened."""

    name: str
    images: list[Input]
    unread: list[Unread]


@dataclass(frozen=True)
class Described:
    """The N images that could be read, sorted by path, and the files that could not."""

    collections: list[str]
    paths: list[str] = field(default_factory=list)  # (N,)
    owners: list[int] = field(default_factory=list)  # (N,) index into `collections`
    unread: list[Unread] = field(default_factory=list)

    @property
    def owner(self) -> Integers:
        return np.array(self.owners, np.int64)


@contextmanager
def open_collections(sources: Sequence[Path], limits: Limits) -> Iterator[list[Collection]]:
    """List the images of folders, zips and CSVs (a column `path`); zips stay open as long as the context.

    Raises UserError for what is not there or has no images, and for a folder that is named twice or within another:
    each of its images would be a copy of itself."""
    _check_apart(sources)
    collections = []
    with ExitStack() as stack:
        for source, name in zip(sources, _names(sources), strict=True):
            table = source.suffix.lower() == ".csv"
            listed = list_inputs([] if table else [source], source if table else None, limits)
            images, refused = stack.enter_context(listed)
            if table:  # two tables may have equal names, and --keep writes names that are seen from here
                images = [replace(image, name=str(find_file(source.parent, image.name))) for image in images]
            collections.append(Collection(name, images, refused))
        yield collections


def _check_apart(sources: Sequence[Path]) -> None:
    real = [find_file(Path(), str(source)).resolve() for source in sources]
    for place, (source, path) in enumerate(zip(sources, real, strict=True)):
        for earlier, other in zip(sources[:place], real[:place], strict=True):
            if path == other:
                raise UserError(f"{source}: named twice; each of its images would be a copy of itself")
            if path.is_relative_to(other) or other.is_relative_to(path):
                inner, outer = (source, earlier) if path.is_relative_to(other) else (earlier, source)
                raise UserError(f"{inner}: lies in {outer}, so each of its images would be a copy of itself; name one")


def _names(sources: Sequence[Path]) -> list[str]:
    """What tells the collections apart: the last part of each path, or the paths where two end alike."""
    last = [source.resolve().name for source in sources]
    return last if len(set(last)) == len(last) else [str(source) for source in sources]


def describe_collections(collections: Sequence[Collection], limits: Limits, folder: Path) -> Described:
    """Describe every image, into `folder` (see `write_descriptions`). Raises UserError for a collection of which no
    image can be read."""
    described = Described([collection.name for collection in collections])
    images = [(place, image) for place, collection in enumerate(collections) for image in collection.images]
    # Of equal images the first stands for all, so that by which name a pair goes must not hang on the order of naming.
    images.sort(key=lambda owned: owned[1].name)
    work = partial(_describe_one, limits=limits)
    tasks = -(-len(images) // CHUNK)
    with write_descriptions(folder) as write_description, workers(tasks) as pool:
        results = pool.map(work, (image for _, image in images), CHUNK)
        for (place, image), result in zip(images, progress(results, "described", len(images)), strict=True):
            if isinstance(result, Unread):
                collections[place].unread.append(result)
            else:
                described.paths.append(image.name)
                described.owners.append(place)
                write_description(image.name, *result)
    for place, collection in enumerate(collections):
        if place not in described.owners:
            path, reason = collection.unread[0]
            files = f"none of its {len(collection.unread):,} files can be read; the first, {path}: {reason}"
            raise UserError(f"{collection.name}: {files}")
        described.unread.extend(collection.unread)
    return described


def _describe_one(image: Input, limits: Limits) -> tuple[str, Description] | Unread:
    """The digest of the file and the description of the image, or why it cannot be read; runs in a worker."""
    try:
        data = image.read()
        return hashlib.sha256(data).hexdigest(), describe(decode_grey(data, limits, image.name))
    except UNREADABLE as error:
        return Unread.because(image, error)
