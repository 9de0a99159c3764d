"""Counterfactual images: a lesion goes, comes with its label, or a sham changes nothing that counts."""

import numpy as np
import pytest

from brain_mri.augmentation.counterfactual import Counterfactuals, insert, match_ring, remove
from brain_mri.errors import UserError
from brain_mri.images.examples import Examples
from brain_mri.params import Counterfactual

NEGATIVE, SIZE = 2, 64


def head(seed: int, brightness: float = 90) -> np.ndarray:
    rows, columns = np.mgrid[:SIZE, :SIZE] - SIZE / 2
    tissue = (rows**2 + columns**2 < 29**2) * brightness
    return np.clip(tissue + np.random.default_rng(seed).normal(0, 3, (SIZE, SIZE)), 0, 255).astype(np.uint8)


def lesion(row: int = 24, column: int = 40, radius: int = 6) -> np.ndarray:
    rows, columns = np.mgrid[:SIZE, :SIZE]
    return (rows - row) ** 2 + (columns - column) ** 2 < radius**2


def split(count: int = 40) -> Examples:
    """Half of the images with a bright lesion of class 0, half of the negative class."""
    images, masks = np.stack([head(i) for i in range(count)]), np.zeros((count, SIZE, SIZE), bool)
    labels = np.where(np.arange(count) % 2, NEGATIVE, 0)
    for place in np.flatnonzero(labels == 0):
        masks[place] = lesion(column=36 + place // 4)
        images[place][masks[place]] = 200
    return Examples(images[..., None], labels, masks, np.ones(count, bool))


def rates(remove: float, insert: float, sham: float) -> Counterfactual:
    return Counterfactual(remove=remove, insert=insert, sham=sham)


def draws(shares: Counterfactual, examples: Examples) -> list[tuple[np.ndarray, int, np.ndarray]]:
    changes = Counterfactuals(examples, shares, NEGATIVE)
    return [changes.draw(i, np.random.default_rng((7, i))) for i in range(len(examples.labels))]


def test_removed_lesions_are_gone() -> None:
    examples = split()
    for place, (image, label, mask) in enumerate(draws(rates(1, 0, 0), examples)):
        had, before = examples.masks[place], examples.images[place, :, :, 0]  # type: ignore[index]
        assert label == NEGATIVE and not mask.any()
        assert not had.any() or image[had].mean() < 110, "the lesion was 200, tissue is 90"
        assert np.array_equal(image[45:], before[45:]), "what lies elsewhere is left alone"


def test_inserted_lesions_bring_their_label_and_their_mask() -> None:
    examples = split()
    found = draws(rates(0, 1, 0), examples)
    came = [row for row, before in zip(found, examples.labels, strict=True) if before == NEGATIVE and row[1] == 0]
    assert len(came) >= 15, "nearly all heads have room"
    for image, _, mask in came:
        assert mask.any() and image[mask].mean() > 120, "tissue is 90"


def test_shams_change_pixels_and_nothing_else() -> None:
    examples = split()
    found = draws(rates(0, 0, 1), examples)
    changed = [not np.array_equal(row[0], image[..., 0]) for row, image in zip(found, examples.images, strict=True)]
    assert 20 <= sum(changed) <= 40
    for (image, label, mask), place in zip(found, range(40), strict=True):
        assert label == examples.labels[place] and np.array_equal(mask, examples.masks[place])  # type: ignore[index]
        assert not mask.any() or image[mask].mean() > 150, "a lesion is not touched"


def test_rates_of_nothing_change_nothing() -> None:
    examples = split(6)
    for (image, label, mask), place in zip(draws(rates(0, 0, 0), examples), range(6), strict=True):
        assert np.array_equal(image, examples.images[place, :, :, 0]) and label == examples.labels[place]
        assert np.array_equal(mask, examples.masks[place])  # type: ignore[index]


def test_a_draw_depends_on_the_generator_alone_and_leaves_the_split_as_it_was() -> None:
    examples = split()
    before = examples.images.copy()
    half = rates(0.5, 0.5, 0.5)
    for one, other in zip(draws(half, examples), draws(half, examples), strict=True):
        assert np.array_equal(one[0], other[0]) and one[1] == other[1]
    assert np.array_equal(before, examples.images)


def test_an_image_that_nobody_outlined_is_left_alone() -> None:
    examples = split()
    examples.masks[0], examples.outlined[0] = False, False  # type: ignore[index]
    image, label, _ = draws(rates(1, 1, 1), examples)[0]
    assert label == 0 and np.array_equal(image, examples.images[0, :, :, 0])


def test_no_outline_is_one_line() -> None:
    examples = split(4)
    examples.masks[:] = False  # type: ignore[index]
    with pytest.raises(UserError, match="0 outlined lesions and 2 images of the negative class"):
        Counterfactuals(examples, rates(0.5, 0, 0), NEGATIVE)


def test_a_patch_takes_the_greys_around_it() -> None:
    dark, bright = head(0, 40), head(1, 160)
    patch = match_ring(dark, bright, lesion())
    assert abs(patch[lesion()].mean() - 160) < 8


def test_a_lesion_does_not_leave_the_head() -> None:
    empty = np.zeros((SIZE, SIZE), np.uint8)
    assert insert(empty, head(0), lesion(), np.random.default_rng(0)) is None


def test_filling_keeps_some_of_the_noise() -> None:
    place, inside = lesion(column=32), lesion(column=32, radius=4)
    filled = [remove(head(3), place, np.random.default_rng(seed))[inside] for seed in range(20)]
    assert max(float(part.std()) for part in filled) > 1.5
