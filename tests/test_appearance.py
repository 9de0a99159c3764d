"""Domain randomisation: stateless, each change its own, in its range."""

from dataclasses import fields, replace

import numpy as np
import pytest

from brain_mri.augmentation.appearance import CHANCE, CHANGES, Appearance, brightness, invert, sharpen

STILL = Appearance(0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0)
STRONG = Appearance(0.5, 0.6, 0.5, 0.4, 0.6, 0.4, 0.02, 3, 0.05, 1.5, 0.08)


def image(size: int = 48) -> np.ndarray:
    rows, columns = np.mgrid[:size, :size] - size / 2
    tissue = (rows**2 + columns**2 < (0.45 * size) ** 2) * (90 + 40 * np.sin(rows / 3))
    return tissue.clip(0, 255).astype(np.uint8)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_no_strength_changes_nothing() -> None:
    for seed in range(20):
        assert np.array_equal(STILL.apply(image(), rng(seed)), image())


def test_the_generator_alone_decides() -> None:
    assert np.array_equal(STRONG.apply(image(), rng(3)), STRONG.apply(image(), rng(3)))
    assert not np.array_equal(STRONG.apply(image(), rng(3)), STRONG.apply(image(), rng(4)))


@pytest.mark.parametrize("name", [field.name for field in fields(Appearance)])
def test_a_change_comes_to_its_share_of_the_images(name: str) -> None:
    alone = replace(STILL, **{name: getattr(STRONG, name)})
    changed = [not np.array_equal(alone.apply(image(), rng(seed)), image()) for seed in range(200)]
    assert abs(np.mean(changed) - CHANCE) < 0.15


def test_switching_one_off_leaves_the_others_as_they_were() -> None:
    only_gamma, with_noise = replace(STILL, gamma=0.5), replace(STILL, gamma=0.5, rician_noise=1e-9)
    for seed in range(10):
        one, other = (kind.apply(image(), rng(seed)).astype(int) for kind in (only_gamma, with_noise))
        assert np.abs(one - other).max() <= 1


def test_every_change_has_its_field() -> None:
    assert list(CHANGES) == [field.name for field in fields(Appearance)]


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
