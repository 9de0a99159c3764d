"""Groups of images, known by hand."""

import numpy as np

from brain_mri.images.groups import connected_groups, is_first, merge_groups


def test_groups_are_connected_components_numbered_by_their_first_image() -> None:
    assert connected_groups(np.array([0, 3, 1]), np.array([3, 5, 4]), 7).tolist() == [0, 1, 2, 0, 1, 0, 3]
    assert connected_groups(np.empty(0, int), np.empty(0, int), 3).tolist() == [0, 1, 2]


def test_merged_groups_connect_through_names_and_ignore_empty_ones() -> None:
    assert merge_groups(np.array([5, 5, 1, 2, 3]), np.array(["", "a", "a", "", ""])).tolist() == [0, 0, 0, 1, 2]
    assert merge_groups(np.array([1, 0, 0]), np.array(["", "", ""])).tolist() == [0, 1, 1]


def test_is_first() -> None:
    assert is_first(np.array([4, 2, 4, 2, 7])).tolist() == [True, True, False, False, True]
