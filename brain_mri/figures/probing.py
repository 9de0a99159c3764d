"""Figures of the probes: rates beside those of a classifier that ignores the lesion, examples, robustness."""

from collections.abc import Iterator, Mapping

import numpy as np
from matplotlib.figure import Figure

from brain_mri.augmentation.corruptions import CORRUPTIONS
from brain_mri.figures.drawing import save
from brain_mri.figures.evaluation import PIPELINE_NAMES
from brain_mri.results import Probed, Rate, Robustness

# Row of the figure: what is counted, and the value of a classifier that sees the tumour and nothing else.
PROBES = {
    "inpainted": ("lesion inpainted: call kept", 0),
    "mirrored": ("lesion covered by the other side: call kept", 0),
    "border_only": ("border and background alone: call kept", 0),
    "histogram_only": ("histogram alone: call kept", 0),
    "box_only": ("box of the lesion alone: call kept", 1),
}
# All else is gone in them, so a classifier that ignores the lesion need not keep its call.
NO_ANATOMY = ("border_only", "histogram_only")
HAS_LESION = ("original", "box_only", "transplanted")
MOVED = "lesion moved into a healthy head:\ncalled by its class"
TITLES = {
    "original": "original",
    "inpainted": "lesion inpainted",
    "mirrored": "lesion mirrored away",
    "box_only": "its box alone",
    "border_only": "border alone",
    "histogram_only": "histogram alone",
    "transplanted": "lesion moved",
    "sham": "sham patch moved",
}


def probes(report: Mapping[str, Probed], dpi: int) -> None:
    """Draw each probe's rate with its interval by pipeline, and beside it what ignoring the lesion would give."""
    rows = {pipeline: dict(_rates(part)) for pipeline, part in report.items()}
    names = list(dict.fromkeys(name for table in rows.values() for name in table))
    figure = Figure(figsize=(8.6, 1.6 + 0.52 * max(len(names), 2)), layout="constrained")
    axes = figure.subplots()
    if not names:
        axes.axis("off")
        figure.suptitle("no test image has an outlined lesion, and no class has two known sources", fontsize=9)
    for place, (pipeline, table) in enumerate(rows.items()):
        for name, (rate, reference, ideal) in table.items():
            height = names.index(name) + 0.26 * (place - (len(rows) - 1) / 2)
            low, high = rate.interval or (np.nan, np.nan)
            axes.plot([low, high], [height, height], color=f"C{place}", linewidth=2)
            axes.plot(rate.value or 0, height, "o", color=f"C{place}", markersize=6)
            if reference is not None:
                axes.plot(reference, height, "|", color="black", markersize=11, markeredgewidth=2)
            if ideal is not None:
                axes.plot(ideal, height, "D", markerfacecolor="none", color="green", markersize=6, clip_on=False)
        axes.plot([], [], "o-", color=f"C{place}", label=f"{PIPELINE_NAMES[pipeline]}, 95 % interval")
    axes.plot(
        [], [], "|", color="black", markersize=10, markeredgewidth=2, label="if the lesion (the source) were ignored"
    )
    axes.plot(
        [], [], "D", markerfacecolor="none", color="green", linestyle="none", label="if the tumour alone were seen"
    )
    axes.set(xlim=(-0.03, 1.03), ylim=(max(len(names), 1) - 0.5, -0.5), xlabel="share of the images")
    axes.set_yticks(range(len(names)), names)
    axes.grid(axis="x", alpha=0.3)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    save(figure, "plots/probes.png", dpi)


def _rates(part: Probed) -> Iterator[tuple[str, tuple[Rate, float | None, float | None]]]:
    """Yield what there is to draw of one pipeline: rate, value of a classifier that ignores the lesion, ideal."""
    for probe, (name, ideal) in PROBES.items():
        if kept := part.probes[probe].kept:
            ignored = None if probe in NO_ANATOMY else kept.if_lesion_ignored or 0
            yield name, (kept, ignored, ideal)
    moved = part.transplant
    if moved.lesion and moved.sham:
        yield MOVED, (moved.lesion, moved.sham.value or 0, 1)
    for label, found in (part.source.model_extra or {}).items():
        if found.balanced_accuracy is not None:
            rate = Rate(value=found.balanced_accuracy, interval=found.interval)
            yield f"source of {label} images told\nfrom the features (balanced accuracy)", (rate, found.chance, None)


def probe_examples(examples: Mapping[str, np.ndarray], dpi: int) -> None:
    """Draw a row a lesion, a column a probe; below each image what the pipelines call it, green where that is
    the lesion's class and the lesion is there, or neither. `examples`: what the stage probe writes of the same name."""
    labels, masks = examples["labels"], examples["masks"]
    names = [name for name in TITLES if name in examples["probes"]]
    figure = Figure(figsize=(1.35 * len(names), 0.3 + 1.7 * max(len(labels), 1)), layout="constrained")
    axes = figure.subplots()
    axes.axis("off")
    if not len(labels):
        figure.suptitle("no test image has an outlined lesion", fontsize=9)
    for line, (label, mask) in enumerate(zip(labels, masks, strict=True)):
        side = mask.shape[0]
        down, across = 1.32 * side * line, 1.08 * side  # room for two lines of text, and between the columns
        axes.text(-0.06 * side, down + side / 2, label, rotation=90, va="center", ha="right")
        for column, name in enumerate(names):
            at = line, examples["probes"].tolist().index(name)
            left = across * column
            where = (left, left + side, down + side, down)
            axes.imshow(examples["images"][at], cmap="gray", vmin=0, vmax=255, interpolation="nearest", extent=where)
            if not line:
                axes.text(left + side / 2, -0.05 * side, TITLES[name], ha="center", fontsize=8)
            for place, (pipeline, call) in enumerate(zip(PIPELINE_NAMES, examples["calls"][at], strict=True)):
                color = "green" if (call == label) == (name in HAS_LESION) else "firebrick"
                height = down + (1.03 + 0.12 * place) * side
                text = f"{pipeline}: {call}"
                axes.text(left + side / 2, height, text, ha="center", va="top", fontsize=6.5, color=color)
        pixels = np.arange(side) + 0.5
        axes.contour(pixels, down + pixels, mask, [0.5], colors="yellow", linewidths=1)
        axes.set(xlim=(-0.2 * side, across * len(names)), ylim=(down + 1.3 * side, -0.2 * side))
    figure.suptitle("green: the lesion's class where the lesion is, another where it is not", fontsize=8)
    save(figure, "plots/probe_examples.png", dpi)


def robustness(tables: Mapping[str, Robustness], dpi: int) -> None:
    """Draw accuracy against strength, a panel a corruption, with bands of the 95 % intervals."""
    figure = Figure(figsize=(10, 5), layout="constrained")
    grid = figure.subplots(2, -(-len(CORRUPTIONS) // 2), sharey=True)
    for axes, (name, (_, strengths)) in zip(grid.flat, CORRUPTIONS.items(), strict=False):
        for pipeline, table in tables.items():
            rates = [table.clean, *getattr(table, name).values()]
            low, high = np.array([rate.interval for rate in rates]).T
            steps = np.arange(len(rates))
            axes.plot(steps, [rate.value for rate in rates], "o-", markersize=3, label=PIPELINE_NAMES[pipeline])
            axes.fill_between(steps, low, high, alpha=0.2, linewidth=0)
        axes.set_xticks(range(1 + len(strengths)), ["none", *(f"{strength:g}" for strength in strengths)])
        axes.set_title(name.replace("_", " "), fontsize=9)
        axes.set_ylim(0, 1.02)
        axes.grid(alpha=0.3)
    for line in grid:
        line[0].set_ylabel("accuracy")
    figure.supxlabel("strength, in the unit of brain_mri/augmentation/corruptions.py", fontsize=9)
    handles = grid[0, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper center", ncols=2, fontsize=8, frameon=False)
    save(figure, "plots/robustness.png", dpi)
