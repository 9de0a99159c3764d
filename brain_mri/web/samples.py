"""Images to try the page with: phantoms, of the study's test set where it has some, else drawn."""

from collections import Counter
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

from brain_mri.errors import UserError
from brain_mri.files import read_csv
from brain_mri.params import Params
from brain_mri.phantoms.phantom import CLASSES, phantom
from brain_mri.web.answering import png

EACH = 2  # images of a class
SEED = 2_000_000_000  # no study trains on this one unless someone is bent on it


class Sample(NamedTuple):
    """A phantom of a class; `read` gives its PNG, the first time perhaps after seconds."""

    label: str
    read: Callable[[], bytes]


def samples(folder: Path, params: Params) -> list[Sample]:
    """Two phantoms of each class: test images of a study of phantoms that has been run, else drawn when asked for."""
    found = made(folder) if params.dataset.source == "phantom" else []
    return found or [
        Sample(label, cache(partial(drawn, label, index)))
        for index, label in enumerate(label for label in CLASSES for _ in range(EACH))
    ]


def made(folder: Path) -> list[Sample]:
    """The first test images of each class that are there."""
    try:
        rows = read_csv(folder / "data/split/test.csv")
    except UserError:
        return []
    taken: Counter[str] = Counter()
    found = []
    for row in rows:
        path, label = folder / "data/raw" / row["path"], row["label"]
        if taken[label] < EACH and path.is_file():
            taken[label] += 1
            found.append(Sample(label, path.read_bytes))
    return sorted(found, key=lambda sample: sample.label)


def drawn(label: str, index: int) -> bytes:
    """Draw a phantom: a PNG."""
    return png(phantom(label, SEED, index).image)
