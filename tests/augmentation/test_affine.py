"""How a pipeline shows its images: stateless, within its range, image and mask together, phantoms by their share."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from settings import params

from brain_mri.augmentation.affine import draw_matrix, move
from brain_mri.augmentation.policy import Policy, draw_phantoms
from brain_mri.images.examples import Examples

NEGATIVE, SEED, LAST = 2, 1, 13  # of the default study: its class without tumour, seed of training, last epoch
REPORT = {"rotation": 15.0, "shift": 0.08, "zoom": 0.15, "flip": True}
STILL = {"rotation": 0.0, "shift": 0.0, "zoom": 0.0, "flip": False}


def train(count: int = 12, size: int = 32) -> Examples:
    """Noise with a bright box, which is the lesion; every third image is negative and has none."""
    rng = np.random.default_rng(0)
    images, masks = rng.integers(20, 100, (count, size, size, 1), dtype=np.uint8), np.zeros((count, size, size), bool)
    labels = np.arange(count) % 3
    masks[labels != NEGATIVE, 10:20, 12:22] = True
    images[masks] = 250
    return Examples(images, labels, masks, np.ones(count, bool))


def policy(examples: Examples, seed: int = SEED, **augment: Any) -> Callable[[np.ndarray, int], Examples]:
    return Policy(examples, params(augment=REPORT | augment, train={"seed": seed}, model={"image_size": 32}), 4).draw


def test_without_more_it_is_the_report_s_augmentation() -> None:
    examples, indices = train(), np.array([5, 2, 7])
    drawn = policy(examples)(indices, 4)
    for image, index in zip(drawn.images[..., 0], indices, strict=True):
        matrix = draw_matrix(params(augment=REPORT).augment, np.random.default_rng((SEED, 4, int(index))), 32)
        assert np.array_equal(image, move(examples.images[index, :, :, 0], matrix, cv2.INTER_LINEAR))
    assert np.array_equal(drawn.labels, examples.labels[indices])


def test_no_range_changes_nothing() -> None:
    assert np.array_equal(policy(train(), **STILL)(np.arange(12), 0).images, train().images)


def test_the_map_stays_in_its_range() -> None:
    size, centre = 200, np.array([99.5, 99.5])
    settings = params(augment=REPORT | {"flip": False}).augment
    for seed in range(300):
        matrix = draw_matrix(settings, np.random.default_rng(seed), size)
        scales = np.linalg.norm(matrix[:, :2], axis=0)
        assert np.all((scales >= 0.85 - 1e-9) & (scales <= 1.15 + 1e-9))
        assert abs(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0]))) <= 15 + 1e-9
        assert np.all(np.abs(matrix @ [*centre, 1] - centre) <= 0.08 * size + 1e-9)
        assert np.linalg.det(matrix[:, :2]) > 0, "the paper does not flip"


def test_flip_mirrors_about_half() -> None:
    examples = train(200)
    moved = policy(examples, **STILL | {"flip": True})(np.arange(200), 0).images
    mirrored = (moved == examples.images[:, :, ::-1]).all((1, 2, 3))
    assert np.array_equal(~mirrored, (moved == examples.images).all((1, 2, 3)))
    assert 70 < mirrored.sum() < 130


def test_what_enters_repeats_the_border() -> None:
    grey = Examples(np.full((4, 30, 30, 1), 90, np.uint8), np.zeros(4, int))
    assert (policy(grey, rotation=45.0, shift=0.4, zoom=0.4)(np.arange(4), 0).images == 90).all()


def test_masks_are_moved_with_their_images() -> None:
    drawn = policy(train())(np.arange(12), 0)
    for image, mask, label in zip(drawn.images[..., 0], drawn.masks, drawn.labels, strict=True):  # type: ignore[arg-type]
        assert mask.any() == (label != NEGATIVE)
        bright = image > 175
        assert not mask.any() or (bright & mask).sum() / (bright | mask).sum() > 0.8


ALL = {
    "counterfactual": {"remove": 0.5, "insert": 0.5, "sham": 0.5},
    "appearance": {"invert": 0.3, "gamma": 0.5, "contrast": 0.3, "brightness": 0.3, "bias_field": 0.5, "ghosting": 0.3}
    | {"motion": 0.01, "low_resolution": 2.0, "blur": 0.01, "sharpen": 1.0, "rician_noise": 0.05},
}


@pytest.mark.parametrize("augment", [{}, ALL], ids=["paper's", "all"])
def test_a_draw_depends_on_seed_epoch_and_index_alone(augment: dict) -> None:
    examples, indices = train(), np.array([5, 9, 2, 7, 11, 0])
    draw = policy(examples, **augment)
    whole, turned, one = draw(indices, 1), draw(indices[::-1], 1), draw(indices[2:3], 1)
    for part in ("images", "labels", "masks"):
        assert np.array_equal(getattr(whole, part), getattr(turned, part)[::-1])
        assert np.array_equal(getattr(whole, part)[2:3], getattr(one, part))
    assert not np.array_equal(whole.images, draw(indices, 2).images)
    assert not np.array_equal(whole.images, policy(examples, seed=4, **augment)(indices, 1).images)
    assert np.array_equal(examples.images, train().images), "the training split itself is not changed"


def test_phantoms_take_their_share() -> None:
    examples = train(300)
    drawn = policy(examples, **STILL, phantoms=0.3)(np.arange(300), 0)
    came = (drawn.images != examples.images).any((1, 2, 3))
    assert 60 < came.sum() < 120
    assert np.array_equal(drawn.labels[~came], examples.labels[~came])
    known = draw_phantoms(params(model={"image_size": 32}), SEED, 4)
    assert {image.tobytes() for image in drawn.images[came]} == {image.tobytes() for image in known.images}
    assert np.array_equal(drawn.masks[came].any((1, 2)), drawn.labels[came] != NEGATIVE)  # type: ignore[index]


def test_phantoms_are_of_all_classes_and_cropped() -> None:
    drawn = draw_phantoms(params(model={"image_size": 48}), 3, 4)
    assert drawn.images.shape == (4, 48, 48, 1) and drawn.images.dtype == np.uint8
    assert drawn.labels.tolist() == [0, 1, 2, 3]
    assert drawn.masks.any((1, 2)).tolist() == [True, True, False, True]  # type: ignore[union-attr]


def test_the_last_epochs_show_a_share_of_the_images_as_they_are() -> None:
    examples, indices = train(300), np.arange(300)
    draw, changed = policy(examples, plain={"epochs": 1, "share": 0.3}), policy(examples)
    assert np.array_equal(draw(indices, LAST - 1).images, changed(indices, LAST - 1).images)
    drawn = draw(indices, LAST)
    plain = (drawn.images == examples.images).all((1, 2, 3))
    assert 60 < plain.sum() < 120
    assert np.array_equal(drawn.images[~plain], changed(indices, LAST).images[~plain]), "the others change as ever"
    assert np.array_equal(drawn.masks[plain], examples.masks[plain])  # type: ignore[index]
    whole = policy(examples, plain={"epochs": 1, "share": 1.0}, mixup=1.0)(indices, LAST)
    assert np.array_equal(whole.images, examples.images) and (whole.shares == 1).all(), "nothing is mixed in either"


def test_mixup_lays_another_image_over_by_the_stated_share() -> None:
    grey = np.array([0, 200], np.uint8)
    examples = Examples(np.broadcast_to(grey[:, None, None, None], (2, 8, 8, 1)).copy(), np.arange(2))
    drawn = [policy(examples, **STILL, mixup=1.0)(np.array([0]), epoch) for epoch in range(20)]
    assert any(batch.images.any() for batch in drawn)
    for batch in drawn:
        assert batch.shares is not None and batch.mixed_in is not None
        assert (batch.images == round(grey[batch.mixed_in[0]] * (1 - batch.shares[0]))).all()


def test_mixup_draws_a_share_for_each_image() -> None:
    examples, indices = replace(train(200), labels=np.arange(200) % 4), np.arange(200)
    draw = policy(examples, **STILL, mixup=0.4)
    drawn = draw(indices, 2)
    assert drawn.shares is not None
    assert drawn.shares.min() < 0.05 and drawn.shares.max() > 0.95 and abs(drawn.shares.mean() - 0.5) < 0.1
    assert np.array_equal(draw(np.array([17]), 2).images[0], drawn.images[17]), "a draw depends on its image alone"
