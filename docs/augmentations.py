"""Draw docs/augmentations.png: a phantom as each change of studies/compact-robust shows it, at its largest strength.

    python -m docs.augmentations

Rows: what moves or takes lesions; what other scanners, patients and files do; everything together, eight draws. The
strengths are those of the study's params.yaml; what the study leaves out is shown with a strength that can be seen.
"""

import argparse
from pathlib import Path

import cv2
import matplotlib
import numpy as np

from brain_mri.augmentation.affine import draw_matrix, move
from brain_mri.augmentation.appearance import CHANGES
from brain_mri.augmentation.counterfactual import insert, remove
from brain_mri.augmentation.policy import Policy, draw_phantoms
from brain_mri.images.examples import Examples
from brain_mri.params import Params, load_params

ROOT = Path(__file__).resolve().parent.parent
STUDY = ROOT / "studies/compact-robust/params.yaml"
LEFT_OUT = {"ghosting": 0.3, "motion": 0.03}  # not in the study's mixture: a strength that can be seen
SHOWN = ("glioma", "notumor")
COLUMNS = 8


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    params = load_params(STUDY)
    drawn = draw_phantoms(params, 0, 2 * len(params.dataset.classes))
    heads = drawn[[np.flatnonzero(drawn.labels == params.dataset.classes.index(name))[1] for name in SHOWN]]
    shown = [*spatial(heads, params), *appearances(heads.images[0, :, :, 0], params)]
    shown += [("blank", None)] * (-len(shown) % COLUMNS) + whole_policy(heads, params)
    draw(shown)


def spatial(heads: Examples, params: Params) -> list[tuple[str, np.ndarray | None]]:
    """The head, the same moved, its lesion taken out, the other head, and that with the lesion put in."""
    assert heads.masks is not None
    sick, healthy = heads.images[..., 0]
    matrix = draw_matrix(params.augment, np.random.default_rng(2), len(sick))
    put_in = insert(healthy, sick, heads.masks[0], np.random.default_rng(0))
    return [
        ("glioma", sick),
        ("moved, mirrored", move(sick, matrix, cv2.INTER_LINEAR)),
        ("lesion taken out:\nno tumour", remove(sick, heads.masks[0], np.random.default_rng(0))),
        ("no tumour", healthy),
        ("lesion put in:\nglioma", put_in[0] if put_in else None),
    ]


def appearances(image: np.ndarray, params: Params) -> list[tuple[str, np.ndarray | None]]:
    """The head under each change of its look, with the strength in its own unit (see params.yaml)."""
    largest = params.augment.appearance.model_dump() | LEFT_OUT
    cells: list[tuple[str, np.ndarray | None]] = []
    for name, change in CHANGES.items():
        changed = change(np.asarray(image / 255, np.float32), largest[name], np.random.default_rng(1))
        title = name.replace("_", " ") + ("" if name == "invert" else f" {largest[name]:g}")
        cells.append((title, np.asarray(np.clip(changed, 0, 1) * 255, np.uint8)))
    return cells


def whole_policy(heads: Examples, params: Params) -> list[tuple[str, np.ndarray | None]]:
    """What a training sees of the glioma in eight epochs: the whole policy, each draw with its label."""
    plain = params.augment.plain.model_copy(update={"epochs": 0})
    augment = params.augment.model_copy(update={"phantoms": 0, "mixup": 0, "plain": plain})
    policy = Policy(heads, params.model_copy(update={"augment": augment}))
    cells: list[tuple[str, np.ndarray | None]] = []
    for epoch in range(COLUMNS):
        one = policy.draw(np.array([0]), epoch)
        cells.append((f"all, epoch {epoch + 1}:\n{params.dataset.classes[one.labels[0]]}", one.images[0, :, :, 0]))
    return cells


def draw(cells: list[tuple[str, np.ndarray | None]]) -> None:
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    rows = len(cells) // COLUMNS
    figure, axes = plt.subplots(rows, COLUMNS, figsize=(1.5 * COLUMNS, 1.9 * rows), layout="constrained")
    for axis, (title, image) in zip(axes.flat, cells, strict=True):
        axis.axis("off")
        if image is not None:
            axis.imshow(image, cmap="gray", vmin=0, vmax=255)
            axis.set_title(title, fontsize=8)
    figure.savefig(ROOT / "docs/augmentations.png", dpi=90)


if __name__ == "__main__":
    main()
