"""Corruptions: same bytes from the same seed, and strengths that mean what they say."""

import numpy as np
import pytest

from brain_mri.augmentation.corruptions import (
    CORRUPTIONS,
    bias_field,
    blur,
    contrast,
    corrupt,
    gamma,
    ghosting,
    motion,
    rician_noise,
)

NAMES = list(CORRUPTIONS)


def heads(n: int = 4, size: int = 96) -> np.ndarray:
    """Ellipses with some inner structure on black, one unlike the other."""
    rows, columns = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    rng = np.random.default_rng(0)
    images = []
    for _ in range(n):
        head = ((rows / 0.8) ** 2 + (columns / rng.uniform(0.6, 0.8)) ** 2 < 1).astype(float)
        waves = np.sin(rng.uniform(8, 20) * rows) * np.cos(rng.uniform(8, 20) * columns)
        images.append(head * (120 + 60 * waves))
    return np.array(images).astype(np.uint8)


@pytest.mark.parametrize("name", NAMES)
def test_an_image_s_bytes_hang_on_the_seed_and_its_place(name: str) -> None:
    images = heads()
    whole = corrupt(images, name, 2, seed=5)
    assert whole.dtype == np.uint8 and whole.shape == images.shape
    assert np.array_equal(whole[:1], corrupt(images[:1], name, 2, seed=5))
    if name not in ("blur", "contrast", "low_resolution"):
        assert not np.array_equal(whole, corrupt(images, name, 2, seed=6))


@pytest.mark.parametrize("name", NAMES)
def test_stronger_levels_change_every_image_more(name: str) -> None:
    images = heads().astype(float)
    changes = [np.abs(corrupt(heads(), name, level, 0) - images).mean((1, 2)) for level in (1, 2, 3)]
    assert (changes[0] > 0.05).all() and (changes[0] < changes[1]).all() and (changes[1] < changes[2]).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [0, 255])
def test_empty_images_survive(name: str, value: int) -> None:
    assert corrupt(np.full((1, 40, 50), value, np.uint8), name, 3, 0).shape == (1, 40, 50)


def test_another_name_or_level_is_refused() -> None:
    with pytest.raises(ValueError, match="bias_field"):
        corrupt(heads(1), "snow", 1, 0)
    with pytest.raises(ValueError, match="level 4"):
        corrupt(heads(1), "blur", 4, 0)


def test_the_bias_field_spans_its_strength_and_is_smooth() -> None:
    field = bias_field(np.ones((80, 60), np.float32), 0.4, np.random.default_rng(0))
    assert (field.min(), field.max()) == pytest.approx((0.8, 1.2))
    assert np.abs(np.diff(field, axis=0)).max() < 0.03


def test_noise_is_rayleigh_in_air_and_gaussian_in_tissue() -> None:
    image = np.zeros((400, 400), np.float32)
    image[200:] = 0.5
    noisy = rician_noise(image, 0.1, np.random.default_rng(0))
    sigma = 0.1 * 0.5
    assert noisy[:200].mean() == pytest.approx(sigma * np.sqrt(np.pi / 2), rel=0.02)
    assert noisy[200:].std() == pytest.approx(sigma, rel=0.02)
    assert noisy[200:].mean() == pytest.approx(0.5 + sigma**2 / (2 * 0.5), rel=0.01)


def test_gamma_bends_the_middle_and_keeps_the_ends() -> None:
    ramp = np.linspace(0, 1, 101, dtype=np.float32)[None]
    bent = [gamma(ramp, 0.5, np.random.default_rng(seed))[0] for seed in range(8)]
    assert all(b[0] == 0 and b[-1] == 1 and (np.diff(b) > 0).all() for b in bent)
    assert {round(float(np.log(b[50]) / np.log(0.5)), 3) for b in bent} == {
        round(float(np.exp(-0.5)), 3),
        round(float(np.exp(0.5)), 3),
    }


def test_ghosts_lie_at_a_fraction_of_the_field_of_view() -> None:
    image = np.zeros((120, 120), np.float32)
    image[60, 60] = 1
    ghosts = ghosting(image, 0.6, np.random.default_rng(1))
    peaks = np.argwhere(ghosts > 0.05)
    offsets = np.abs(peaks - 60).max(1)
    assert (np.abs(peaks - 60).min(1) == 0).all()
    assert len(peaks) >= 3 and (offsets % (120 // len(peaks)) <= 1).all()


def test_motion_of_nothing_changes_nothing() -> None:
    image = heads(1)[0].astype(np.float32) / 255
    assert motion(image, 0.0, np.random.default_rng(0)) == pytest.approx(image, abs=1e-4)


def test_blur_has_the_stated_width() -> None:
    image = np.zeros((1, 201), np.float32)
    image[0, 100] = 1
    spread = blur(image, 0.02, np.random.default_rng(0))[0]
    assert np.sqrt((spread * (np.arange(201) - 100) ** 2).sum() / spread.sum()) == pytest.approx(0.02 * 201, rel=0.05)


def test_contrast_loses_the_stated_share() -> None:
    image = heads(1)[0].astype(np.float32) / 255
    flat = contrast(image, 0.4, np.random.default_rng(0))
    assert flat.std() == pytest.approx(0.6 * image.std(), rel=1e-4)
    assert flat.mean() == pytest.approx(image.mean(), rel=1e-4)


def test_low_resolution_loses_fine_detail_and_keeps_the_mean() -> None:
    board = (np.indices((96, 96)).sum(0) % 2 * 200).astype(np.uint8)
    coarse = corrupt(board[None], "low_resolution", 1, 0)[0]
    assert coarse.std() < 1 and coarse.mean() == pytest.approx(100, abs=1)
