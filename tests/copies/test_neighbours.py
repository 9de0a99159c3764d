"""The search for candidates: exhaustive, in blocks of queries, and by an index, which finds the same."""

import numpy as np
import pytest

from brain_mri.copies import neighbours
from brain_mri.copies.descriptions import GRID, ORIENTATIONS, Floats, turned
from brain_mri.copies.neighbours import candidates


def test_candidates_are_those_of_all_pairs_however_many_are_looked_up_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    grids = np.random.default_rng(0).standard_normal((40, GRID, GRID)).astype(np.float32)
    grids[20:] = [turned(grids[i], ORIENTATIONS[i % 8]) + 0.3 * grids[i + 20] for i in range(20)]
    unit = (grids / np.linalg.norm(grids, axis=(1, 2), keepdims=True)).reshape(40, -1)
    scores = np.stack([turned(unit.reshape(grids.shape), name).reshape(40, -1) @ unit.T for name in ORIENTATIONS])
    expected = [
        (i, j, scores[:, i, j].argmax()) for i in range(40) for j in range(i + 1, 40) if scores[:, i, j].max() >= 0.15
    ]
    assert len(expected) > 100
    for queries in (neighbours.QUERIES, 7, 1):
        monkeypatch.setattr(neighbours, "QUERIES", queries)
        assert list(zip(*candidates(unit, 0.15, 40), strict=True)) == expected


@pytest.mark.parametrize("count", [1, 5])
def test_the_lowest_threshold_takes_every_pair_and_no_other(count: int) -> None:
    """Fewer images than neighbours are asked for, so that the search comes back with places that are none."""
    first, second, _ = candidates(patients(10)[:count], -1, 16)
    assert list(zip(first, second, strict=True)) == [(i, j) for i in range(count) for j in range(i + 1, count)]


def on_a_circle(*degrees: float) -> Floats:
    angles = np.radians(degrees)
    descriptors = np.zeros((len(angles), GRID**2), np.float32)
    descriptors[:, 0], descriptors[:, 1] = np.cos(angles), np.sin(angles)
    return descriptors


def test_a_pair_needs_one_of_its_images_to_prefer_the_other() -> None:
    first, second, _ = candidates(on_a_circle(0, 10, 30, 35), 0.5, 1)
    assert list(zip(first, second, strict=True)) == [(0, 1), (2, 3)]


def test_the_order_of_the_images_does_not_matter() -> None:
    descriptors = patients(500)
    order = np.random.default_rng(1).permutation(500)
    first, second, _ = candidates(descriptors, 0.6, 3)
    other, another, _ = candidates(descriptors[order], 0.6, 3)
    assert len(first) > 500
    assert {frozenset(pair) for pair in zip(first, second, strict=True)} == {
        frozenset(pair) for pair in zip(order[other], order[another], strict=True)
    }


def patients(count: int) -> Floats:
    """Descriptors in families of ten alike, every fifth a turned copy of the one before."""
    rng = np.random.default_rng(0)
    grids = np.repeat(rng.standard_normal((count // 10, GRID, GRID), np.float32), 10, axis=0)
    grids += 0.5 * rng.standard_normal(grids.shape, np.float32)
    for place in range(4, count, 5):
        grids[place] = turned(grids[place - 1], ORIENTATIONS[place % 8]) + 0.1 * rng.standard_normal((GRID, GRID))
    flat = (grids - grids.mean(axis=(1, 2), keepdims=True)).reshape(count, -1)
    return flat / np.linalg.norm(flat, axis=1, keepdims=True)


def test_the_index_finds_what_the_exhaustive_search_does(monkeypatch: pytest.MonkeyPatch) -> None:
    descriptors = patients(2000)
    every = set(zip(*candidates(descriptors, 0.75, 15), strict=True))
    monkeypatch.setattr(neighbours, "EXHAUSTIVE", 0)
    found = candidates(descriptors, 0.75, 16)
    assert len(every & set(zip(*found, strict=True))) >= 0.999 * len(every) > 1000
    for once, again in zip(found, candidates(descriptors, 0.75, 16), strict=True):
        assert np.array_equal(once, again)
