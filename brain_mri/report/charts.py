"""Charts of a report as figures of Plotly. Colours of text, axes and background come from the page's light or dark.

Each function returns a Chart with its content in words and its numbers as a table. Text is escaped here because Plotly
reads a little HTML in it.
"""

import html
import json
from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any

import plotly.graph_objects as go  # type: ignore[import-untyped]

from brain_mri.report.blocks import Cell, Chart, Table
from brain_mri.report.words import DASH, bounds, number

COLOURS = {"noaug": "#d9730d", "aug": "#3b82f6"}  # both stand out on white and on near black
GREY = "#8b8f98"
LEVELS = {"bytes": "#dc4a3d", "pixels": "#d9730d", "near": "#c9a227", "without a copy": "#4b9b6e"}
NAMES = {"noaug": "no augmentation", "aug": "train-only augmentation"}
MARKS = {"noaug": "circle", "aug": "diamond"}
Rates = Mapping[str, Mapping[str, Any] | None]  # row -> {value, interval}


def safe(text: str) -> str:
    """Text that Plotly shows as it is."""
    return html.escape(str(text), quote=False)


def chart(
    name: str, title: str, alt: str, figure: go.Figure, height: int, table: Table | None, note: str = ""
) -> Chart:
    """Give a figure the looks of all charts, and make it plain data."""
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 12, "t": 8, "b": 8},
        legend={"orientation": "h", "y": -0.02, "yref": "container", "yanchor": "bottom", "x": 0, "xanchor": "left"},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        hoverlabel={"align": "left"},
        template="none",
    )
    for update in (figure.update_xaxes, figure.update_yaxes):
        update(automargin=True, zeroline=False, fixedrange=True, title_standoff=12)
    return Chart(name, title, alt, json.loads(figure.to_json()), table, note)


def rates(
    name: str,
    title: str,
    by_pipeline: Mapping[str, Rates],
    references: Mapping[str, Mapping[str, float]] | None = None,
    axis: str = "share of the images",
    note: str = "",
) -> Chart:
    """Rates with their intervals, a row each, a mark a pipeline; `references` are more marks, {name: {row: value}}."""
    rows = list(dict.fromkeys(row for table in by_pipeline.values() for row in table))
    figure = go.Figure()
    for place, (pipeline, table) in enumerate(by_pipeline.items()):
        shown = [(row, rate) for row in rows if (rate := table.get(row)) and rate["value"] is not None]
        values = [rate["value"] for _, rate in shown]
        ends = [rate["interval"] or (rate["value"], rate["value"]) for _, rate in shown]
        shift = 0.15 * (2 * place - len(by_pipeline) + 1)
        figure.add_scatter(
            x=values,
            y=[rows.index(row) + shift for row, _ in shown],
            mode="markers",
            name=NAMES.get(pipeline, pipeline),
            marker={"color": COLOURS.get(pipeline, GREY), "size": 9, "symbol": MARKS.get(pipeline, "square")},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [high - value for value, (_, high) in zip(values, ends, strict=True)],
                "arrayminus": [value - low for value, (low, _) in zip(values, ends, strict=True)],
                "thickness": 2,
                "width": 4,
            },
            customdata=[[safe(row), bounds(rate["interval"])] for row, rate in shown],
            hovertemplate="%{customdata[0]}<br>%{x:.3f} (%{customdata[1]})<extra>" + pipeline + "</extra>",
        )
    _add_references(figure, rows, references or {})
    figure.update_xaxes(range=[-0.02, 1.02], title=axis)
    figure.update_yaxes(
        tickvals=list(range(len(rows))),
        ticktext=["<br>".join(map(safe, wrap(row, 22))) for row in rows],
        range=[len(rows) - 0.4, -0.6],
    )
    head = ["", *(f"{pipeline}" for pipeline in by_pipeline), *(references or {})]
    lines: list[list[str | Cell]] = [
        [
            row,
            *(_cell(table.get(row)) for table in by_pipeline.values()),
            *(number(values_of.get(row)) for values_of in (references or {}).values()),
        ]
        for row in rows
    ]
    alt = f"{title}. " + " ".join(
        f"{row}: " + ", ".join(f"{p} {_words(t.get(row))}" for p, t in by_pipeline.items()) + "." for row in rows
    )
    return chart(name, title, alt, figure, 120 + 46 * len(rows), Table(title, head, lines), note)


def _add_references(figure: go.Figure, rows: Sequence[str], references: Mapping[str, Mapping[str, float]]) -> None:
    for place, (reference, values_of) in enumerate(references.items()):
        known = [row for row in rows if row in values_of]
        figure.add_scatter(
            x=[values_of[row] for row in known],
            y=[rows.index(row) for row in known],
            mode="markers",
            name=safe(reference),
            marker={
                "symbol": ["line-ns", "x-thin", "cross-thin"][place % 3],
                "size": 15,
                "line": {"width": 2, "color": GREY},
            },
            customdata=[safe(row) for row in known],
            hovertemplate="%{customdata}<br>%{x:.3f}<extra>" + safe(reference) + "</extra>",
        )


def _cell(rate: Mapping[str, Any] | None) -> Cell:
    return Cell(DASH) if not rate else Cell(number(rate["value"]), bounds(rate["interval"]))


def _words(rate: Mapping[str, Any] | None) -> str:
    if not rate or rate["value"] is None:
        return "not defined"
    return number(rate["value"]) + (f" ({bounds(rate['interval'])})" if rate["interval"] else "")


def lines(
    name: str,
    title: str,
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    styles: Mapping[str, Mapping[str, Any]],
    axes: tuple[str, str],
    alt: str,
    table: Table | None = None,
    **layout: Any,
) -> Chart:
    """Curves by name; `styles` are lines of Plotly by the same names."""
    figure = go.Figure()
    for curve, (x, y) in curves.items():
        figure.add_scatter(
            x=[float(value) for value in x],
            y=[None if value is None else float(value) for value in y],
            name=safe(curve),
            mode="lines+markers" if len(x) <= 40 else "lines",
            line=styles[curve],
            marker={"size": 5},
            hovertemplate="%{x:.4~g}: %{y:.3f}<extra>" + safe(curve) + "</extra>",
        )
    figure.update_xaxes(title=axes[0])
    figure.update_yaxes(title=axes[1])
    figure.update_layout(**layout)
    return chart(name, title, alt, figure, 380, table)


def stacked(
    name: str, title: str, bars: Mapping[str, Mapping[str, int]], alt: str, colours: Mapping[str, str] = LEVELS
) -> Chart:
    """Counts stacked by level, {level: {row: count}}, a bar a row."""
    figure = go.Figure()
    rows = list(next(iter(bars.values())))
    for level, counts in bars.items():
        figure.add_bar(
            y=[safe(row) for row in rows],
            x=[counts[row] for row in rows],
            name=safe(level),
            orientation="h",
            marker={"color": colours.get(level, GREY)},
            hovertemplate="%{y}: %{x} images<extra>" + safe(level) + "</extra>",
        )
    figure.update_layout(barmode="stack", bargap=0.35)
    figure.update_yaxes(autorange="reversed", type="category")
    figure.update_xaxes(title="images")
    table = Table(title, ["", *bars], [[row, *(f"{counts[row]:,}" for counts in bars.values())] for row in rows])
    return chart(name, title, alt, figure, 130 + 40 * len(rows), table)
