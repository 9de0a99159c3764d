"""What pairs of copies mean for a data set: counts known by hand, orientations through chains, chains and conflicts."""

import itertools

import numpy as np
import pytest

from brain_mri.copies.descriptions import GRID, ORIENTATIONS, turned
from brain_mri.copies.duplicates import LEVELS, Pairs, group_copies
from brain_mri.copies.leakage import (
    COMPOSED,
    INVERSE,
    chains,
    count_copies,
    find_copies,
    groups_by_level,
    label_conflicts,
    poses,
    redundant_files,
)


def pairs_of(*links):
    """Pairs from (first, second, level, orientation[, score])."""
    rows = sorted((i, j, LEVELS.index(level), ORIENTATIONS.index(turn), *score) for i, j, level, turn, *score in links)
    columns = [np.array([row[k] for row in rows], np.int64) for k in range(4)]
    return Pairs(*columns, np.array([row[4] if len(row) > 4 else 1 for row in rows], np.float32))


# Images 0-2 one picture (bytes, then pixels), 3-4 mirrored, 5 alone, 6-7-8 a chain of turns.
PAIRS = pairs_of(
    (0, 1, "bytes", "identity"),
    (0, 2, "pixels", "identity"),
    (3, 4, "near", "flip_lr", 0.95),
    (6, 7, "near", "rot90", 0.95),
    (7, 8, "near", "flip_lr", 0.90),
)


def test_composition_is_one_after_the_other_and_the_inverse_leads_back():
    square = np.arange(9).reshape(3, 3)
    for (i, first), (j, then) in itertools.product(enumerate(ORIENTATIONS), repeat=2):
        assert np.array_equal(turned(square, ORIENTATIONS[COMPOSED[i, j]]), turned(turned(square, first), then))
    assert not COMPOSED[np.arange(8), INVERSE].any()


def test_a_level_holds_the_stricter_ones():
    groups = groups_by_level(PAIRS, 9)
    assert [len(np.unique(groups[level])) for level in LEVELS] == [8, 7, 4]
    assert np.array_equal(groups["near"], group_copies(PAIRS, 9))


def test_redundant_files_of_each_class():
    labels = np.array(["a", "a", "a", "a", "b", "b", "b", "b", "b"])
    groups = groups_by_level(PAIRS, 9)
    assert redundant_files(labels, groups["bytes"]) == {"all": 1, "a": 1, "b": 0}
    assert redundant_files(labels, groups["pixels"]) == {"all": 2, "a": 2, "b": 0}
    assert redundant_files(labels, groups["near"]) == {"all": 4, "a": 2, "b": 2}


def test_test_images_with_a_copy_in_training():
    training = np.isin(np.arange(9), [1, 2, 3, 5, 8])
    level, orientation = (values[~training] for values in find_copies(training, PAIRS))
    # 0 has copies in 1 and 2, the strictest counts; 6 reaches 8 through 7: rot90, then flip_lr, undone.
    back = ORIENTATIONS[INVERSE[COMPOSED[ORIENTATIONS.index("rot90"), ORIENTATIONS.index("flip_lr")]]]
    assert [LEVELS[index] for index in level] == ["bytes", "near", "near", "near"]
    assert [ORIENTATIONS[index] for index in orientation] == ["identity", "flip_lr", back, "flip_lr"]
    counts = count_copies(level, orientation)
    assert (counts["of"], counts["with_copy"]) == (4, 4)
    assert counts["level"] == {"bytes": 1, "pixels": 0, "near": 3}
    assert sum(counts["orientation"].values()) == 4


def test_an_image_is_no_copy_of_itself():
    level, orientation = find_copies(np.ones(9, bool), PAIRS)
    assert level[5] == orientation[5] == -1
    assert np.all(np.delete(level, 5) >= 0)


def test_poses_turn_the_first_of_a_group_into_each():
    rng = np.random.default_rng(0)
    truth = rng.integers(8, size=30)
    truth[[0, 10, 20]] = 0
    links = []
    for start in (0, 10, 20):
        for image in range(start + 1, start + 10):
            other = int(rng.integers(start, image))
            turn = COMPOSED[INVERSE[truth[other]], truth[image]]
            links.append((other, image, "near", ORIENTATIONS[turn], float(rng.uniform(0.9, 1))))
    assert poses(pairs_of(*links), 30).tolist() == truth.tolist()


def test_the_surest_pair_names_the_orientation():
    """A doubtful direct pair gives way to two sure ones."""
    found = poses(
        pairs_of((0, 1, "near", "flip_lr", 0.99), (1, 2, "near", "flip_lr", 0.99), (0, 2, "near", "rot180", 0.88)), 3
    )
    assert [ORIENTATIONS[turn] for turn in found] == ["identity", "flip_lr", "identity"]


def test_a_chain_is_told_from_a_knot():
    """Images 0-4 drift apart pair by pair; 5-9 are all alike."""
    angles = np.concatenate([np.radians([0, 30, 60, 90, 120]), np.zeros(5)])
    descriptors = np.zeros((11, GRID, GRID), np.float32)
    # Constant along neither axis and different in all orientations, so that turning does not help.
    basis = np.linalg.qr(np.random.default_rng(0).standard_normal((GRID**2, 2)))[0].T.reshape(2, GRID, GRID)
    descriptors[:10] = np.cos(angles)[:, None, None] * basis[0] + np.sin(angles)[:, None, None] * basis[1]
    links = [(i, i + 1, "near", "identity", 0.88) for i in range(4)]
    links += [(i, j, "near", "identity", 0.99) for i in range(5, 10) for j in range(i + 1, 10)]
    chain, knot = chains(pairs_of(*links), descriptors.reshape(11, -1))
    assert (chain.size, chain.hops, sorted(chain.ends)) == (5, 4, [0, 4])
    assert chain.weakest == pytest.approx(0.88)
    assert chain.ends_similarity < 0.5
    assert (knot.size, knot.hops) == (5, 1)
    assert knot.weakest == pytest.approx(0.99)
    assert knot.ends_similarity == pytest.approx(1, abs=1e-5)


def test_pairs_alone_are_no_chain():
    assert chains(PAIRS.keep(PAIRS.level == 0), np.zeros((9, GRID**2), np.float32)) == []


def test_label_conflicts_list_their_images():
    labels = np.array(["a", "a", "b", "a", "a", "a", "b", "b", "b"])
    groups = group_copies(PAIRS, 9)
    assert [members.tolist() for members in label_conflicts(labels, groups)] == [[0, 1, 2]]
