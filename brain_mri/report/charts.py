"""Charts of a report as figures of Plotly. Colours of text, axes and background come from the page's light or dark.

Each function returns a Chart with its content in words and its numbers as a table. Text is escaped here because Plotly
reads a little HTML in it.
"""

import html
import json
from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any

import numpy as np
import plotly.graph_objects as go  # type: ignore[import-untyped]

from brain_mri.report.blocks import Cell, Chart, Table
from brain_mri.report.words import Rate, bounds, listed, number, percent

COLOURS = {"noaug": "#d9730d", "aug": "#3b82f6"}  # both stand out on white and on near black
GREY = "#8b8f98"
LEVELS = {"bytes": "#dc4a3d", "pixels": "#d9730d", "near": "#c9a227", "without a copy": "#4b9b6e"}
NAMES = {"noaug": "no augmentation", "aug": "train-only augmentation"}
MARKS = {"noaug": "circle", "aug": "diamond"}
REFERENCES = ("line-ns", "x-thin", "cross-thin")  # marks

Curve = tuple[Sequence[float], Sequence[float], Mapping[str, Any]]  # x, y, line of Plotly


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
    by_pipeline: Mapping[str, Mapping[str, Rate]],
    references: Mapping[str, Mapping[str, float]] | None = None,
    axis: str = "share of the images",
    note: str = "",
) -> Chart:
    """Rates {pipeline: {row: rate}} with their intervals, a mark a pipeline; `references` are more marks,
    {name: {row: value}}."""
    rows = list(dict.fromkeys(row for table in by_pipeline.values() for row in table))
    figure = go.Figure()
    for place, (pipeline, table) in enumerate(by_pipeline.items()):
        shown = [(row, rate) for row in rows if (rate := table.get(row)) and rate["value"] is not None]
        values = np.array([rate["value"] for _, rate in shown], float)
        ends = np.array([rate["interval"] or [rate["value"]] * 2 for _, rate in shown], float).reshape(-1, 2)
        figure.add_scatter(
            x=values.tolist(),
            y=[rows.index(row) + 0.15 * (2 * place - len(by_pipeline) + 1) for row, _ in shown],
            mode="markers",
            name=NAMES[pipeline],
            marker={"color": COLOURS[pipeline], "size": 9, "symbol": MARKS[pipeline]},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": (ends[:, 1] - values).tolist(),
                "arrayminus": (values - ends[:, 0]).tolist(),
                "thickness": 2,
                "width": 4,
            },
            customdata=[[safe(row), bounds(rate["interval"])] for row, rate in shown],
            hovertemplate="%{customdata[0]}<br>%{x:.3f} (%{customdata[1]})<extra>" + pipeline + "</extra>",
        )
    references = references or {}
    for mark, (reference, known) in zip(REFERENCES, references.items(), strict=False):
        figure.add_scatter(
            x=list(known.values()),
            y=[rows.index(row) for row in known],
            mode="markers",
            name=safe(reference),
            marker={"symbol": mark, "size": 15, "line": {"width": 2, "color": GREY}},
            customdata=[safe(row) for row in known],
            hovertemplate="%{customdata}<br>%{x:.3f}<extra>" + safe(reference) + "</extra>",
        )
    figure.update_xaxes(range=[-0.02, 1.02], title=axis)
    figure.update_yaxes(
        tickvals=list(range(len(rows))),
        ticktext=["<br>".join(map(safe, wrap(row, 22))) for row in rows],
        range=[len(rows) - 0.4, -0.6],
    )
    columns: list[Mapping[str, Any]] = [*by_pipeline.values(), *references.values()]
    numbers = Table(title, ["", *by_pipeline, *references], [[row, *(c.get(row) for c in columns)] for row in rows])
    alt = f"{title}. " + " ".join(
        f"{row}: " + ", ".join(f"{p} {_words(t.get(row))}" for p, t in by_pipeline.items()) + "." for row in rows
    )
    return chart(name, title, alt, figure, 120 + 46 * len(rows), numbers, note)


def _words(rate: Rate | None) -> str:
    if not rate or rate["value"] is None:
        return "not defined"
    return number(rate["value"]) + (f" ({bounds(rate['interval'])})" if rate["interval"] else "")


def lines(
    name: str,
    title: str,
    curves: Mapping[str, Curve],
    axes: tuple[str, str],
    alt: str,
    ticks: Sequence[str] = (),
    points: Sequence[float] = (),
    **layout: Any,
) -> Chart:
    """Curves by name; `ticks` name the places 0, 1, ... of the x axis; the table has the curves at `points`, none: at
    each of their places."""
    figure = go.Figure()
    for curve, (x, y, line) in curves.items():
        figure.add_scatter(
            x=list(x),
            y=list(y),
            name=safe(curve),
            mode="lines+markers" if len(x) <= 40 else "lines",
            line=line,
            marker={"size": 5},
            hovertemplate="%{x:.4~g}: %{y:.3f}<extra>" + safe(curve) + "</extra>",
        )
    figure.update_xaxes(title=axes[0])
    figure.update_yaxes(title=axes[1])
    figure.update_layout(**layout)
    if ticks:
        figure.update_xaxes(tickvals=list(range(len(ticks))), ticktext=[safe(tick) for tick in ticks])
    places = points or sorted({place for x, _, _ in curves.values() for place in x})
    table = Table(
        title,
        [axes[0], *curves],
        [
            [
                ticks[int(place)] if ticks else f"{place:g}",
                *(float(np.interp(place, x, y, right=np.nan)) for x, y, _ in curves.values()),
            ]
            for place in places
        ],
    )
    return chart(name, title, alt, figure, 380, table)


def learning(histories: Mapping[str, Sequence[Mapping[str, str]]], metric: str) -> Chart:
    """Training and validation of both pipelines over the epochs."""
    curves: dict[str, Curve] = {
        f"{pipeline}, {what}": (
            [int(float(row["epoch"])) for row in rows],
            [float(row[column]) for row in rows],
            {"color": COLOURS[pipeline], "width": 2, "dash": dash},
        )
        for pipeline, rows in histories.items()
        for what, column, dash in (("training", metric, "dot"), ("validation", f"val_{metric}", "solid"))
    }
    ends = [f"{label} ends at {number(y[-1])}" for label, (_, y, _) in curves.items()]
    alt = f"{metric.capitalize()} by epoch. After {max(map(len, histories.values()))} epochs {listed(ends)}."
    return lines(f"learning-{metric}", metric.capitalize(), curves, ("epoch", metric), alt)


def stacked(name: str, title: str, bars: Mapping[str, Mapping[str, int]], alt: str) -> Chart:
    """Counts stacked by level of LEVELS, {level: {row: count}}, a bar a row."""
    figure = go.Figure()
    rows = list(next(iter(bars.values())))
    for level, counts in bars.items():
        figure.add_bar(
            y=[safe(row) for row in rows],
            x=[counts[row] for row in rows],
            name=safe(level),
            orientation="h",
            marker={"color": LEVELS[level]},
            hovertemplate="%{y}: %{x} images<extra>" + safe(level) + "</extra>",
        )
    figure.update_layout(barmode="stack", bargap=0.35)
    figure.update_yaxes(autorange="reversed", type="category")
    figure.update_xaxes(title="images")
    table = Table(title, ["", *bars], [[row, *(counts[row] for counts in bars.values())] for row in rows])
    return chart(name, title, alt, figure, 130 + 40 * len(rows), table)


def confusion(name: str, title: str, matrix: np.ndarray, classes: Sequence[str]) -> Chart:
    """A confusion matrix, int (C, C), actual classes down: coloured by share of the row, with counts."""
    totals = matrix.sum(1, keepdims=True)
    shares = matrix / np.maximum(totals, 1)
    labels = [safe(label) for label in classes]
    figure = go.Figure(
        go.Heatmap(
            z=shares.tolist(),
            x=labels,
            y=labels,
            zmin=0,
            zmax=1,
            xgap=2,
            ygap=2,
            colorscale=[[0, "rgba(59,130,246,0.05)"], [1, "rgba(59,130,246,0.85)"]],
            showscale=False,
            customdata=matrix.tolist(),
            hovertemplate="actual %{y}, predicted %{x}<br>%{customdata} images, %{z:.1%} of the actual<extra></extra>",
        )
    )
    percents = [[percent(share) if totals[row, 0] else "" for share in shares[row]] for row in range(len(classes))]
    for row, column in np.ndindex(*matrix.shape):
        share = f'<br><span style="font-size:10px">{percents[row][column]}</span>' if totals[row, 0] else ""
        figure.add_annotation(x=column, y=row, text=f"<b>{matrix[row, column]}</b>{share}", showarrow=False)
    figure.update_yaxes(autorange="reversed", title="actual", showgrid=False)
    figure.update_xaxes(title="predicted", showgrid=False)
    wrong = [
        f"{matrix[a, p]} of {classes[a]} called {classes[p]}"
        for a, p in sorted(np.ndindex(*matrix.shape), key=lambda at: -matrix[at])
        if a != p and matrix[a, p]
    ]
    alt = f"{title}: {np.trace(matrix)} of {matrix.sum()} images on the diagonal, which is right. "
    alt += f"Most frequent mistakes: {listed(wrong[:3])}." if wrong else "No mistake."
    rows = [[label, *map(Cell, map(str, matrix[a]), percents[a])] for a, label in enumerate(classes)]
    table = Table(f"{title}: counts and shares of the actual class", ["actual \\ predicted", *classes], rows)
    return chart(name, title, alt, figure, 400, table)


def reliability(pipeline: str, both: Mapping[str, Sequence[Mapping[str, Any]]], errors: Mapping[str, float]) -> Chart:
    """Accuracy against confidence before and after temperature scaling; a mark's area is its share of the images."""
    figure = go.Figure()
    diagonal = {"color": GREY, "dash": "dot"}
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line=diagonal, name="confidence = accuracy", hoverinfo="skip")
    rows: list[list[Any]] = []
    for (when, diagram), colour in zip(both.items(), (GREY, COLOURS[pipeline]), strict=True):
        bins = [row for row in diagram if row["n"]]
        total = max(sum(row["n"] for row in bins), 1)
        figure.add_scatter(
            x=[row["confidence"] for row in bins],
            y=[row["accuracy"] for row in bins],
            name=when,
            mode="lines+markers",
            line={"color": colour, "width": 1.5},
            marker={"size": [6 + 30 * (row["n"] / total) ** 0.5 for row in bins], "opacity": 0.7},
            customdata=[row["n"] for row in bins],
            hovertemplate="confidence %{x:.3f}, accuracy %{y:.3f}<br>%{customdata} images<extra>" + when + "</extra>",
        )
        rows += [
            [f"{when}, {row['low']:.2f} to {row['high']:.2f}", row["n"], row["confidence"], row["accuracy"]]
            for row in bins
        ]
    figure.update_xaxes(title="confidence", range=[0.15, 1.07])
    figure.update_yaxes(title="accuracy", range=[-0.02, 1.1])
    title = f"Reliability, {NAMES[pipeline]}"
    values = listed([f"{when} {number(value)}" for when, value in errors.items()])
    alt = f"{title}: accuracy against confidence in 15 bins of equal width. Expected calibration error {values}."
    table = Table(title, ["bin of confidence", "images", "mean confidence", "accuracy"], rows)
    return chart(f"reliability-{pipeline}", title, alt, figure, 380, table)
