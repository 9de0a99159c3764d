"""Heads as textured ellipses, for the tests of the audit for copies."""

import cv2
import numpy as np


def field(rng, cells, shape):
    return cv2.resize(rng.standard_normal((cells, cells)), shape[::-1], interpolation=cv2.INTER_CUBIC)


def head(seed, texture=0, shape=(260, 240)):
    """A head of its own shape and contents for each `seed`; slices of one head differ in `texture`."""
    rng, fine = np.random.default_rng(seed), np.random.default_rng((seed, texture))
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    radius = np.hypot(x / rng.uniform(0.65, 0.8), y / rng.uniform(0.75, 0.85))
    tissue = 110 + 30 * field(rng, 8, shape) + 12 * field(fine, 20, shape) + 10 * field(fine, 80, shape)
    skull = 120 * np.exp(-(((radius - 0.95) / 0.04) ** 2))
    return np.clip(np.where(radius < 1, tissue, 4) + skull, 0, 255).astype(np.uint8)
