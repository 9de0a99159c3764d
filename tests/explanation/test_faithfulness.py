"""Faithfulness curves: a classifier that is known to look at one box, and the imputation against an exact solution."""

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import spsolve

from brain_mri.explanation.faithfulness import FRACTIONS, NEIGHBOURS, NOISE, area, curves, impute

BOX = np.s_[4:8, 4:8]  # 16 of 400 pixels: 4 %


def predict(images: np.ndarray) -> np.ndarray:
    """The probability of class 1 is the brightness of the box; nothing else counts."""
    bright = images[:, BOX[0], BOX[1], 0].mean(axis=(1, 2)) / 255
    return np.stack([1 - bright, bright], axis=1)


def dark_images_with_a_white_box(n: int = 3) -> np.ndarray:
    images = np.zeros((n, 20, 20, 1), np.uint8)
    images[:, BOX[0], BOX[1]] = 255
    return images


def box_maps(n: int = 3) -> np.ndarray:
    maps = np.zeros((n, 20, 20), np.float32)
    maps[:, BOX[0], BOX[1]] = 1
    return maps


ONES = np.ones(3, int)
STEPS = (0, 0.02, 0.04, 0.5, 1)


def test_deletion_by_hand() -> None:
    # Half of the box, then all of it becomes the image's mean, 4 % of white; later steps change nothing in the box.
    images = dark_images_with_a_white_box()
    found = curves("deletion", images, box_maps(), ONES, predict, STEPS)
    np.testing.assert_allclose(found, [[1, 0.52, 0.04, 0.04, 0.04]] * 3, rtol=1e-6)
    found = curves("deletion", images, -box_maps(), ONES, predict, (0, 0.5, 0.96, 1))
    np.testing.assert_allclose(found, [[1, 1, 1, 0.04]] * 3, rtol=1e-6)


def test_insertion_by_hand() -> None:
    found = curves("insertion", dark_images_with_a_white_box(), box_maps(), ONES, predict, STEPS)
    assert 0.5 < found[0, 0] < found[0, 1] < 1
    np.testing.assert_allclose(found[:, 2:], 1)


@pytest.mark.parametrize(
    ("kind", "sign"),
    [("deletion", -1), ("insertion", 1), ("road_most_relevant_first", -1), ("road_least_relevant_first", 1)],
)
def test_a_true_map_beats_noise_and_its_opposite_in_every_curve(kind: str, sign: int) -> None:
    noise = np.random.default_rng(0).random((3, 20, 20)).astype(np.float32)
    true, random, false = (
        area(curves(kind, dark_images_with_a_white_box(), maps, ONES, predict), FRACTIONS[kind]).mean()
        for maps in (box_maps(), noise, -box_maps())
    )
    assert sign * true > sign * random > sign * false
    if kind.startswith("road"):
        assert true > 0.95 if sign > 0 else true < 0.1


def test_the_class_asked_for_is_followed() -> None:
    found = curves("deletion", dark_images_with_a_white_box(), box_maps(), np.array([0, 1, 0]), predict, STEPS)
    np.testing.assert_allclose(found[0], 1 - found[1], atol=1e-6)


@pytest.mark.parametrize("kind", FRACTIONS)
def test_batches_are_small_and_change_nothing(kind: str) -> None:
    seen = set()

    def watched(images: np.ndarray) -> np.ndarray:
        seen.add((len(images), images.dtype.name, images.min() >= 0 and images.max() <= 255))
        return predict(images)

    rng = np.random.default_rng(0)
    images, maps = rng.integers(0, 256, (5, 20, 20, 1)).astype(np.uint8), rng.integers(0, 3, (5, 20, 20))
    found = curves(kind, images, maps, np.ones(5, int), watched, batch_size=2)
    np.testing.assert_allclose(found, curves(kind, images, maps, np.ones(5, int), predict), rtol=1e-6)
    assert seen == {(2, "float32", True), (1, "float32", True)}


def test_ties_are_taken_in_random_order() -> None:
    def top_row(images: np.ndarray) -> np.ndarray:
        return np.repeat(images[:, :1].mean(axis=(1, 2, 3))[:, None] / 255, 2, axis=1)

    images = np.zeros((1, 20, 20, 1), np.uint8)
    images[0, 0] = 255
    found = curves("deletion", images, np.zeros((1, 20, 20)), np.array([0]), top_row, (0, 0.5))
    assert 0.3 < found[0, 1] < 0.8  # in reading order the whole row would be gone


def test_area() -> None:
    np.testing.assert_allclose(area(np.array([[1, 1, 1], [1, 0.5, 0]]), (0, 0.5, 1)), [1, 0.5])
    np.testing.assert_allclose(area(np.array([[0.3, 0.3]]), (0.1, 0.9)), [0.3])


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("shape", ["scattered", "centre", "edge"])
def test_imputation_solves_the_papers_equations(shape: str, fraction: float) -> None:
    rng = np.random.default_rng(0)
    away = np.hypot(*(np.mgrid[:60, :50] - np.array([30, 25])[:, None, None]))
    order = {"scattered": rng.random((60, 50)), "centre": -away, "edge": away}[shape]
    missing = order >= np.quantile(order, 1 - fraction)
    image = np.float32(rng.integers(0, 256, (60, 50)))
    found = impute(image, missing)
    np.testing.assert_array_equal(found[~missing], image[~missing])
    assert np.abs(found - exact(image, missing)).max() < 0.2 * NOISE


def exact(image: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """The same linear system, written out pixel by pixel and solved directly."""
    height, width = image.shape
    number = np.where(missing, np.cumsum(missing).reshape(image.shape) - 1, -1)
    matrix, right = sparse.lil_matrix((missing.sum(), missing.sum())), np.zeros(missing.sum())
    for y, x in np.argwhere(missing):
        for dy, dx in [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]:
            if 0 <= y + dy < height and 0 <= x + dx < width:
                weight = NEIGHBOURS[dy + 1, dx + 1]
                matrix[number[y, x], number[y, x]] += weight
                if missing[y + dy, x + dx]:
                    matrix[number[y, x], number[y + dy, x + dx]] -= weight
                else:
                    right[number[y, x]] += weight * image[y + dy, x + dx]
    solved = image.astype(np.float64)
    solved[missing] = spsolve(matrix.tocsr(), right)
    return solved


def test_imputation_of_a_flat_image_and_of_nothing() -> None:
    missing = np.random.default_rng(0).random((30, 30)) < 0.7
    np.testing.assert_allclose(impute(np.full((30, 30), 90, np.float32), missing), 90, atol=0.05)
    image = np.float32(np.random.default_rng(0).random((9, 9)))
    np.testing.assert_array_equal(impute(image, np.zeros((9, 9), bool)), image)
    with pytest.raises(ValueError, match="below 1"):
        impute(image, np.ones((9, 9), bool))
