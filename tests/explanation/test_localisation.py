"""Localisation scores: a perfect map, a map by hand, noise, ties, and what a map of nothing gets."""

import numpy as np
import pytest

from brain_mri.explanation.localisation import (
    chance,
    energy_in_mask,
    iou,
    pixel_average_precision,
    pointing_game,
    scores,
)


def lesions(n: int = 200, size: int = 32, seed: int = 0) -> np.ndarray:
    """Discs of several sizes at several places."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    centre, radius = rng.uniform(8, size - 8, (n, 2, 1, 1)), rng.uniform(2, 7, (n, 1, 1))
    return (y - centre[:, 0]) ** 2 + (x - centre[:, 1]) ** 2 <= radius**2


def test_a_perfect_map_scores_one() -> None:
    masks = lesions(20)
    for name, values in scores(3 * masks.astype(np.float32), masks).items():
        np.testing.assert_array_equal(values, 1, err_msg=name)


def test_the_opposite_of_a_perfect_map_scores_next_to_nothing() -> None:
    masks = lesions(20)
    found = scores(1 - masks.astype(np.float32), masks)
    for name in "pointing_game", "energy_in_mask", "iou":
        np.testing.assert_array_equal(found[name], 0, err_msg=name)
    assert (found["pixel_average_precision"] <= masks.mean(axis=(1, 2)) + 1e-12).all()


def test_random_maps_score_chance_within_their_interval() -> None:
    masks = lesions(400)
    maps = np.random.default_rng(5).random(masks.shape).astype(np.float32)
    share = masks.mean(axis=(1, 2))
    expected = {  # of uniform noise
        "pointing_game": share,
        "energy_in_mask": share,
        "pixel_average_precision": share,
        "iou": 0.5 * share / (0.5 + 0.5 * share),
    }
    for name, values in scores(maps, masks).items():
        error = values - expected[name]
        bound = 3 * error.std() / np.sqrt(len(error))
        bias = 0.01 if name == "pixel_average_precision" else 1e-3  # a finite sample's average precision lies above
        assert abs(error.mean()) <= bound + bias, name


def test_by_hand() -> None:
    one = np.float32([[[4, 2, 0], [1, 3, 0]]])
    mask = np.array([[[0, 1, 0], [0, 1, 0]]])
    assert pointing_game(one, mask).tolist() == [0]
    assert pointing_game(one, mask, tolerance=1).tolist() == [1]
    assert energy_in_mask(one, mask).tolist() == [0.5]
    assert iou(one, mask, threshold=0.5).tolist() == [pytest.approx(2 / 3)]  # chosen: 4, 2, 3
    assert iou(one, mask, threshold=0.7).tolist() == [pytest.approx(1 / 3)]  # chosen: 4, 3
    assert pixel_average_precision(one, mask).tolist() == [pytest.approx((1 / 2 + 2 / 3) / 2)]


def test_a_map_of_one_value_scores_the_share_of_the_area() -> None:
    masks = lesions(10)
    for level in 0, 2:
        for name, values in scores(np.full(masks.shape, level, np.float32), masks).items():
            np.testing.assert_allclose(values, masks.mean(axis=(1, 2)), err_msg=name)


def test_tolerance_is_a_distance_in_pixels() -> None:
    mask = np.zeros((1, 21, 21), bool)
    mask[0, 10, 10] = True
    for offset, tolerance, hit in [((0, 5), 5, 1), ((0, 6), 5, 0), ((3, 4), 5, 1), ((4, 4), 5, 0), ((0, 0), 0, 1)]:
        one = np.zeros(mask.shape, np.float32)
        one[0, 10 + offset[0], 10 + offset[1]] = 1
        assert pointing_game(one, mask, tolerance)[0] == hit, (offset, tolerance)


def test_scores_do_not_depend_on_the_maps_scale_or_on_the_company() -> None:
    masks = lesions(6)
    maps = np.random.default_rng(2).random(masks.shape)
    whole = scores(maps, masks)
    for name, values in scores(1e-9 * maps[4:5], masks[4:5]).items():
        np.testing.assert_allclose(values, whole[name][4:5], rtol=1e-6, err_msg=name)


def test_chance_levels() -> None:
    masks = lesions(300)
    masks[0] = False
    masks[0, 2:4, 2:4] = True  # a lesion where the others have none
    levels = chance(masks)
    assert set(levels) == {"random", "area", "mean_lesion"}
    np.testing.assert_allclose(levels["area"]["energy_in_mask"], masks.mean(axis=(1, 2)))
    assert abs(levels["random"]["pointing_game"].mean() - levels["area"]["pointing_game"].mean()) < 0.08
    assert levels["mean_lesion"]["energy_in_mask"][0] == 0  # its own lesion is left out
    assert levels["mean_lesion"]["pointing_game"].mean() > 1.5 * levels["random"]["pointing_game"].mean()
    for name, values in chance(masks)["random"].items():
        np.testing.assert_array_equal(values, levels["random"][name])


def test_one_image_no_image_and_no_lesion() -> None:
    one = lesions(1)
    np.testing.assert_allclose(chance(one)["mean_lesion"]["energy_in_mask"], one.mean())
    for values in [
        *scores(np.zeros((0, 8, 8)), np.zeros((0, 8, 8))).values(),
        *chance(np.zeros((0, 8, 8), bool))["random"].values(),
    ]:
        assert values.shape == (0,)
    for values in scores(np.ones((1, 8, 8)), np.zeros((1, 8, 8))).values():
        assert np.isnan(values).tolist() == [True]


def test_maps_that_cannot_be_scored() -> None:
    for maps, words in (-np.ones((1, 4, 4)), "importance"), (np.full((1, 4, 4), np.nan), "finite"):
        with pytest.raises(ValueError, match=words):
            scores(maps, np.ones((1, 4, 4)))
    with pytest.raises(ValueError, match="one shape"):
        pointing_game(np.ones((1, 4, 4)), np.ones((1, 4, 5)))
