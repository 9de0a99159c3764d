"""Figures of the explanations."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from brain_mri.figures.drawing import outline, picture, save
from brain_mri.heatmaps import HEAT_MAPS
from brain_mri.results import Randomised, Sanity

MIDDLE: dict[str, Any] = {"ha": "right", "va": "center", "multialignment": "center"}  # of a row's side


def overlay(
    axes: Axes, image: np.ndarray, heat: np.ndarray, mask: np.ndarray | None, colormap: str, opacity: float
) -> None:
    """Lay a map, 0 to 1 (H, W), over the image, with the lesion's outline where there is one."""
    picture(axes, image)
    axes.imshow(heat, cmap=colormap, vmin=0, vmax=1, alpha=opacity)
    outline(axes, mask)


def saliency(axes: Axes, image: np.ndarray, method: str, heat: np.ndarray, style: Any) -> None:
    """Show a map, 0 to 1 (H, W): a coarse one over the image, the others, which are fine, by themselves."""
    if HEAT_MAPS[method].coarse:
        overlay(axes, image, heat, None, style.heatmap, style.overlay)
    else:
        _alone(axes, method, heat, style)


def _alone(axes: Axes, method: str, heat: np.ndarray, style: Any) -> None:
    if HEAT_MAPS[method].coarse:
        axes.imshow(heat, cmap=style.heatmap, vmin=0, vmax=1)
    else:
        axes.imshow(heat, cmap="gray", vmin=0, vmax=np.quantile(heat, 0.995) or 1)
    axes.axis("off")


def explanation_detail(
    image: np.ndarray, maps: Mapping[str, np.ndarray], mask: np.ndarray, title: str, path: Path, style: Any
) -> None:
    """Draw figure 4: one image (H, W) and its maps, 0 to 1 (H, W), coarse maps laid over it, the others alone."""
    figure = Figure(figsize=(2.4 * (1 + len(maps)), 2.9), layout="constrained")
    first, *others = figure.subplots(1, 1 + len(maps))
    picture(first, image, "image, lesion outlined" if mask.any() else "image")
    outline(first, mask)
    for axes, (method, values) in zip(others, maps.items(), strict=True):
        saliency(axes, image, method, values, style)
        axes.set_title(HEAT_MAPS[method].name, fontsize=8)
    figure.suptitle(title, fontsize=9)
    save(figure, path, style.dpi)


def explanation_grid(
    images: np.ndarray,
    maps: np.ndarray,
    masks: np.ndarray,
    labels: np.ndarray,
    predictions: np.ndarray,
    classes: Sequence[str],
    columns: int,
    path: Path,
    style: Any,
) -> None:
    """Draw figure 5: images (N, H, W) under their maps, a row a class; a green title is a right prediction, a red one
    a wrong one, a white line the lesion's outline."""
    figure = Figure(figsize=(1.9 * columns, 2.15 * len(classes)), layout="constrained")
    grid = figure.subplots(len(classes), columns, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    filled = dict.fromkeys(range(len(classes)), 0)
    for image, values, mask, label, prediction in zip(images, maps, masks, labels, predictions, strict=True):
        axes = grid[label, filled[label]]
        filled[label] += 1
        overlay(axes, image, values, mask, style.heatmap, style.overlay)
        right = label == prediction
        text = classes[label] if right else f"{classes[label]}, predicted {classes[prediction]}"
        axes.set_title(text, fontsize=7, color="green" if right else "red")
    save(figure, path, style.dpi)


def methods_grid(
    images: np.ndarray,
    maps: Mapping[str, np.ndarray],
    masks: np.ndarray,
    titles: Sequence[str],
    path: Path,
    style: Any,
) -> None:
    """Draw images (N, H, W), a row each, and beside them every method's map, 0 to 1 (N, H, W), the lesion outlined."""
    figure, grid = _tight_grid(len(images), 1 + len(maps), 0.25)
    for row, (image, mask, title) in enumerate(zip(images, masks, titles, strict=True)):
        picture(grid[row, 0], image)
        text = title.replace(", ", ",\n")
        grid[row, 0].text(-0.05, 0.5, text, transform=grid[row, 0].transAxes, rotation=90, fontsize=8, **MIDDLE)
        outline(grid[row, 0], mask)
        for axes, (method, values) in zip(grid[row, 1:], maps.items(), strict=True):
            saliency(axes, image, method, values[row], style)
            if mask.any():
                axes.contour(mask, levels=[0.5], colors="cyan", linewidths=0.7)  # white would look like the map
            axes.set_title("" if row else HEAT_MAPS[method].name, fontsize=8)
    save(figure, path, style.dpi)


def curves(curves: Mapping[str, np.ndarray], title: str, path: Path, dpi: int) -> None:
    """Draw faithfulness: a panel a curve, a line a method, over the fraction of pixels changed.

    `curves`: `methods` (M,), and by name each curve (M, F) and, as `..._fractions`, its fractions (F,)."""
    figure = Figure(figsize=(9, 7), layout="constrained")
    names = [name for name in curves if f"{name}_fractions" in curves]
    for axes, name in zip(figure.subplots(2, 2, sharey=True).flat, names, strict=True):
        for method, values in zip(curves["methods"].tolist(), curves[name], strict=True):
            axes.plot(curves[f"{name}_fractions"], values, label=HEAT_MAPS[method].name, **_line(method))
        better = "high" if name in ("insertion", "road_least_relevant_first") else "low"
        axes.set_title(f"{name.replace('_', ' ')} (a faithful map: {better})", fontsize=9)
        axes.set(xlabel="fraction of pixels changed", ylabel="probability of the class explained")
        axes.grid(alpha=0.3)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=8, loc="outside lower center", ncols=4)
    figure.suptitle(title, fontsize=10)
    save(figure, path, dpi)


def cascade(sanity: Sanity, title: str, path: Path, dpi: int) -> None:
    """Draw what is left of the maps as weights are randomised, a panel a mode; `sanity`: what gradcam measured."""
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    modes, layers = ("cascading", "independent"), sanity.layers
    panels = figure.subplots(1, len(modes), sharey=True)
    for axes, mode in zip(panels, modes, strict=True):
        methods: dict[str, Randomised] = getattr(sanity, mode)
        where = "down to" if mode == "cascading" else "part of"
        steps = ["as learned", layers[0], *(f"{where} {layer}" for layer in layers[1:])]
        for method, row in methods.items():
            left = [1, *(np.nan if share is None else share for share in row.left)]
            axes.plot(range(len(steps)), left, label=HEAT_MAPS[method].name, marker=".", **_line(method))
        axes.axhline(sanity.limit, color="grey", linestyle=":")
        axes.axhline(0, color="grey", linewidth=0.8)
        axes.set(title=mode, ylabel="left of the map (0: chance)", xticks=range(len(steps)))
        axes.set_xticklabels(steps, rotation=30, ha="right", fontsize=8)
        axes.grid(alpha=0.3)
    handles, labels = panels[0].get_legend_handles_labels()  # the cascade has every method
    figure.legend(handles, labels, fontsize=8, loc="outside lower center", ncols=3)
    figure.suptitle(title, fontsize=10)
    save(figure, path, dpi)


def cascade_maps(cascade: Mapping[str, np.ndarray], title: str, path: Path, style: Any) -> None:
    """Draw one image's maps, 0 to 1 (steps, methods, H, W): a row a method, a column a step of the cascade."""
    methods, steps = cascade["methods"].tolist(), cascade["steps"].tolist()
    figure, grid = _tight_grid(len(methods), len(steps), 0.45)
    for column, (step, maps) in enumerate(zip(steps, cascade["maps"], strict=True)):
        for axes, method, values in zip(grid[:, column], methods, maps, strict=True):
            _alone(axes, method, values, style)
        grid[0, column].set_title(step if not column else f"random to {step}", fontsize=8)
    for axes, method in zip(grid[:, 0], methods, strict=True):
        axes.text(-0.05, 0.5, HEAT_MAPS[method].name, transform=axes.transAxes, rotation=90, fontsize=8, **MIDDLE)
    figure.suptitle(title, fontsize=9, y=1 - 0.05 / figure.get_figheight(), va="top")
    save(figure, path, style.dpi)


def _tight_grid(rows: int, columns: int, top: float) -> tuple[Figure, np.ndarray]:
    """A grid of square pictures with room for words on the left and, `top` inches, above."""
    left, side, gap = 0.45, 1.5, 0.06
    wide, high = left + columns * (side + gap), top + rows * (side + gap)
    figure = Figure(figsize=(wide, high))
    grid = figure.subplots(rows, columns, squeeze=False)
    figure.subplots_adjust(left / wide, gap / high, 1 - gap / wide, 1 - top / high, gap / side, gap / side)
    return figure, grid


def _line(method: str) -> dict[str, Any]:
    """A method's colour, the same in every figure; what knows nothing of the network is grey."""
    colour = HEAT_MAPS[method].colour
    if colour is None:
        return {"color": "black" if method == "random" else "grey", "linestyle": "--", "linewidth": 1.4}
    return {"color": matplotlib.colormaps["tab10"](colour), "linewidth": 1.4}
