"""Numbers and names as people read them, and the terms that a report explains where it first uses them."""

import re
from collections.abc import Mapping, Sequence
from math import isnan
from pathlib import Path
from typing import Any, NamedTuple

from brain_mri.files import read_yaml
from brain_mri.heatmaps import HEAT_MAPS
from brain_mri.report.blocks import Cell

DASH, MINUS = "\u2013", "\u2212"  # en dash, minus sign
Rate = Mapping[str, Any]  # value, interval

TERMS: dict[str, str] = read_yaml(Path(__file__).parent / "templates/terms.yaml")


class Piece(NamedTuple):
    """A stretch of running text."""

    text: str
    kind: str = "words"  # words, code, or term
    explanation: str = ""


class Glossary:
    """Cuts running text into pieces: code between backticks, and terms, each explained where it comes first."""

    def __init__(self) -> None:
        self.used: dict[str, str] = {}
        names = "|".join(re.escape(name) for name in sorted(TERMS, key=len, reverse=True))
        self._pattern = re.compile(rf"`(?P<code>[^`]+)`|(?<![\w-])(?P<term>{names})(?![\w-])")

    def pieces(self, text: str) -> list[Piece]:
        """Cut `text`; a term that was explained before is words like others."""
        found, end = [], 0
        for match in self._pattern.finditer(text):
            term, code = match["term"], match["code"]
            if term in self.used:
                continue
            found.append(Piece(text[end : match.start()]))
            if term:
                self.used[term] = TERMS[term]
                found.append(Piece(term, "term", TERMS[term]))
            else:
                found.append(Piece(code, "code"))
            end = match.end()
        return [*found, Piece(text[end:])]


def number(value: float | None, digits: int = 3, sign: str = "") -> str:
    """A metric; a dash where it is not defined. `sign` "+" shows it of a positive one too."""
    return DASH if value is None or isnan(value) else f"{value:{sign}.{digits}f}".replace("-", MINUS)


def bounds(interval: Sequence[float] | None) -> str:
    """An interval such as 0.919 to 0.968, with a dash for "to"; empty where there is none."""
    return "" if interval is None else DASH.join(map(number, interval))


def percent(value: float | None) -> str:
    """A share as people say it: 94.9 %."""
    return DASH if value is None else f"{100 * value:.1f} %"


def share(rate: Rate, interval: str = "95 % interval ") -> str:
    """A share with its interval in words; `interval`: what it is called, empty where that was just said."""
    if rate["value"] is None:
        return "not defined"
    ends = rate["interval"]
    return percent(rate["value"]) + (f" ({interval}{100 * ends[0]:.1f} to {100 * ends[1]:.1f} %)" if ends else "")


def cell(value: Any) -> Cell:
    """A cell of a table: text as it is, a count with commas, a number with 3 decimals, a rate with its interval."""
    if isinstance(value, Cell):
        return value
    if isinstance(value, Mapping):
        return Cell(number(value["value"]), bounds(value["interval"]))
    if isinstance(value, str):
        return Cell(value)
    return Cell(f"{value:,}" if isinstance(value, int) else number(value))


def listed(parts: Sequence[str]) -> str:
    """a, b and c."""
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]])) if parts else ""


NAMES = {
    **{method: facts.name for method, facts in HEAT_MAPS.items()},
    "iou": "IoU",
    "energy_in_mask": "energy in the lesion",
    "area": "share of the image that is lesion",
    "mean_lesion": "map fixed at the usual places",
    "flip_lr": "mirrored left-right",
    "flip_ud": "mirrored top-bottom",
    "identity": "not turned",
    "rot90": "turned by 90 degrees",
    "rot180": "turned by 180 degrees",
    "rot270": "turned by 270 degrees",
    "transpose": "mirrored along a diagonal",
    "antitranspose": "mirrored along the other diagonal",
}


def readable(key: str) -> str:
    """A key of a JSON file as people write it."""
    return NAMES.get(key, key.replace("_", " "))
