"""The parts that a report is put together from; the template knows how each of them looks.

They hold plain text and plain numbers, never markup: the template escapes all of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

TONES = ("bad", "caution", "unknown", "result")  # in the order in which a reader must see them


@dataclass(frozen=True)
class Finding:
    """A sentence that a reader must see; `tone` is one of TONES."""

    tone: str
    text: str


@dataclass(frozen=True)
class Findings:
    items: Sequence[Finding]
    kind: ClassVar[str] = "findings"


@dataclass(frozen=True)
class Prose:
    text: str
    kind: ClassVar[str] = "prose"


@dataclass(frozen=True)
class Cell:
    """A figure of a table, with its interval below where it has one."""

    text: str
    interval: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of text or cells under a header; the first column names the row, the others are figures or words."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]
    words: bool = False  # every column holds words: aligned to the left
    kind: ClassVar[str] = "table"


@dataclass(frozen=True)
class Chart:
    """A chart to hover: a figure of Plotly as plain data, its content in words, and its numbers as a table."""

    name: str  # unique in the page: letters, digits, hyphens
    title: str
    alt: str
    figure: dict[str, Any]
    table: Table | None = None
    note: str = ""
    kind: ClassVar[str] = "chart"


@dataclass(frozen=True)
class Charts:
    """Charts that stand side by side where there is room."""

    items: Sequence[Chart]
    kind: ClassVar[str] = "charts"


@dataclass(frozen=True)
class Picture:
    data: str  # a data: address
    alt: str
    caption: str = ""
    wide: bool = False


@dataclass(frozen=True)
class Pictures:
    items: Sequence[Picture]
    kind: ClassVar[str] = "pictures"


@dataclass(frozen=True)
class Missing:
    """What the study does not have, and the command that makes it."""

    what: str
    command: str
    kind: ClassVar[str] = "missing"


@dataclass(frozen=True)
class Commands:
    lines: Sequence[tuple[str, str]]  # command, what it does
    kind: ClassVar[str] = "commands"


@dataclass(frozen=True)
class Links:
    """Names with an address each; only https and http addresses become links."""

    title: str
    items: Sequence[str]
    kind: ClassVar[str] = "links"


@dataclass(frozen=True)
class Heading:
    text: str
    kind: ClassVar[str] = "heading"


@dataclass(frozen=True)
class More:
    """Blocks behind a line that opens them."""

    summary: str
    blocks: Sequence[Any]
    kind: ClassVar[str] = "more"


@dataclass(frozen=True)
class Section:
    name: str  # its anchor
    title: str
    blocks: list[Any] = field(default_factory=list)
