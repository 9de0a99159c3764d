"""What all figures share: drawn without a display, with the same bytes from the same numbers."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from brain_mri.files import replacing


def save(figure: Figure, path: Path | str, dpi: int) -> None:
    """Write a figure, whole or not at all; without Matplotlib's version in it."""
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=dpi, metadata={"Software": None})


def picture(axes: Axes, image: np.ndarray, title: str = "") -> None:
    """Show a grey image, 0 to 255, without ticks."""
    axes.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set_title(title, fontsize=8)
    axes.axis("off")


def outline(axes: Axes, mask: np.ndarray | None) -> None:
    """Draw the outline of a mask, bool (H, W)."""
    if mask is not None and mask.any():
        axes.contour(mask, levels=[0.5], colors="white", linewidths=1)
