"""Figures of the explanations."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.figures.drawing import outline, picture, save


def overlay(
    axes: Axes, image: np.ndarray, heat: np.ndarray, mask: np.ndarray | None, colormap: str, opacity: float
) -> None:
    """Lay a map, 0 to 1 (H, W), over the image, with the lesion's outline where there is one."""
    picture(axes, image)
    axes.imshow(heat, cmap=colormap, vmin=0, vmax=1, alpha=opacity)
    outline(axes, mask)


def explanation_detail(
    image: np.ndarray, maps: Mapping[str, np.ndarray], mask: np.ndarray, title: str, path: Path, style: Any
) -> None:
    """Draw figure 4: one image (H, W) and its maps, 0 to 1 (H, W), Grad-CAM as an overlay, the others by themselves."""
    figure = Figure(figsize=(2.4 * (1 + len(maps)), 2.9), layout="constrained")
    first, *others = figure.subplots(1, 1 + len(maps))
    picture(first, image, "image, lesion outlined" if mask.any() else "image")
    outline(first, mask)
    for axes, (method, values) in zip(others, maps.items(), strict=True):
        if method.startswith("grad_cam"):
            overlay(axes, image, values, None, style.heatmap, style.overlay)
        else:
            axes.imshow(values, cmap="gray", vmin=0, vmax=np.quantile(values, 0.995) or 1)
            axes.axis("off")
        axes.set_title(method.replace("_", " "), fontsize=8)
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
