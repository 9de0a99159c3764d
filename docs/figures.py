"""Renew the figures in the tables of the model and data card from the studies' metrics.

    python docs/figures.py

A row names where its figures come from: `<file> <key>`, in the folder that the table's header names; {} stands for each
pipeline. An interval, where the metrics have one, follows in brackets. tests/integration/test_cards.py holds the cards
to it.
"""

import argparse
import json
import re
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CARDS = ("docs/model-card.md", "docs/data-card.md")
HEADER = re.compile(r"\|.*\| where in `(?P<folder>\S+/)` \|")
ROW = re.compile(r"(?P<place>\| .*? \| `(?P<file>\S+\.json) (?P<key>\S+)` \|) .+ \|$")

Read = Callable[[str], Any]  # a metrics file, as parsed JSON, from its path below the root


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    for card in CARDS:
        path = ROOT / card
        path.write_text(renewed(path.read_text(), lambda name: json.loads((ROOT / name).read_text())))


def renewed(text: str, read: Read) -> str:
    """The card with the figures of its tables replaced by those of the metrics."""
    folder, lines = "", []
    for line in text.splitlines():
        if header := HEADER.match(line):
            folder = header["folder"]
        if row := ROW.match(line):
            pipelines = ["noaug", "aug"] if "{}" in row["file"] + row["key"] else [""]
            cells = [cell(read, folder, row["file"].replace("{}", p), row["key"].replace("{}", p)) for p in pipelines]
            line = f"{row['place']} {' | '.join(cells)} |"
        lines.append(line)
    return "\n".join(lines) + "\n"


def cell(read: Read, folder: str, file: str, key: str) -> str:
    """A value with 3 decimals, halves up, and its interval."""
    table, interval = read(folder + file), None
    if key.endswith(".value"):
        interval = look_up(table, key.removesuffix("value") + "interval")
    elif file in ("noaug.json", "aug.json") and key.startswith(("test.", "patients.", "external.")):
        intervals = read(f"{folder}intervals.json")[file.removesuffix(".json")]
        interval = look_up(intervals, key.removeprefix("test."))
    elif ".metrics." in key:  # of all folds
        interval = look_up(table, key.replace(".metrics.", ".intervals."))
    shown = plain(look_up(table, key))
    return shown + (f" ({plain(interval[0])}\N{EN DASH}{plain(interval[1])})" if interval else "")


def look_up(table: Any, key: str) -> Any:
    for part in key.split("."):
        table = table[part]
    return table


def plain(value: float | None) -> str:
    if value is None:
        return "none"
    if isinstance(value, int):
        return f"{value:,}"
    return str(Decimal(repr(value)).quantize(Decimal("0.001"), ROUND_HALF_UP))


if __name__ == "__main__":
    main()
