"""What copies mean for collections: sentences, groups in order, one image to keep of each."""

import numpy as np

from brain_mri.audit.collections import Described
from brain_mri.audit.findings import Audited, group_rows, ordered_groups, sentences
from brain_mri.audit.page import render
from brain_mri.copies.descriptions import ORIENTATIONS, THUMBNAIL
from brain_mri.copies.duplicates import Pairs

# Images 0 to 3 are of A, 4 to 8 of B.
LINKS = [(0, 1, "identity", 0.95), (0, 4, "flip_lr", 0.9), (2, 5, "rot90", 0.88), (3, 6, "identity", 0.92)]


def audited(owners: list[int], links: list[tuple[int, int, str, float]]) -> Audited:
    names = ["A", "B", "C"][: max(owners) + 1]
    images = Described(names, [f"{names[o]}/{place}.png" for place, o in enumerate(owners)], owners)
    first, second, turns, scores = zip(*links, strict=True) if links else ([], [], [], [])
    turned = [ORIENTATIONS.index(turn) for turn in turns]
    columns = (np.array(values, np.int64) for values in (first, second, [2] * len(links), turned))
    return Audited.of(images, Pairs(*columns, np.array(scores, np.float32)))


TWO = audited([0] * 4 + [1] * 5, LINKS)


def test_sentences_count_images_with_a_copy_and_how_they_are_turned() -> None:
    assert sentences(TWO) == (
        [
            "3 of 5 images of B have a copy in A, 1 of them mirrored, 1 turned or upside down",
            "1 of 4 images of A repeat another one of A",
            "0 of 5 images of B repeat another one of B",
        ],
        3,
    )


def test_an_image_with_copies_in_two_earlier_collections_counts_once() -> None:
    _, found = sentences(audited([0, 1, 2], [(0, 1, "identity", 0.9), (0, 2, "identity", 0.9)]))
    assert found == 2


def test_in_one_collection_the_repetitions_count() -> None:
    lines, found = sentences(audited([0] * 9, LINKS))
    assert (lines, found) == (["4 of 9 images of A repeat another one of A"], 4)


def test_groups_come_largest_first_then_by_doubt_and_keep_the_first() -> None:
    assert [members.tolist() for members in ordered_groups(TWO)] == [[0, 1, 4], [2, 5], [3, 6]]
    rows = group_rows(TWO)
    assert [(row["group"], row["path"], row["keep"]) for row in rows[:3]] == [
        (1, "A/0.png", "yes"),
        (1, "A/1.png", "no"),
        (1, "B/4.png", "no"),
    ]
    assert np.flatnonzero(TWO.keep).tolist() == [0, 2, 3, 7, 8]


def test_a_page_shows_the_pairs_most_doubtful_first_and_escapes_names() -> None:
    thumbnails = np.random.default_rng(0).integers(0, 255, (9, THUMBNAIL, THUMBNAIL), np.uint8)
    found = audited([0] * 4 + [1] * 5, LINKS)
    found.images.paths[5] = "B/<script>.png"
    page = render(found, thumbnails, ["a line"])
    assert "<script>" not in page and "&lt;script&gt;" in page
    assert page.index("near, rot90, 0.880") < page.index("near, flip_lr, 0.900") < page.index("Group 1: 2 of A, 1 of B")
    assert page.count("<img") == 2 * 2 * len(LINKS)
    assert "http" not in page.replace('http-equiv="Content-Security-Policy"', "")


def test_without_copies_there_is_a_page_that_says_so() -> None:
    none = audited([0, 1], [])
    assert sentences(none)[0][0] == "0 of 1 images of B have a copy in A"
    assert group_rows(none) == []
    assert "No copies were found" in render(none, np.zeros((2, THUMBNAIL, THUMBNAIL), np.uint8), [])
