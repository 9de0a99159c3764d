"""Slices of one head among images without a patient."""

import numpy as np

from brain_mri.copies.descriptions import GRID
from brain_mri.copies.scans import find_scans


def test_links_are_found_and_judged_on_known_patients() -> None:
    rng = np.random.default_rng(0)
    heads = rng.normal(size=(6, GRID * GRID))
    images = np.repeat(heads, 3, axis=0) + 0.3 * rng.normal(size=(18, GRID * GRID))  # three slices of six heads
    images[1] = images[0].reshape(GRID, GRID)[:, ::-1].ravel()  # mirrored
    images -= images.mean(1, keepdims=True)
    descriptors = (images / np.linalg.norm(images, axis=1, keepdims=True)).astype(np.float32)
    copies = np.arange(18)
    copies[2] = 1  # a copy, which its first stands for
    families = np.repeat([f"p{head}" for head in range(6)], 3)
    families[:6] = ""
    scans = find_scans(descriptors, copies, families, 0.8)
    assert sorted(zip(scans.first.tolist(), scans.second.tolist(), strict=True)) == [(0, 1), (3, 4), (3, 5), (4, 5)]
    assert (scans.known, scans.right, scans.possible) == (12, 12, 12)
    families[17] = "p2"  # one patient's slice is said to be another's
    wrong = find_scans(descriptors, copies, families, 0.8)
    assert (wrong.known, wrong.right, wrong.possible) == (12, 10, 6 + 3 * 2 + 1)
