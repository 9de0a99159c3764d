"""Figures of the results: learning curves, confusion matrices, calibration, selective prediction, errors."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from brain_mri.figures.drawing import picture, save
from brain_mri.results import Interval, Number, OfClass

PIPELINE_NAMES = {"noaug": "no augmentation", "aug": "train-only augmentation"}


def learning_curves(histories: Mapping[str, Sequence[Mapping[str, str]]], dpi: int) -> None:
    """Draw figure 2: accuracy and loss of training and validation, by pipeline."""
    figure = Figure(figsize=(9, 6), layout="constrained")
    grid = figure.subplots(2, 2, sharex=True, sharey="row")
    for column, (pipeline, rows) in enumerate(histories.items()):
        epochs = [float(row["epoch"]) for row in rows]
        for axes, metric in zip(grid[:, column], ["accuracy", "loss"], strict=True):
            for prefix, label in [("", "training"), ("val_", "validation")]:
                axes.plot(epochs, [float(row[prefix + metric]) for row in rows], label=label, marker=".", markersize=3)
            axes.set(ylabel=metric, title=PIPELINE_NAMES[pipeline] if metric == "accuracy" else None)
            axes.grid(alpha=0.3)
            axes.legend(fontsize=8)
        grid[1, column].set_xlabel("epoch")
    save(figure, "plots/learning_curves.png", dpi)


def confusion(
    matrix: np.ndarray, classes: Sequence[str], title: str, path: Path | str, colormap: str, dpi: int
) -> None:
    """Draw figure 3: counts, int (C, C), actual classes down and predicted across, coloured by share of the row."""
    figure = Figure(figsize=(4.6, 4.2), layout="constrained")
    axes = figure.subplots()
    share = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    image = axes.imshow(share, cmap=colormap, vmin=0, vmax=1)
    for row, column in np.ndindex(*matrix.shape):
        light = sum(image.cmap(share[row, column])[:3]) < 1.5
        axes.text(column, row, str(matrix[row, column]), ha="center", va="center", color="white" if light else "black")
    axes.set(xticks=range(len(classes)), yticks=range(len(classes)), xlabel="predicted", ylabel="actual", title=title)
    axes.set_xticklabels(classes, rotation=30, ha="right")
    axes.set_yticklabels(classes)
    save(figure, path, dpi)


def by_class(
    measured: Mapping[str, Mapping[str, OfClass[Number]]],
    intervals: Mapping[str, Mapping[str, OfClass[Interval]]],
    published: Mapping[str, Mapping[str, Sequence[float]]],
    dpi: int,
) -> None:
    """Draw precision, recall and F1 of each class by pipeline (Tables III and IV) with their intervals, and where there
    are any the paper's own beside them."""
    figure = Figure(figsize=(4.4 * len(measured), 3.4), layout="constrained")
    names = ("precision", "recall", "f1")
    for axes, (pipeline, classes) in zip(
        figure.subplots(1, len(measured), sharey=True, squeeze=False)[0], measured.items(), strict=True
    ):
        places = np.arange(len(classes))
        for offset, name in zip((-0.22, 0, 0.22), names, strict=True):
            values = [getattr(of_class, name) for of_class in classes.values()]
            values = [np.nan if value is None else value for value in values]
            (drawn,) = axes.plot(places + offset, values, "o", label=name)
            bounds = [getattr(intervals[pipeline][label], name) or (np.nan, np.nan) for label in classes]
            axes.vlines(places + offset, *zip(*bounds, strict=True), color=drawn.get_color(), alpha=0.5)
            if published:
                theirs = [published[pipeline][label][names.index(name)] for label in classes]
                axes.plot(places + offset, theirs, "_", color=drawn.get_color(), markersize=12, markeredgewidth=2)
        if published:
            axes.plot([], [], "_", color="black", markersize=12, markeredgewidth=2, label="the paper's, ResNet-50")
        axes.set(title=PIPELINE_NAMES[pipeline], xlim=(-0.6, len(classes) - 0.4))
        axes.set_xticks(places, classes, rotation=20)
        axes.grid(axis="y", alpha=0.3)
    figure.supylabel("value and 95 % interval; the axis is cut", fontsize=9)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8)
    save(figure, "plots/by_class.png", dpi)


def calibration(diagrams: Mapping[str, Sequence[Sequence[Mapping[str, Any]]]], dpi: int) -> None:
    """Draw reliability diagrams by pipeline, before and after temperature scaling; a dot's area is its images."""
    figure = Figure(figsize=(4.4 * len(diagrams), 4), layout="constrained")
    for axes, (pipeline, both) in zip(
        figure.subplots(1, len(diagrams), squeeze=False)[0], diagrams.items(), strict=True
    ):
        axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
        for rows, label in zip(both, ["before", "after temperature scaling"], strict=True):
            bins = [row for row in rows if row["n"]]
            total = sum(row["n"] for row in bins)
            x, y = ([row[name] for row in bins] for name in ("confidence", "accuracy"))
            axes.scatter(x, y, s=[10 + 300 * row["n"] / total for row in bins], alpha=0.6, label=label)
        axes.set(
            xlabel="confidence", ylabel="accuracy", title=PIPELINE_NAMES[pipeline], xlim=(0.2, 1.02), ylim=(0, 1.05)
        )
        axes.legend(fontsize=7, loc="lower right", title="area: share of the images", title_fontsize=7)
    save(figure, "plots/calibration.png", dpi)


def selective(curves: Mapping[str, tuple[np.ndarray, np.ndarray]], dpi: int) -> None:
    """Draw accuracy against coverage: what is left when the least confident images go to a person."""
    figure = Figure(figsize=(4.6, 3.6), layout="constrained")
    axes = figure.subplots()
    for pipeline, (coverage, error) in curves.items():
        axes.plot(coverage, 1 - error, label=PIPELINE_NAMES[pipeline])
    axes.set(xlabel="coverage: share of images kept, most confident first", ylabel="accuracy among them")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    save(figure, "plots/selective.png", dpi)


def errors(kinds: Mapping[str, tuple[Sequence[Mapping[str, str]], np.ndarray]], columns: int, dpi: int) -> None:
    """Draw a row a kind of error: its rows of data/errors and images, uint8 (n, H, W),
    at most `columns` of them; or say that there are none."""
    figure = Figure(figsize=(1.75 * columns + 0.4, 2.45 * len(kinds)), layout="constrained")
    grid = figure.subplots(len(kinds), columns, squeeze=False)
    for line, (kind, (rows, images)) in zip(grid, kinds.items(), strict=True):
        for axes in line:
            axes.axis("off")
        if not rows:
            line[0].text(0, 0.5, f"{kind}: none", fontsize=8)
        for place, (row, image) in enumerate(zip(rows[:columns], images[:columns], strict=True)):
            agree = "pipelines agree" if row["pipelines_agree"] == "True" else "pipelines differ"
            call = f"predicted {row['predicted']} {float(row['confidence']):.2f}"
            said = f"actual {row['label']}\n{call}\n{row['part']}, {agree}"
            picture(line[place], image)
            line[place].set_title(f"{kind if place == 0 else ''}\n{said}", fontsize=6.5, loc="left")
    save(figure, "plots/errors.png", dpi)
