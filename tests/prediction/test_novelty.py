"""The detector of what is no brain MRI: known answers, and a file that repeats."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from sklearn.covariance import LedoitWolf

from brain_mri.errors import UserError
from brain_mri.prediction import novelty, other_pictures

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


def test_other_pictures_teach_where_to_look(detector: novelty.Detector) -> None:
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


KERNELS = """
import sys
import numpy as np
from brain_mri.prediction import novelty

rng = np.random.default_rng(0)
images, mixing = rng.integers(0, 256, (160, 32, 32, 1), dtype=np.uint8), rng.normal(size=(150, 150))
outputs = {"inner_0": rng.normal(size=(160, 8, 8, 6)), "inner_1": (rng.normal(size=(160, 4, 4, 150)) @ mixing).round(3)}
described = novelty.describe(images, outputs)
detector = novelty.fit(described[:100], described[100:130], 0.1, described[130:] + 0.1)
detector.save(sys.argv[1])
"""


def test_every_make_of_cpu_writes_the_same_file(tmp_path: Path) -> None:
    """OpenBLAS has kernels for each, which sum in another order; so it is told to take those of two."""
    files = [tmp_path / f"{kernels}.npz" for kernels in ("Prescott", "Haswell")]
    started = [
        subprocess.Popen([sys.executable, "-c", KERNELS, file], env=os.environ | {"OPENBLAS_CORETYPE": file.stem})
        for file in files
    ]
    assert [process.wait() for process in started] == [0, 0]
    assert len({file.read_bytes() for file in files}) == 1


def test_a_product_is_that_of_matrices_and_does_not_depend_on_its_order() -> None:
    a, b = RNG.normal(size=(40, 300)), RNG.normal(size=(300, 20)) * RNG.uniform(1e-3, 1e3, 20)
    order = RNG.permutation(300)
    product = novelty.exact_product(a, b)
    assert np.array_equal(product, novelty.exact_product(a[:, order], b[order]))
    scales = np.linalg.norm(a, axis=1)[:, None] * np.linalg.norm(b, axis=0)
    assert (np.abs(product - a @ b) < 1e-6 * scales).all()
    assert np.array_equal(product[3:5], novelty.exact_product(a[3:5], b)), "rows do not depend on each other"


def test_the_covariance_is_ledoit_and_wolf_s_and_its_factor_inverts_it() -> None:
    centred = cloud(60, 1) - cloud(60, 1).mean(0)
    covariance = novelty.shrunk_covariance(centred)
    np.testing.assert_allclose(covariance, LedoitWolf(assume_centered=True).fit(centred).covariance_, rtol=1e-5)
    inverse = novelty.inverse_factor(covariance)
    np.testing.assert_allclose(inverse.T @ inverse, np.linalg.inv(covariance), rtol=1e-9)


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
    first, second = novelty.describe(images, {"inner_0": maps, "inner_1": deeper, "logits": np.zeros((2, 4))})
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
    described = novelty.describe(images, {"inner_0": maps})
    assert described.shape == (2, (2 + 16) * novelty.MOST_CHANNELS + 22)
    assert np.array_equal(described, novelty.describe(images, {"inner_0": maps}))
    swapped = novelty.describe(images, {"inner_0": maps[::-1, ::-1]})  # images exchanged, each upside down
    cells = slice(2 * novelty.MOST_CHANNELS, 18 * novelty.MOST_CHANNELS)
    upright = swapped[::-1, cells].reshape(2, 4, 4, -1)[:, ::-1].reshape(2, -1)
    assert np.allclose(upright, described[:, cells], atol=1e-5)


def test_other_pictures_repeat_and_the_halves_share_no_kind() -> None:
    assert not other_pictures.CHOOSING.keys() & other_pictures.MEASURING.keys()
    for half in (other_pictures.CHOOSING, other_pictures.MEASURING):
        pictures, kinds = other_pictures.draw(half, 2, seed=0)
        again, _ = other_pictures.draw(half, 2, seed=0)
        assert kinds == [kind for kind in half for _ in range(2)]
        for picture, other in zip(pictures, again, strict=True):
            assert np.array_equal(picture, other)
            assert picture.dtype == np.uint8 and picture.ndim == 2
            assert min(picture.shape) >= 96 and picture.min() < picture.max()
        assert len({picture.tobytes() for picture in pictures}) == len(pictures)
