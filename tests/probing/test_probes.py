"""Shortcut probes: what each leaves of the image, and rates that a classifier by hand must get."""

import numpy as np
import pytest

from brain_mri.probing.probes import (
    border_only,
    cover_by_inpainting,
    cover_by_mirroring,
    keep_box,
    shuffle_pixels,
    transplant,
)
from brain_mri.probing.shortcuts import probe_rates, source_probe, transplant_rates

SIZE = 100
ROWS, COLUMNS = np.mgrid[:SIZE, :SIZE]


def disc(row: float, column: float, radius: float) -> np.ndarray:
    return (ROWS - row) ** 2 + (COLUMNS - column) ** 2 < radius**2


def lesioned(column: float = 68, grey: int = 100) -> tuple[np.ndarray, np.ndarray]:
    """One head of even grey with a bright rim and a bright lesion; its mask."""
    image = np.zeros((SIZE, SIZE), np.uint8)
    image[disc(50, 50, 42)] = 2 * grey
    image[disc(50, 50, 38)] = grey
    lesion = disc(45, column, 7)
    image[lesion] = 240
    return image[None], lesion[None]


def healthy(grey: int = 100) -> np.ndarray:
    image, lesion = lesioned(grey=grey)
    image[lesion] = grey
    return image


@pytest.mark.parametrize("cover", [cover_by_inpainting, lambda i, m: cover_by_mirroring(i, m)[0]])
def test_a_covered_lesion_is_gone_and_the_rest_untouched(cover) -> None:
    images, masks = lesioned()
    covered = cover(images, masks)
    assert np.abs(covered[masks].astype(int) - 100).max() <= 20
    assert np.abs(covered[masks].astype(int) - 100).mean() <= 3
    far = ~disc(45, 68, 14)
    assert np.array_equal(covered[0][far], images[0][far])


def test_a_lesion_on_the_midline_cannot_be_mirrored_away() -> None:
    images, masks = (np.concatenate(pair) for pair in zip(lesioned(50), lesioned(30), strict=True))
    assert cover_by_mirroring(images, masks)[1].tolist() == [False, True]


def test_only_the_box_is_kept() -> None:
    images, masks = lesioned()
    kept = keep_box(images, masks)
    assert np.array_equal(kept[masks], images[masks])
    rows, columns = np.flatnonzero(kept[0].any(1)), np.flatnonzero(kept[0].any(0))
    assert np.ptp(rows) + 1 == np.ptp(columns) + 1 == 13 + 2 * 4
    assert not keep_box(images, np.zeros_like(masks)).any()


def test_only_border_and_background_are_kept() -> None:
    shown = border_only(lesioned()[0])
    assert np.array_equal(shown[0][~disc(50, 50, 35)], lesioned()[0][0][~disc(50, 50, 35)])
    assert len(np.unique(shown[0][disc(50, 50, 30)])) == 1


def test_shuffling_leaves_the_histogram_alone() -> None:
    images = np.concatenate([lesioned()[0], healthy()])
    shuffled = shuffle_pixels(images, 3)
    assert np.array_equal(np.sort(shuffled.reshape(2, -1)), np.sort(images.reshape(2, -1)))
    assert np.abs(np.corrcoef(shuffled[0].ravel(), images[0].ravel())[0, 1]) < 0.1
    assert np.array_equal(shuffle_pixels(images[:1], 3), shuffled[:1])


def test_a_moved_lesion_lies_at_its_place_in_the_other_heads_box() -> None:
    donors, masks = lesioned()
    recipient = np.zeros((1, SIZE, SIZE), np.uint8)
    recipient[0, disc(60, 40, 30)] = 100
    moved = transplant(donors, masks, recipient)
    row, column = (index.mean() for index in np.nonzero(moved[0] > 220))
    assert row == pytest.approx(60 + (45 - 50) * 30 / 42, abs=1.5)
    assert column == pytest.approx(40 + (68 - 50) * 30 / 42, abs=1.5)
    assert moved[0, round(row), round(column)] > 220
    assert np.array_equal(moved[0][~disc(row, column, 14)], recipient[0][~disc(row, column, 14)])


def test_a_moved_part_takes_the_brightness_of_its_new_surroundings() -> None:
    donors, masks = lesioned(grey=100)
    moved = transplant(donors, masks, healthy(grey=50))
    assert int(moved[0, 45, 68]) == pytest.approx(120, abs=3)


def test_a_sham_between_equal_heads_changes_nothing() -> None:
    moved = transplant(healthy(), lesioned()[1], healthy())
    assert np.abs(moved.astype(int) - healthy()).max() <= 2


def test_an_image_without_a_head_and_no_images() -> None:
    black, masks = np.zeros((1, SIZE, SIZE), np.uint8), lesioned()[1]
    for images, mask in ((black, masks), (black[:0], masks[:0])):
        results = (
            cover_by_inpainting(images, mask),
            cover_by_mirroring(images, mask)[0],
            keep_box(images, mask),
            border_only(images),
            shuffle_pixels(images, 0),
            transplant(images, mask, images),
        )
        assert all(result.shape == images.shape and not result.any() for result in results)


def test_rates_by_hand() -> None:
    labels = np.array([0, 0, 0, 1, 1, 1, 2, 2])
    before = np.array([0, 0, 1, 1, 1, 1, 2, 2])
    after = np.array([0, 2, 2, 1, 2, 0, 2, 0])
    found = probe_rates(labels, before, after, np.arange(8), negative=2, lesion_shown=False)
    assert found["n"] == 5
    assert [found[key]["value"] for key in ("kept", "called_negative", "called_other")] == pytest.approx(
        [0.4, 0.4, 0.2]
    )
    assert found["kept"]["interval"][0] < 0.4 < found["kept"]["interval"][1]
    assert found["kept"]["if_lesion_ignored"] == 1
    assert found["kept"]["chance"] == pytest.approx(0.4 * 0.4 + 0.6 * 0.2)
    shown = probe_rates(labels, before, after, np.arange(8), negative=2, lesion_shown=True)
    assert shown["kept"]["if_lesion_ignored"] == shown["kept"]["chance"]


def test_classifiers_by_hand_get_the_rates_that_they_must() -> None:
    """One sees bright spots; one sees the side of the head that the lesion is not on."""
    pairs = [lesioned(30 + i % 3) if i % 2 else lesioned(66 + i % 3) for i in range(12)]
    images, masks = (np.concatenate(part) for part in zip(*pairs, strict=True))
    labels, groups, covered = np.zeros(12, int), np.arange(12), cover_by_inpainting(images, masks)

    def sees(part: np.ndarray) -> np.ndarray:
        return np.where((part > 200).sum((1, 2)) > 50, 0, 1)

    def ignores(part: np.ndarray) -> np.ndarray:
        return np.where(part[:, 85, 50] > 50, 0, 1)

    honest, blind = (probe_rates(labels, call(images), call(covered), groups, 1, False) for call in (sees, ignores))
    assert (honest["kept"]["value"], honest["called_negative"]["value"]) == (0, 1)
    assert blind["kept"]["value"] == blind["kept"]["if_lesion_ignored"] == 1


def test_rates_of_no_image() -> None:
    none = np.zeros(0, int)
    assert probe_rates(none, none, none, none, 2, False)["kept"]["value"] is None
    assert transplant_rates(none, none, none, none, none, none)["p_value"] is None


def test_a_moved_lesion_beside_its_sham() -> None:
    donors, recipients = np.zeros(20, int), np.full(20, 2)
    recipients[0] = 0  # of the donor's class: not counted
    after = np.where(np.arange(20) < 16, 0, 2)
    sham = np.where(np.arange(20) < 2, 0, 2)
    found = transplant_rates(donors, recipients, recipients.copy(), after, sham, np.arange(20))
    assert found["n"] == 19
    assert (found["lesion"]["value"], found["sham"]["value"]) == (15 / 19, 1 / 19)
    assert found["p_value"] == pytest.approx(2 / 2**14)


@pytest.mark.parametrize(("strength", "low", "high"), [(5.0, 0.9, 1.0), (0.0, 0.3, 0.7)])
def test_the_source_probe_finds_a_planted_source_and_no_other(strength: float, low: float, high: float) -> None:
    rng = np.random.default_rng(0)
    groups = np.arange(200) // 2
    sources = groups % 2
    features = rng.normal(0, 1, (200, 10)) + 0.5 * rng.normal(0, 1, (100, 10))[groups]
    features[:, 3] += strength * sources
    found = source_probe(features, sources, groups)
    assert low <= found["balanced_accuracy"] <= high
    assert (found["n"], found["sources"], found["chance"]) == (200, 2, 0.5)
    assert (found["interval"][0] > 0.5) == (strength > 0)


def test_copies_in_other_folds_do_not_help_the_source_probe() -> None:
    """Ten images, copied twenty times, with random sources: held out whole, they tell nothing."""
    groups = np.arange(400) % 20
    features = np.random.default_rng(1).normal(0, 1, (20, 30))[groups]
    found = source_probe(features, groups % 2, groups)
    assert found["interval"][0] < 0.5


@pytest.mark.parametrize(("sources", "groups"), [(np.zeros(20, int), 1), (np.arange(20) % 2, 10)])
def test_one_source_or_too_few_groups_cannot_be_probed(sources: np.ndarray, groups: int) -> None:
    features = np.random.default_rng(0).normal(0, 1, (20, 3))
    found = source_probe(features, sources, np.arange(20) // groups)
    assert (found["balanced_accuracy"], found["interval"]) == (None, None)
