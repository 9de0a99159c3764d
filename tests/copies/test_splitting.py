"""Splits: the paper's counts, no group on two sides, and what each policy leaves out."""

import numpy as np
import pytest

from brain_mri.copies.splitting import assign_folds, assign_splits, grouped_holdout
from brain_mri.errors import UserError
from brain_mri.images.groups import merge_groups
from brain_mri.params import Split

LABELS = np.repeat(np.arange(4), [1321, 1339, 1595, 1457])  # the paper's training images


@pytest.mark.parametrize(
    "groups",
    [np.arange(len(LABELS)), LABELS * 10_000 + np.random.default_rng(0).integers(0, 700, len(LABELS))],
    ids=["groups of one", "groups of several"],
)
def test_the_paper_s_counts(groups: np.ndarray) -> None:
    held_out = grouped_holdout(LABELS, groups, 0.2, 42, "split.validation")
    assert ((~held_out).sum(), held_out.sum()) == (4569, 1143)
    assert not set(groups[held_out]) & set(groups[~held_out])
    assert [held_out[label == LABELS].mean() for label in range(4)] == pytest.approx([0.2] * 4, abs=0.001)


def test_a_class_of_one_image_is_refused() -> None:
    with pytest.raises(UserError, match=r"split\.validation = 0\.5"):
        grouped_holdout(np.array([0, 0, 0, 1]), np.arange(4), 0.5, 1, "split.validation")


@pytest.fixture
def table() -> dict[str, np.ndarray]:
    """400 images of four classes and 50 external ones; groups of copies of up to four, some across the parts, some with
    two labels; patients on top."""
    rng = np.random.default_rng(5)
    copies = np.unique(rng.integers(0, 200, 450), return_inverse=True)[1]
    patients = np.where(rng.random(450) < 0.3, rng.integers(0, 60, 450).astype(str), "")
    labels = copies % 4
    labels[::50] = (labels[::50] + 1) % 4
    parts = np.repeat(["Training", "Testing", "External"], [300, 100, 50])
    labels[parts == "External"] = -1
    return {"labels": labels, "parts": parts, "copies": copies, "groups": merge_groups(copies, patients)}


def assigned(table: dict[str, np.ndarray], policy: str, **changed: int) -> np.ndarray:
    settings = {"patients": True, "folds": 5, "fold": 0, "validation": 0.2, "seed": 3, **changed}
    return assign_splits(**table, settings=Split(policy=policy, **settings))


@pytest.mark.parametrize("policy", ["official", "leak_free", "grouped"])
def test_no_group_is_on_two_sides(table: dict[str, np.ndarray], policy: str) -> None:
    result = assigned(table, policy)
    sides = {name: set(table["groups"][result == name]) for name in ("train", "val", "test", "external")}
    assert all(sides.values())
    assert not sides["train"] & sides["val"]
    assert not sides["external"] & (sides["train"] | sides["val"])
    if policy != "official":
        assert not sides["test"] & (sides["train"] | sides["val"])


def test_official_keeps_the_published_test_set_and_all_images(table: dict[str, np.ndarray]) -> None:
    result = assigned(table, "official")
    assert np.array_equal(result == "test", table["parts"] == "Testing")
    assert not (result[table["parts"] != "External"] == "unused").any()


def test_leak_free_keeps_the_test_set_and_one_of_each_copies(table: dict[str, np.ndarray]) -> None:
    result = assigned(table, "leak_free")
    assert np.array_equal(result == "test", table["parts"] == "Testing")
    trained = table["copies"][np.isin(result, ["train", "val"])]
    assert len(np.unique(trained)) == len(trained)


def test_grouped_tests_one_image_of_each_copies(table: dict[str, np.ndarray]) -> None:
    result = assigned(table, "grouped")
    tested = table["copies"][result == "test"]
    assert len(np.unique(tested)) == len(tested)
    assert np.array_equal(result, assigned(table, "grouped"))
    assert not np.array_equal(result, assigned(table, "grouped", seed=4))


def test_each_group_is_held_out_by_one_fold_and_the_classes_are_shared_out(table: dict[str, np.ndarray]) -> None:
    own = table["parts"] != "External"
    folds = [assigned(table, "grouped", fold=fold)[own] == "test" for fold in range(5)]
    times = np.sum(folds, axis=0)
    assert set(times) <= {0, 1}  # of copies one is kept
    assert set(table["groups"][own][times == 1]) == set(table["groups"][own])
    held_out = assign_folds(table["labels"][own], table["groups"][own], 5, 3)
    counts = np.array([np.bincount(table["labels"][own][held_out == fold], minlength=4) for fold in range(5)])
    assert counts.min() >= 0.5 * counts.mean(0).min()


def test_more_folds_than_groups_of_a_class() -> None:
    with pytest.raises(UserError, match=r"split\.folds = 5: class number 1 has 3 groups"):
        assign_folds(np.repeat([0, 1], [20, 9]), np.r_[np.arange(20), 20 + np.arange(9) % 3], 5, 0)


@pytest.mark.parametrize("policy", ["official", "leak_free", "grouped"])
def test_external_images_change_no_other_s_split(table: dict[str, np.ndarray], policy: str) -> None:
    own = table["parts"] != "External"
    alone = assigned({name: column[own] for name, column in table.items()}, policy)
    together = assigned(table, policy)
    assert np.array_equal(together[own], alone)
    assert set(together[~own]) == {"external", "unused"}


def test_a_published_split_is_needed_by_all_policies_but_grouped(table: dict[str, np.ndarray]) -> None:
    table["parts"] = np.full(450, "")
    table["labels"] = table["copies"] % 4
    assigned(table, "grouped")
    with pytest.raises(UserError, match=r"split\.policy = official"):
        assigned(table, "official")
