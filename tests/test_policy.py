"""How a pipeline shows its images: stateless, image and mask move together, phantoms take their share."""

from dataclasses import replace

import cv2
import numpy as np

from core.network.appearance import Appearance
from core.network.augmentation import Affine, move
from core.network.batches import Examples
from core.network.counterfactual import Counterfactuals, Rates
from core.network.policy import Policy

REPORT = Affine(15, 0.08, 0.15, flip=True)
PLAIN = Policy(3, None, 0, None, REPORT, None)
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
