"""The detector of what is no brain MRI: known answers, and a file that repeats."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from brain_mri.errors import UserError
from brain_mri.prediction import novelty, strangers

RNG = np.random.default_rng(0)
MIXING = RNG.normal(size=(6, 6))


def cloud(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 6)) @ MIXING + 3


@pytest.fixture(scope="module")
def detector() -> novelty.Detector:
    return novelty.fit(cloud(3000, 1), cloud(1000, 2), 0.01)


def test_so_many_validation_images_are_flagged(detector: novelty.Detector) -> None:
    assert detector.flags(cloud(1000, 2)).mean() == pytest.approx(0.01, abs=0.002)
    assert detector.flags(cloud(5000, 3)).mean() == pytest.approx(0.01, abs=0.007)


def test_scores_follow_the_distances_in_the_whitened_cloud(detector: novelty.Detector) -> None:
    """From 0 at the usual distance to 1 at that which one image in a hundred has."""
    plain = np.random.default_rng(4).normal(size=(200, 6))
    usual, rare = np.sqrt(stats.chi2(6).ppf([0.5, 0.99]))
    expected = (np.linalg.norm(plain, axis=1) - usual) / (rare - usual)
    assert np.allclose(detector.scores(plain @ MIXING + 3), expected, atol=0.2)


def test_strangers_teach_where_to_look(detector: novelty.Detector) -> None:
    """Pictures that lie to one side, hardly farther away than others, are found by those that taught."""
    side = np.array([2.5, 0, 0, 0, 0, 0]) @ MIXING
    taught = novelty.fit(cloud(3000, 1), cloud(1000, 2), 0.01, cloud(100, 8) + side)
    assert taught.flags(cloud(1000, 3)).mean() == pytest.approx(0.01, abs=0.01)
    assert taught.flags(cloud(1000, 9) + side).mean() > detector.flags(cloud(1000, 9) + side).mean() + 0.1
    assert taught.flags(cloud(1000, 9) - 4 * side).mean() > 0.5  # far to the other side


def test_what_is_off_in_correlation_alone_is_flagged(detector: novelty.Detector) -> None:
    """Each number by itself is ordinary; only together they are not."""
    shuffled = np.random.default_rng(5).permuted(cloud(500, 6), axis=0)
    assert detector.flags(shuffled).mean() > 0.3


def test_a_constant_description_does_no_harm() -> None:
    training, validation = (np.c_[cloud(n, s), np.full(n, 7.0)] for n, s in ((400, 1), (100, 2)))
    assert np.isfinite(novelty.fit(training, validation, 0.01, validation + 1).scores(validation)).all()


def test_the_file_repeats_and_gives_the_same_answers(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        detector = novelty.fit(cloud(3000, 1), cloud(1000, 2), 0.01, cloud(50, 3) + 1)
        detector.save(tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    read = novelty.load(tmp_path / "a.npz")
    assert np.array_equal(read.scores(cloud(50, 7)), detector.scores(cloud(50, 7)))


def test_the_bytes_of_a_file_do_not_depend_on_the_python(tmp_path: Path) -> None:
    ones = np.ones(2, np.float32)
    novelty.Detector(ones, ones, np.eye(2, dtype=np.float32), ones, ones, ones, 0.5).save(tmp_path / "guard.npz")
    digest = hashlib.sha256((tmp_path / "guard.npz").read_bytes()).hexdigest()
    assert digest == "446ec5d638ab0412fd0c71337126aeea5449401c27fa528e126bde101e29f608"


def test_a_broken_file_and_another_network_are_one_line_each(detector: novelty.Detector, tmp_path: Path) -> None:
    (tmp_path / "guard.npz").write_bytes(b"PK not a zip")
    with pytest.raises(UserError, match="not a detector"):
        novelty.load(tmp_path / "guard.npz")
    with pytest.raises(UserError, match="another network"):
        detector.flags(np.zeros((2, 5)))


def test_descriptions_follow_place_and_detail() -> None:
    maps = np.zeros((2, 9, 9, 3), np.float32)
    maps[0, :2, :2, 1] = 1
    maps[1, 4:6, 4:6, 1] = 1
    images, deeper = np.zeros((2, 64, 64, 1), np.uint8), np.zeros((2, 3, 3, 5), np.float32)
    first, second = novelty.describe(images, [maps, deeper])
    assert len(first) == 2 * 3 + 2 * 5 + 16 * 3 + 22
    assert np.allclose(first[:16], second[:16])  # the same on average
    assert first[16 + 1] == 1 and second[16 + 1] == 0
    smooth = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (64, 1))
    noisy = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    described = novelty.describe_pictures(np.stack([smooth, noisy])[..., None])
    assert described.shape == (2, 22)
    assert described[0, 17] == pytest.approx(1, abs=0.01)  # the same upside down
    assert described[0, 16] == pytest.approx(-1, abs=0.02)  # the opposite mirrored
    assert described[1, 18] > described[0, 18] + 2


def test_many_channels_are_mixed_down_the_same_way_each_time() -> None:
    images, maps = np.zeros((2, 16, 16, 1), np.uint8), RNG.normal(size=(2, 8, 8, 200)).astype(np.float32)
    described = novelty.describe(images, [maps])
    assert described.shape == (2, (2 + 16) * novelty.MOST_CHANNELS + 22)
    assert np.array_equal(described, novelty.describe(images, [maps]))
    swapped = novelty.describe(images, [maps[::-1, ::-1]])  # images exchanged, each upside down
    cells = slice(2 * novelty.MOST_CHANNELS, 18 * novelty.MOST_CHANNELS)
    upright = swapped[::-1, cells].reshape(2, 4, 4, -1)[:, ::-1].reshape(2, -1)
    assert np.allclose(upright, described[:, cells], atol=1e-5)


def test_strangers_repeat_and_the_halves_share_no_kind() -> None:
    assert not strangers.CHOOSING.keys() & strangers.MEASURING.keys()
    for half in (strangers.CHOOSING, strangers.MEASURING):
        pictures, kinds = strangers.draw(half, 2, seed=0)
        again, _ = strangers.draw(half, 2, seed=0)
        assert kinds == [kind for kind in half for _ in range(2)]
        for picture, other in zip(pictures, again, strict=True):
            assert np.array_equal(picture, other)
            assert picture.dtype == np.uint8 and picture.ndim == 2
            assert min(picture.shape) >= 96 and picture.min() < picture.max()
        assert len({picture.tobytes() for picture in pictures}) == len(pictures)
