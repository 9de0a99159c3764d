"""The parts that a report is put together from; the template knows how each of them looks.

They hold plain text and plain numbers, never markup: the template escapes all of it. A string is a paragraph.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

TONES = ("bad", "caution", "unknown", "result")  # in the order in which a reader must see them


class Finding(NamedTuple):
    """A sentence that a reader must see; `tone` is one of TONES."""

    tone: str
    text: str


class Findings(NamedTuple):
    items: Sequence[Finding]


class Cell(NamedTuple):
    """A figure of a table, with its interval below where it has one."""

    text: str
    interval: str = ""


class Table(NamedTuple):
    """Rows under a header; the first column names the row, the others are what `words.cell` takes."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[Any]]
    words: bool = False  # every column holds words: aligned to the left


class Chart(NamedTuple):
    """A chart to hover: a figure of Plotly as plain data, its content in words, and its numbers as a table."""

    name: str  # unique in the page: letters, digits, hyphens
    title: str
    alt: str
    figure: dict[str, Any]
    table: Table | None = None
    note: str = ""


class Charts(NamedTuple):
    """Charts that stand side by side where there is room."""

    items: Sequence[Chart]


class Picture(NamedTuple):
    data: str  # a data: address
    alt: str
    caption: str = ""
    wide: bool = False


class Pictures(NamedTuple):
    items: Sequence[Picture]


class Missing(NamedTuple):
    """What the study does not have, and the command that makes it."""

    what: str
    command: str


class Commands(NamedTuple):
    lines: Sequence[tuple[str, str]]  # command, what it does


class Links(NamedTuple):
    """Names with an address each; only https and http addresses become links."""

    title: str
    items: Sequence[str]


class Heading(NamedTuple):
    text: str


class More(NamedTuple):
    """Blocks behind a line that opens them."""

    summary: str
    blocks: Sequence[Any]


class Section(NamedTuple):
    name: str  # its anchor
    title: str
    blocks: Sequence[Any]
