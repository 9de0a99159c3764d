"""The parts that a report is put together from; the template knows how each of them looks.

They hold plain text and plain numbers, never markup: the template escapes all of it. A string is a paragraph.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

TONES = ("bad", "caution", "unknown", "result")  # in the order in which a reader must see them


@dataclass(frozen=True)
class Block:
    @property
    def kind(self) -> str:
        return type(self).__name__.lower()


@dataclass(frozen=True)
class Finding:
    """A sentence that a reader must see; `tone` is one of TONES."""

    tone: str
    text: str


@dataclass(frozen=True)
class Findings(Block):
    items: Sequence[Finding]


@dataclass(frozen=True)
class Cell:
    """A figure of a table, with its interval below where it has one."""

    text: str
    interval: str = ""


@dataclass(frozen=True)
class Table(Block):
    """Rows under a header; the first column names the row, the others are what `words.cell` takes."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[Any]]
    words: bool = False  # every column holds words: aligned to the left


@dataclass(frozen=True)
class Chart(Block):
    """A chart to hover: a figure of Plotly as plain data, its content in words, and its numbers as a table."""

    name: str  # unique in the page: letters, digits, hyphens
    title: str
    alt: str
    figure: dict[str, Any]
    table: Table | None = None
    note: str = ""


@dataclass(frozen=True)
class Charts(Block):
    """Charts that stand side by side where there is room."""

    items: Sequence[Chart]


@dataclass(frozen=True)
class Picture:
    data: str  # a data: address
    alt: str
    caption: str = ""
    wide: bool = False


@dataclass(frozen=True)
class Pictures(Block):
    items: Sequence[Picture]


@dataclass(frozen=True)
class Missing(Block):
    """What the study does not have, and the command that makes it."""

    what: str
    command: str


@dataclass(frozen=True)
class Commands(Block):
    lines: Sequence[tuple[str, str]]  # command, what it does


@dataclass(frozen=True)
class Links(Block):
    """Names with an address each; only https and http addresses become links."""

    title: str
    items: Sequence[str]


@dataclass(frozen=True)
class Heading(Block):
    text: str


@dataclass(frozen=True)
class More(Block):
    """Blocks behind a line that opens them."""

    summary: str
    blocks: Sequence[Any]


@dataclass(frozen=True)
class Section:
    name: str  # its anchor
    title: str
    blocks: Sequence[Any]
