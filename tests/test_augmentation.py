"""Augmentation: stateless, within its range, and about the centre."""

import numpy as np

from brain_mri.augmentation.affine import Affine
from brain_mri.augmentation.policy import Policy
from brain_mri.images.examples import Examples

REPORT = Affine(rotation=15, shift=0.08, zoom=0.15, flip=False)
STILL = Affine(rotation=0, shift=0, zoom=0, flip=False)


def augment(images: np.ndarray, indices: np.ndarray, affine: Affine, seed: int, epoch: int) -> np.ndarray:
    """The images as an epoch shows them when they stand at `indices` in the training split."""
    split = np.zeros((indices.max() + 1, *images.shape[1:]), np.uint8)
    split[indices] = images
    train = Examples(split, np.zeros(len(split), int))
    return Policy(seed, None, 0, None, affine, None, None, 0).draw(train, indices, epoch).images


def images(count: int = 6, size: int = 40) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (count, size, size, 1), dtype=np.uint8)


def test_an_image_s_draw_depends_on_seed_epoch_and_index_alone() -> None:
    batch, indices = images(), np.array([5, 9, 2, 7, 11, 0])
    whole = augment(batch, indices, REPORT, seed=3, epoch=4)
    turned = augment(batch[::-1], indices[::-1], REPORT, seed=3, epoch=4)
    assert np.array_equal(whole, turned[::-1])
    assert np.array_equal(whole[2:3], augment(batch[2:3], indices[2:3], REPORT, seed=3, epoch=4))
    for other in ({"seed": 4, "epoch": 4}, {"seed": 3, "epoch": 5}):
        assert not np.array_equal(whole, augment(batch, indices, REPORT, **other))


def test_no_range_changes_nothing() -> None:
    batch = images()
    assert np.array_equal(augment(batch, np.arange(6), STILL, 0, 0), batch)


def test_the_draw_stays_in_its_range() -> None:
    size, centre = 200, np.array([99.5, 99.5])
    for seed in range(300):
        matrix = REPORT.matrix(np.random.default_rng(seed), size)
        scales = np.linalg.norm(matrix[:, :2], axis=0)
        angle = np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0]))
        assert np.all((scales >= 0.85 - 1e-9) & (scales <= 1.15 + 1e-9))
        assert abs(angle) <= 15 + 1e-9
        assert np.all(np.abs(matrix @ [*centre, 1] - centre) <= 0.08 * size + 1e-9)
        assert np.linalg.det(matrix[:, :2]) > 0, "the report does not flip"


def test_flip_mirrors_about_half() -> None:
    flips = Affine(0, 0, 0, flip=True)
    batch = np.repeat(images(1), 200, axis=0)
    moved = augment(batch, np.arange(200), flips, 0, 0)
    mirrored = (moved == batch[:, :, ::-1]).all((1, 2, 3))
    assert np.array_equal(~mirrored, (moved == batch).all((1, 2, 3)))
    assert 70 < mirrored.sum() < 130


def test_what_enters_repeats_the_border() -> None:
    batch = np.full((4, 30, 30, 1), 90, np.uint8)
    assert (augment(batch, np.arange(4), Affine(45, 0.4, 0.4, True), 0, 0) == 90).all()
