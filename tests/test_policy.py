"""How a pipeline shows its images: stateless, image and mask move together, phantoms take their share."""

from dataclasses import replace
from functools import partial

import cv2
import numpy as np

from brain_mri.augmentation.affine import Affine, move
from brain_mri.augmentation.appearance import Appearance
from brain_mri.augmentation.counterfactual import Counterfactuals, Rates
from brain_mri.augmentation.policy import Plain, Policy
from brain_mri.images.examples import Examples
from brain_mri.network.batches import Batches

REPORT = Affine(15, 0.08, 0.15, flip=True)
PLAIN = Policy(3, None, 0, None, REPORT, None, None, 0)
NEGATIVE = 2


def train(count: int = 12, size: int = 32) -> Examples:
    """Noise with a bright box, which is the lesion; every third image is negative and has none."""
    rng = np.random.default_rng(0)
    images, masks = rng.integers(20, 100, (count, size, size, 1), dtype=np.uint8), np.zeros((count, size, size), bool)
    labels = np.arange(count) % 3
    masks[labels != NEGATIVE, 10:20, 12:22] = True
    images[masks] = 250
    return Examples(images, labels, masks, np.ones(count, bool))


def test_without_more_it_is_the_report_s_augmentation() -> None:
    examples, indices = train(), np.array([5, 2, 7])
    drawn = PLAIN.draw(examples, indices, 4)
    for image, index in zip(drawn.images[..., 0], indices, strict=True):
        matrix = REPORT.matrix(np.random.default_rng((3, 4, int(index))), 32)
        assert np.array_equal(image, move(examples.images[index, :, :, 0], matrix, cv2.INTER_LINEAR))
    assert np.array_equal(drawn.labels, examples.labels[indices])


def test_masks_are_moved_with_their_images() -> None:
    drawn = PLAIN.draw(train(), np.arange(12), 0)
    for image, mask, label in zip(drawn.images[..., 0], drawn.masks, drawn.labels, strict=True):  # type: ignore[arg-type]
        assert mask.any() == (label != NEGATIVE)
        bright = image > 175
        assert not mask.any() or (bright & mask).sum() / (bright | mask).sum() > 0.8


def test_a_draw_depends_on_seed_epoch_and_index_alone() -> None:
    examples = train()
    policy = replace(
        PLAIN,
        counterfactuals=Counterfactuals(examples, Rates(0.5, 0.5, 0.5), NEGATIVE),
        appearance=Appearance(0.3, 0.5, 0.3, 0.3, 0.5, 0.3, 0.01, 2, 0.01, 1, 0.05),
    )
    whole = policy.draw(examples, np.arange(12), 1)
    turned = policy.draw(examples, np.arange(12)[::-1], 1)
    for part in ("images", "labels", "masks"):
        assert np.array_equal(getattr(whole, part), getattr(turned, part)[::-1])
    assert not np.array_equal(whole.images, policy.draw(examples, np.arange(12), 2).images)
    assert np.array_equal(examples.images, train().images), "the training split itself is not changed"


def test_phantoms_take_their_share() -> None:
    examples = train(300)
    black = Examples(np.zeros((5, 32, 32, 1), np.uint8), np.full(5, 1), np.ones((5, 32, 32), bool), np.ones(5, bool))
    drawn = replace(PLAIN, phantoms=black, phantom_share=0.3).draw(examples, np.arange(300), 0)
    came = ~drawn.images.any((1, 2, 3))
    assert 60 < came.sum() < 120
    assert (drawn.labels[came] == 1).all() and drawn.masks[came].all()  # type: ignore[index]
    assert np.array_equal(drawn.labels[~came], examples.labels[~came])


def test_the_last_epochs_show_a_share_of_the_images_as_they_are() -> None:
    examples, indices = train(300), np.arange(300)
    policy = replace(PLAIN, plain=Plain(first_epoch=4, share=0.3))
    assert np.array_equal(policy.draw(examples, indices, 3).images, PLAIN.draw(examples, indices, 3).images)
    drawn, changed = policy.draw(examples, indices, 4), PLAIN.draw(examples, indices, 4)
    plain = (drawn.images == examples.images).all((1, 2, 3))
    assert 60 < plain.sum() < 120
    assert np.array_equal(drawn.images[~plain], changed.images[~plain]), "the others are changed as ever"
    assert np.array_equal(drawn.masks[plain], examples.masks[plain])  # type: ignore[index]
    whole = replace(PLAIN, plain=Plain(0, share=1)).draw(examples, indices, 0)
    assert np.array_equal(whole.images, examples.images)


def test_mixup_lays_another_image_over_and_shares_out_the_label() -> None:
    examples, indices = train(200), np.arange(200)
    examples = replace(examples, labels=indices % 4)
    policy = replace(PLAIN, mixup=0.4, affine=Affine(0, 0, 0, flip=False))
    drawn = policy.draw(examples, indices, 2)
    assert drawn.shares is not None and drawn.mixed_in is not None
    assert drawn.shares.min() < 0.05 and drawn.shares.max() > 0.95 and abs(drawn.shares.mean() - 0.5) < 0.1
    alone = policy.draw(examples, np.array([17]), 2)
    assert np.array_equal(alone.images[0], drawn.images[17]), "a draw depends on its image alone"
    _, labels = Batches(partial(policy.draw, examples), 4, indices, 200, epoch=2)[0]
    np.testing.assert_allclose(labels.sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(
        labels[17, 17 % 4], drawn.shares[17] + (1 - drawn.shares[17]) * (drawn.mixed_in[17] == 1)
    )


def test_a_mixed_image_is_the_stated_share_of_two() -> None:
    examples = replace(train(2), images=np.stack([np.zeros((32, 32, 1)), np.full((32, 32, 1), 200)]).astype(np.uint8))
    policy = replace(PLAIN, mixup=1, affine=Affine(0, 0, 0, flip=False))
    drawn = [policy.draw(examples, np.array([0]), epoch) for epoch in range(20)]
    assert any(batch.images.any() for batch in drawn)
    for batch in drawn:
        assert len(np.unique(batch.images)) == 1
        assert batch.shares is not None
        assert batch.images[0, 0, 0, 0] in (0, round(200 * (1 - batch.shares[0])))


def test_calm_epochs_mix_nothing() -> None:
    examples, indices = train(50), np.arange(50)
    drawn = replace(PLAIN, mixup=1, plain=Plain(0, share=1)).draw(examples, indices, 0)
    assert np.array_equal(drawn.images, examples.images) and (drawn.shares == 1).all()
