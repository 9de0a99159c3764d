"""What all figures share: drawn without a display, with the same bytes from the same numbers."""

import sys
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator

from brain_mri.files import replacing

# What stands in a figure are names, of classes and images, and a dollar sign in them is one.
matplotlib.rcParams["text.parse_math"] = False


def save(figure: Figure, path: Path | str, dpi: int) -> None:
    """Write a figure, whole or not at all; without Matplotlib's version in it. Characters that its font lacks are taken
    from other fonts of this machine, and where no font has them, written as their number: U+8111."""
    written = {mark for text in figure.findobj(Text) for mark in text.get_text() if mark.isprintable()}
    if lacking := written - characters(findfont(FontProperties())):
        _supply(figure, lacking, path)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=dpi, metadata={"Software": None})


@cache
def characters(font: str) -> frozenset[str]:
    """Return the characters that a font file can draw."""
    return frozenset(map(chr, get_font(font).get_charmap()))


def _supply(figure: Figure, lacking: set[str], path: Path | str) -> None:
    families = []
    for font in sorted(fontManager.ttflist, key=lambda font: (font.name, font.fname)):
        # Last Resort draws the name of a script in the place of each of its characters.
        if not font.name.startswith("Last Resort") and lacking & characters(font.fname):
            families.append(font.name)
            lacking -= characters(font.fname)
    for text in figure.findobj(Text):
        text.set_fontfamily([*text.get_fontfamily(), *families])
    if not lacking:
        return
    print(f"{path}: no font of this machine has {''.join(sorted(lacking))}; written as numbers", file=sys.stderr)
    numbers = str.maketrans({mark: f"U+{ord(mark):04X} " for mark in lacking})
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        if isinstance(axis.get_major_locator(), FixedLocator):  # its labels are set anew from the axis at each drawing
            axis.set_ticklabels([label.get_text().translate(numbers) for label in axis.get_ticklabels()])
    for text in figure.findobj(Text):
        text.set_text(text.get_text().translate(numbers))


def picture(axes: Axes, image: np.ndarray, title: str = "") -> None:
    """Show a grey image, 0 to 255, without ticks."""
    axes.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set_title(title, fontsize=8)
    axes.axis("off")


def outline(axes: Axes, mask: np.ndarray | None) -> None:
    """Draw the outline of a mask, bool (H, W)."""
    if mask is not None and mask.any():
        axes.contour(mask, levels=[0.5], colors="white", linewidths=1)
