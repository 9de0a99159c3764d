"""Domain randomisation: stateless, each change its own, in its range."""

from typing import Any

import numpy as np
import pytest
from settings import params

from brain_mri.augmentation.appearance import CHANCE, CHANGES, brightness, change_appearance, invert, sharpen
from brain_mri.params import Appearance

STRONG = {"invert": 0.5, "gamma": 0.6, "contrast": 0.5, "brightness": 0.4, "bias_field": 0.6, "ghosting": 0.4} | {
    "motion": 0.02,
    "low_resolution": 3.0,
    "blur": 0.05,
    "sharpen": 1.5,
    "rician_noise": 0.08,
}


def only(**strengths: Any) -> Appearance:
    """These strengths; every other change never comes, as in the default study."""
    return params().augment.appearance.model_copy(update=strengths)


def image(size: int = 48) -> np.ndarray:
    rows, columns = np.mgrid[:size, :size] - size / 2
    tissue = (rows**2 + columns**2 < (0.45 * size) ** 2) * (90 + 40 * np.sin(rows / 3))
    return tissue.clip(0, 255).astype(np.uint8)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_no_strength_changes_nothing() -> None:
    assert not only().changes_any
    for seed in range(20):
        assert np.array_equal(change_appearance(image(), only(), rng(seed)), image())


def test_the_generator_alone_decides() -> None:
    one, again, other = (change_appearance(image(), only(**STRONG), rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(one, again) and not np.array_equal(one, other)


@pytest.mark.parametrize("name", Appearance.model_fields)
def test_a_change_comes_to_its_share_of_the_images(name: str) -> None:
    alone = only(**{name: STRONG[name]})
    changed = [not np.array_equal(change_appearance(image(), alone, rng(seed)), image()) for seed in range(200)]
    assert abs(np.mean(changed) - CHANCE) < 0.15


def test_switching_one_off_leaves_the_others_as_they_were() -> None:
    for seed in range(10):
        kinds = (only(gamma=0.5), only(gamma=0.5, rician_noise=1e-9))
        one, other = (change_appearance(image(), kind, rng(seed)).astype(int) for kind in kinds)
        assert np.abs(one - other).max() <= 1


def test_every_change_has_its_key() -> None:
    assert list(CHANGES) == list(Appearance.model_fields)


def test_inversion_swaps_tissue_and_spares_the_background() -> None:
    x = image().astype(np.float32) / 255
    turned = invert(x, 1, rng())
    inside = x > 0.2
    assert np.corrcoef(x[inside], turned[inside])[0, 1] < -0.99
    assert turned[x == 0].max() == 0


def test_brightness_and_sharpening() -> None:
    x = image().astype(np.float32) / 255
    assert {round(float(brightness(x, 0.5, rng(seed)).sum() / x.sum()), 3) for seed in range(9)} == {1.649, 0.607}
    assert sharpen(x, 1.0, rng()).std() > x.std()
