"""What a row measures with, and what it finds."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rows.running import ROOT, Figure, Measured


@dataclass
class Settings:
    """How to measure. `quick`: everything small, to see that it runs; its numbers mean nothing."""

    quick: bool = False
    repeats: int = 3
    peers: list[str] = field(default_factory=list)  # interpreters
    study: Path = ROOT / "studies/compact-grouped"  # whose images row `momentum` trains on
    step_rates: dict[str, Figure] = field(default_factory=dict)  # images/s of our training, by network, once measured

    def take(self, full: int, quick: int) -> int:
        """Return the size for this run."""
        return quick if self.quick else full


@dataclass
class Line:
    """A comparison. `ratio` is at least 1 where ours is at least as good, or what the bar speaks of."""

    what: str
    unit: str
    ours: Figure | str | None
    peer: str
    theirs: Figure | str | None  # a text says why there is none
    ratio: float | None = None
    bar: str = ""
    met: bool | None = None
    more: dict[str, Any] = field(default_factory=dict)  # for the JSON alone

    def cells(self) -> list[str]:
        """Return the cells of the table's line."""
        theirs = "-" if self.theirs is None else str(self.theirs)
        ratio = "-" if self.ratio is None else f"{self.ratio:.2f}" if self.ratio < 100 else f"{self.ratio:.0f}"
        verdict = "" if self.met is None else ": met" if self.met else ": missed"
        return [f"{self.what}, {self.unit}", str(self.ours or "-"), self.peer, theirs, ratio, self.bar + verdict]

    def json(self) -> dict[str, Any]:
        """Return the line for the JSON: every repeat, not only the median and the spread."""
        return {
            "what": self.what,
            "unit": self.unit,
            "ours": _json(self.ours),
            "peer": self.peer,
            "theirs": _json(self.theirs),
            "ratio": self.ratio,
            "bar": self.bar,
            "met": self.met,
            **self.more,
        }


def _json(figure: Figure | str | None) -> Any:
    if not isinstance(figure, Figure):
        return figure
    return {"median": figure.median, "min": min(figure.values), "max": max(figure.values), "repeats": figure.values}


def rate_of(measured: Measured | str, amount: float) -> Figure | str:
    """Return the rate of a way, amount a second, or why there is none."""
    return measured if isinstance(measured, str) else measured.figure(amount)


def against(
    what: str, unit: str, ours: Figure, peer: str, theirs: Figure | str, at_least: float | None = None, **more: Any
) -> Line:
    """Compare two rates; the bar is a ratio of at least so much."""
    ratio = ours.median / theirs.median if isinstance(theirs, Figure) else None
    bar = "" if at_least is None else f">= {at_least:g}x"
    met = None if at_least is None or ratio is None else ratio >= at_least
    return Line(what, unit, ours, peer, theirs, ratio, bar, met, more)
