"""Charts of one kind of result each: learning curves, confusion matrices, reliability diagrams."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go  # type: ignore[import-untyped]

from brain_mri.report.blocks import Cell, Chart, Table
from brain_mri.report.charts import COLOURS, GREY, NAMES, chart, lines, safe
from brain_mri.report.words import listed, number, percent


def learning(histories: Mapping[str, Sequence[Mapping[str, str]]], metric: str) -> Chart:
    """Training and validation of both pipelines over the epochs."""
    curves, styles, ends = {}, {}, []
    for pipeline, rows in histories.items():
        for prefix, what in (("", "training"), ("val_", "validation")):
            label = f"{pipeline}, {what}"
            values = [float(row[prefix + metric]) for row in rows]
            curves[label] = ([int(float(row["epoch"])) for row in rows], values)
            styles[label] = {"color": COLOURS[pipeline], "width": 2, "dash": "solid" if prefix else "dot"}
            ends.append(f"{label} ends at {values[-1]:.3f}")
    alt = f"{metric.capitalize()} by epoch. After {max(len(x) for x, _ in curves.values())} epochs {listed(ends)}."
    head = ["epoch", *curves]
    epochs = sorted({epoch for x, _ in curves.values() for epoch in x})
    known = {label: dict(zip(x, y, strict=True)) for label, (x, y) in curves.items()}
    table = Table(
        f"{metric} by epoch", head, [[str(e), *(number(known[label].get(e)) for label in curves)] for e in epochs]
    )
    return lines(f"learning-{metric}", metric.capitalize(), curves, styles, ("epoch", metric), alt, table)


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
    for row, column in np.ndindex(*matrix.shape):
        share = f'<br><span style="font-size:10px">{percent(shares[row, column])}</span>' if totals[row, 0] else ""
        figure.add_annotation(x=column, y=row, text=f"<b>{matrix[row, column]}</b>{share}", showarrow=False)
    figure.update_yaxes(autorange="reversed", title="actual", showgrid=False)
    figure.update_xaxes(title="predicted", showgrid=False)
    right = int(np.trace(matrix))
    wrong = [
        f"{matrix[a, p]} of {classes[a]} called {classes[p]}"
        for a, p in sorted(np.ndindex(*matrix.shape), key=lambda at: -matrix[at])
        if a != p and matrix[a, p]
    ]
    alt = f"{title}: {right} of {matrix.sum()} images on the diagonal, which is right. " + (
        f"Most frequent mistakes: {listed(wrong[:3])}." if wrong else "No mistake."
    )
    rows: list[list[str | Cell]] = [
        [label, *(Cell(f"{n}", percent(s) if totals[a, 0] else "") for n, s in zip(matrix[a], shares[a], strict=True))]
        for a, label in enumerate(classes)
    ]
    table = Table(f"{title}: counts and shares of the actual class", ["actual \\ predicted", *classes], rows)
    return chart(name, title, alt, figure, 400, table)


def reliability(pipeline: str, both: Mapping[str, Sequence[Mapping[str, Any]]], errors: Mapping[str, float]) -> Chart:
    """Accuracy against confidence before and after temperature scaling; a mark's area is its share of the images."""
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        line={"color": GREY, "dash": "dot"},
        name="confidence = accuracy",
        hoverinfo="skip",
    )
    rows: list[list[str | Cell]] = []
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
            [
                f"{when}, {row['low']:.2f} to {row['high']:.2f}",
                str(row["n"]),
                number(row["confidence"]),
                number(row["accuracy"]),
            ]
            for row in bins
        ]
    figure.update_xaxes(title="confidence", range=[0.15, 1.07])
    figure.update_yaxes(title="accuracy", range=[-0.02, 1.1])
    title = f"Reliability, {NAMES[pipeline]}"
    said = listed([f"{when} {number(value)}" for when, value in errors.items()])
    alt = f"{title}: accuracy against confidence in 15 bins of equal width. Expected calibration error {said}."
    numbers = Table(title, ["bin of confidence", "images", "mean confidence", "accuracy"], rows)
    return chart(f"reliability-{pipeline}", title, alt, figure, 380, numbers)
