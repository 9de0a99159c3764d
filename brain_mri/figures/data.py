"""Figures of the data: the crop's steps, the resolutions, the copies."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from brain_mri.figures.drawing import picture, save
from brain_mri.results import Audit


def crop_steps(steps: Mapping[str, tuple], dpi: int) -> None:
    """Draw figure 1: by class, the image, its largest contour, the extreme points' box, and the crop."""
    figure = Figure(figsize=(8, 2 * len(steps)), layout="constrained")
    grid = np.atleast_2d(figure.subplots(len(steps), 4))
    titles = ["original", "largest contour", "box of the extreme points", "cropped, resized"]
    for row, (label, (head, cropped)) in zip(grid, steps.items(), strict=True):
        for axes, title in zip(row, titles, strict=True):
            picture(axes, cropped if title == titles[-1] else head.grey, f"{label}: {title}")
        if head.contour is not None:
            outline = np.vstack([head.contour[:, 0], head.contour[:1, 0]])
            row[1].plot(*outline.T, color="lime", linewidth=1)
            for points in _extremes(head.contour[:, 0]):
                row[2].plot(*points, "o", markersize=4, color="red")
        top, bottom, left, right = head.box
        row[2].plot([left, right, right, left, left], [top, top, bottom, bottom, top], color="yellow", linewidth=1)
    save(figure, "plots/crop_steps.png", dpi)


def _extremes(points: np.ndarray) -> list[np.ndarray]:
    return [points[points[:, axis].argmin()] for axis in (0, 1)] + [points[points[:, axis].argmax()] for axis in (0, 1)]


def resolutions(before: Sequence[tuple], cut: Sequence[tuple], size: int, dpi: int) -> None:
    """Draw the resolution scatter: raw images, heads cut out, and what every image has in the end."""
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    for axes, shapes, title in [(left, before, "before the crop"), (right, cut, "after the crop")]:
        pairs, counts = np.unique(np.array(shapes), axis=0, return_counts=True)
        axes.scatter(pairs[:, 1], pairs[:, 0], s=6 + 60 * counts / counts.max(), alpha=0.5, linewidths=0)
        axes.set(title=f"{title}: {len(shapes)} images, {len(pairs)} sizes", xlabel="width (pixels)")
        axes.grid(alpha=0.3)
    right.plot(size, size, "x", color="red", label=f"resized: {size} x {size}")
    right.legend(fontsize=8)
    left.set_ylabel("height (pixels)")
    save(figure, "plots/resolutions.png", dpi)


def copies(audit: Audit, dpi: int) -> None:
    """Draw a bar per level and class: redundant files, and test images with a copy in Training where there are any."""
    panels = [("redundant files", audit.redundant_files)]
    if leaks := audit.test_images_with_a_copy_in_training:
        levels = leaks["all"].level
        by_level = {level: {label: row.level[level] for label, row in leaks.items()} for level in levels}
        panels.append(("test images with a copy in Training, by strictest level", by_level))
    figure = Figure(figsize=(4.8 * len(panels), 3.4), layout="constrained")
    for axes, (title, table) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for place, (level, row) in enumerate(table.items()):
            labels = [label for label in row if label != "all"]
            bars = axes.bar(
                np.arange(len(labels)) + 0.27 * (place - 1), [row[name] for name in labels], 0.27, label=level
            )
            axes.bar_label(bars, fontsize=6)
            axes.set_xticks(range(len(labels)), labels)
        most = max(count for row in table.values() for name, count in row.items() if name != "all")
        axes.set_ylim(0, 1.15 * max(1, most))
        axes.set_ylabel("images", fontsize=8)
        axes.set_title(title if most else f"{title}: none", fontsize=9)
        axes.legend(fontsize=7)
    save(figure, "plots/copies.png", dpi)


def copy_pairs(pairs: Sequence[tuple], dpi: int) -> None:
    """Draw pairs of copies (thumbnail, thumbnail, caption) side by side, or say that there are none."""
    figure = Figure(figsize=(2.6 * len(pairs), 5.2) if pairs else (5.2, 0.6), layout="constrained")
    if not pairs:
        figure.suptitle("no test image has a copy in Training", fontsize=9)
    else:
        grid = figure.subplots(2, len(pairs), squeeze=False)
        for (above, below), (first, second, caption) in zip(grid.T, pairs, strict=True):
            picture(above, first, caption)
            picture(below, second)
    save(figure, "plots/copy_pairs.png", dpi)
