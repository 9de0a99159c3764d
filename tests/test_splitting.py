"""Splits: the report's counts, no group on two sides, and what each policy leaves out."""

import numpy as np
import pytest

from brain_mri.copies.splitting import deal, grouped_holdout, is_first, join
from brain_mri.errors import UserError

REPORT = np.array([1321, 1339, 1595, 1457])


def singles(count: int) -> np.ndarray:
    return np.arange(count)


def test_the_report_s_counts() -> None:
    labels = np.repeat(np.arange(4), REPORT)
    held_out = grouped_holdout(labels, singles(len(labels)), 0.2, 42, "split.validation")
    assert (~held_out).sum() == 4569
    assert held_out.sum() == 1143
    for label in range(4):
        assert held_out[labels == label].mean() == pytest.approx(0.2, abs=0.001)


def test_the_report_s_counts_hold_with_groups() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), REPORT)
    groups = labels * 10_000 + rng.integers(0, 700, len(labels))
    held_out = grouped_holdout(labels, groups, 0.2, 42, "split.validation")
    assert held_out.sum() == 1143
    assert not set(groups[held_out]) & set(groups[~held_out])


def test_the_seed_decides() -> None:
    labels = np.arange(100) % 4
    first, again, other = (grouped_holdout(labels, singles(100), 0.2, seed, "k") for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_class_of_one_image_is_refused() -> None:
    with pytest.raises(UserError, match=r"split\.validation = 0\.5"):
        grouped_holdout(np.array([0, 0, 0, 1]), singles(4), 0.5, 1, "split.validation")


@pytest.fixture
def table() -> dict[str, np.ndarray]:
    """400 images of four classes, 300 of them Training; groups of copies of up to four, some across the parts, some
    with two labels; patients on top."""
    rng = np.random.default_rng(5)
    copies = np.unique(rng.integers(0, 200, 400), return_inverse=True)[1]
    patients = np.where(rng.random(400) < 0.3, rng.integers(0, 60, 400).astype(str), "")
    labels = copies % 4
    labels[::50] = (labels[::50] + 1) % 4
    parts = np.where(np.arange(400) < 300, "Training", "Testing")
    return {"labels": labels, "parts": parts, "copies": copies, "kin": join(copies, patients)}


def dealt(table: dict[str, np.ndarray], policy: str, seed: int = 3) -> np.ndarray:
    return deal(**table, policy=policy, validation=0.2, test=0.2, seed=seed)


@pytest.mark.parametrize("policy", ["official", "leak_free", "grouped"])
def test_train_and_validation_share_no_group(table: dict[str, np.ndarray], policy: str) -> None:
    result = dealt(table, policy)
    sides = {name: set(table["kin"][result == name]) for name in ("train", "val", "test")}
    assert all(sides.values())
    assert not sides["train"] & sides["val"]
    if policy != "official":
        assert not sides["test"] & (sides["train"] | sides["val"])


def test_official_keeps_the_published_test_set_and_all_images(table: dict[str, np.ndarray]) -> None:
    result = dealt(table, "official")
    assert np.array_equal(result == "test", table["parts"] == "Testing")
    assert not (result == "unused").any()


def test_leak_free_keeps_the_test_set_and_one_of_each_copies(table: dict[str, np.ndarray]) -> None:
    result = dealt(table, "leak_free")
    assert np.array_equal(result == "test", table["parts"] == "Testing")
    trained = table["copies"][(result == "train") | (result == "val")]
    assert len(np.unique(trained)) == len(trained)


def test_grouped_tests_one_image_of_each_copies(table: dict[str, np.ndarray]) -> None:
    result = dealt(table, "grouped")
    tested = table["copies"][result == "test"]
    assert len(np.unique(tested)) == len(tested)
    assert np.array_equal(result, dealt(table, "grouped"))
    assert not np.array_equal(result, dealt(table, "grouped", seed=4))


def test_a_published_split_is_needed_by_all_policies_but_grouped(table: dict[str, np.ndarray]) -> None:
    table["parts"] = np.full(400, "")
    dealt(table, "grouped")
    with pytest.raises(UserError, match=r"split\.policy = official"):
        dealt(table, "official")


def test_is_first() -> None:
    assert is_first(np.array([4, 2, 4, 2, 7])).tolist() == [True, True, False, False, True]


def test_join_connects_through_names_and_ignores_empty_ones() -> None:
    joined = join(np.array([0, 0, 1, 2, 3]), np.array(["", "a", "a", "", ""]))
    assert joined[0] == joined[1] == joined[2]
    assert len(set(joined)) == 3
