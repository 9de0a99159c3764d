"""Which slices are the same, told by their tumours' outlines alone: what the audit of the real images is held to."""

import itertools
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from brain_mri.sources.outlines import read_outlines

OUTLINES = Path(__file__).resolve().parents[2] / "data/outlines/brain-tumor-mri-v1.csv.gz"
SYMMETRIES = [  # of a square
    np.diag(signs) @ swap for signs in itertools.product((1, -1), repeat=2) for swap in (np.eye(2), np.eye(2)[::-1])
]


def same_by_outline(shapes):
    """Pairs (first < second) of images whose tumour outlines are one up to symmetry and scale; who has an outline."""
    place = {path: index for index, path in enumerate(shapes)}
    outlines = {}
    for path, polygon in read_outlines(OUTLINES).items():
        height, width = shapes[path]
        outlines[place[path]] = (polygon + 0.5) / (width, height) - 0.5
    owners = np.array(sorted(outlines))
    centres = np.stack([outlines[i].mean(axis=0) for i in owners])
    same = set()
    for symmetry in SYMMETRIES:
        turned_centres = cKDTree(centres @ symmetry)
        for one, near in enumerate(cKDTree(centres).query_ball_tree(turned_centres, 0.01)):
            for other in near:
                if (
                    owners[other] > owners[one]
                    and _apart(outlines[owners[one]], outlines[owners[other]] @ symmetry) < 0.002
                ):
                    same.add((owners[one], owners[other]))
    outlined = np.zeros(len(shapes), bool)
    outlined[owners] = True
    return same, outlined


def _apart(one, other):
    """Hausdorff distance of two sets of corners, as a share of the frame."""
    distance = np.linalg.norm(one[:, None] - other[None], axis=2)
    return max(distance.min(axis=0).max(), distance.min(axis=1).max())
