"""The tables of the model and data cards say what the committed metrics say."""

import importlib.util
import json
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("figures", ROOT / "docs" / "figures.py")
assert spec and spec.loader
figures = importlib.util.module_from_spec(spec)
spec.loader.exec_module(figures)


@cache
def committed(path: str) -> Any:
    """A metrics file as git has it: a run on another machine may have changed the one in the working tree a little."""
    done = subprocess.run(["git", "show", f"HEAD:{path}"], cwd=ROOT, capture_output=True, text=True)
    return json.loads(done.stdout if done.returncode == 0 else (ROOT / path).read_text())


@pytest.mark.parametrize("card", figures.CARDS)
def test_each_figure_is_the_metrics_(card: str) -> None:
    text = (ROOT / card).read_text()
    assert text.splitlines() == figures.renewed(text, committed).splitlines(), "python docs/figures.py renews them"
    rows = sum(bool(figures.ROW.match(line)) for line in text.splitlines())
    assert rows == len(re.findall(r"^\|.*\.json ", text, re.M))
    assert rows > 30


def test_a_changed_metric_changes_its_row_alone() -> None:
    card = "\n".join(
        [
            "| | where in `metrics/` | no augmentation | train-only augmentation |",
            "|---|---|---|---|",
            "| accuracy | `{}.json test.all.accuracy` | 0.1 | 0.2 |",
            "| kept | `probe.json {}.kept.value` | ? | ? |",
            "| images | `dataset.json n` | 7 |",
            "| of all folds | `folds.json {}.slices.metrics.accuracy` | ? | ? |",
            "| in words | none | - |",
        ]
    )
    metrics = {
        "metrics/noaug.json": {"test": {"all": {"accuracy": 0.8125}}},
        "metrics/aug.json": {"test": {"all": {"accuracy": None}}},
        "metrics/intervals.json": {"noaug": {"all": {"accuracy": [0.7, 0.9]}}, "aug": {"all": {"accuracy": None}}},
        "metrics/probe.json": {p: {"kept": {"value": 1.0, "interval": [0.5, 1.0]}} for p in ("noaug", "aug")},
        "metrics/dataset.json": {"n": 1311},
        "metrics/folds.json": {
            p: {"slices": {"metrics": {"accuracy": 0.75}, "intervals": {"accuracy": [0.5, 1.0]}}}
            for p in ("noaug", "aug")
        },
    }
    rows = figures.renewed(card, metrics.__getitem__).splitlines()
    dash = "\N{EN DASH}"
    assert rows[2].endswith(f"` | 0.813 (0.700{dash}0.900) | none |")
    assert rows[3].endswith(f"` | 1.000 (0.500{dash}1.000) | 1.000 (0.500{dash}1.000) |")
    assert rows[4] == "| images | `dataset.json n` | 1,311 |"
    assert rows[5].endswith(f"` | 0.750 (0.500{dash}1.000) | 0.750 (0.500{dash}1.000) |")
    assert [rows[i] for i in (0, 1, 6)] == [card.splitlines()[i] for i in (0, 1, 6)]
