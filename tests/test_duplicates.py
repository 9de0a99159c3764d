"""The leakage audit: descriptions, pairs and groups. Heads are textured ellipses; real images where the archive is."""

import zipfile

import cv2
import numpy as np
import pytest
from published import archive

from bench.planting import STRENGTHS, plant
from brain_mri.copies import duplicates
from brain_mri.copies.descriptors import ORIENTATIONS, THUMBNAIL, describe, pixel_sha256, turned
from brain_mri.copies.duplicates import LEVELS, Pairs, Thresholds, candidates, find_pairs, group


def field(rng, cells, shape):
    return cv2.resize(rng.standard_normal((cells, cells)), shape[::-1], interpolation=cv2.INTER_CUBIC)


def head(seed, texture=0, shape=(260, 240)):
    """A head of its own shape and contents for each `seed`; slices of one head differ in `texture`."""
    rng, fine = np.random.default_rng(seed), np.random.default_rng((seed, texture))
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    radius = np.hypot(x / rng.uniform(0.65, 0.8), y / rng.uniform(0.75, 0.85))
    tissue = 110 + 30 * field(rng, 8, shape) + 12 * field(fine, 20, shape) + 10 * field(fine, 80, shape)
    skull = 120 * np.exp(-(((radius - 0.95) / 0.04) ** 2))
    return np.clip(np.where(radius < 1, tissue, 4) + skull, 0, 255).astype(np.uint8)


def audit(images, byte_hashes=None, **options):
    found = [describe(image) for image in images]
    hashes = np.array([one.pixel_sha256 for one in found])
    descriptors = np.stack([one.descriptor for one in found])
    thumbnails = np.stack([one.thumbnail for one in found])
    options = {"processes": 1} | options
    return find_pairs(descriptors, thumbnails, hashes if byte_hashes is None else byte_hashes, hashes, **options)


def rows(pairs):
    names = zip(pairs.first, pairs.second, pairs.level, pairs.orientation, strict=True)
    return [(int(i), int(j), LEVELS[level], ORIENTATIONS[turn]) for i, j, level, turn in names]


def some_pairs(*links, level=2, orientation=0, score=0.99):
    first, second = np.array(links).T
    full = np.full(len(first), 1)
    return Pairs(first, second, full * level, full * orientation, full * np.float32(score))


def test_description_has_one_size_whatever_the_image():
    for shape in ((260, 240), (33, 61), (700, 500)):
        found = describe(head(1, shape=shape))
        assert found.descriptor.shape == describe(head(2)).descriptor.shape
        assert found.descriptor.dtype == np.float32
        assert np.linalg.norm(found.descriptor) == pytest.approx(1, abs=1e-5)
        assert found.thumbnail.shape == (THUMBNAIL, THUMBNAIL)
        assert found.thumbnail.dtype == np.uint8


def test_same_pixels_in_another_encoding_or_colour_mode_have_one_hash():
    grey = head(1)
    colour = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
    with_alpha = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGRA)
    hashes = set()
    for suffix, image in ((".png", grey), (".png", colour), (".png", with_alpha), (".bmp", colour), (".tiff", grey)):
        decoded = cv2.imdecode(cv2.imencode(suffix, image)[1], cv2.IMREAD_COLOR)
        hashes.add(pixel_sha256(cv2.cvtColor(decoded, cv2.COLOR_BGR2GRAY)))
    assert hashes == {pixel_sha256(grey)}


def test_pixel_hash_knows_the_shape_and_ignores_the_memory_layout():
    grey = head(1)
    assert pixel_sha256(grey) != pixel_sha256(grey.reshape(grey.shape[::-1]))
    assert pixel_sha256(np.asfortranarray(grey)) == pixel_sha256(grey)


@pytest.mark.parametrize("orientation", ORIENTATIONS[1:])
def test_each_orientation_is_found_and_named(orientation):
    images = [head(1), head(2), turned(head(1), orientation)]
    assert rows(audit(images)) == [(0, 2, "near", orientation)]


def test_rotations_are_counter_clockwise():
    image = head(1)
    assert np.array_equal(turned(image, "rot90"), np.rot90(image))
    assert np.array_equal(turned(image, "rot270"), np.rot90(image, 3))


@pytest.mark.parametrize("kind", [kind for kind in STRENGTHS if kind not in ("copy", "turn")])
def test_treated_and_mirrored_copies_are_found(kind):
    rng = np.random.default_rng(3)
    originals = [head(seed) for seed in range(8)]
    copies = [plant(image, kind, 2, True, rng) for image in originals]
    found = rows(audit(originals + [image for image, _ in copies]))
    assert found == [(i, i + 8, "near", "flip_lr") for i in range(8)]


def test_a_wider_margin_changes_nothing():
    image = head(1)
    assert rows(audit([image, cv2.copyMakeBorder(image, 90, 20, 10, 60, cv2.BORDER_REPLICATE)])) == [
        (0, 1, "near", "identity")
    ]


def test_different_heads_and_neighbouring_slices_are_not_merged():
    heads = [head(seed) for seed in range(30)]
    neighbours = [head(seed, texture) for seed in range(5) for texture in range(1, 6)]
    assert len(audit(heads + neighbours)) == 0


def test_neighbouring_slices_are_candidates_that_the_texture_decides():
    found = [describe(head(1, texture)) for texture in range(4)]
    first, _, _ = candidates(np.stack([one.descriptor for one in found]), Thresholds().search, 16)
    assert len(first) == 6


def test_symmetric_heads_are_not_merged():
    images = []
    for seed in range(12):
        half = head(seed)[:, :120]
        images.append(np.hstack([half, half[:, ::-1]]))
    assert len(audit(images)) == 0


def test_images_without_content_are_not_copies_of_each_other():
    images = [np.full((80, 80), value, np.uint8) for value in (0, 90, 255)]
    assert len(audit(images)) == 0


def test_levels_are_the_strictest_and_copies_are_paired_with_the_first():
    images = [head(1), head(2), head(1), head(1), head(2)[:, ::-1], head(2)]
    found = audit(images, byte_hashes=np.array(["a", "b", "c", "a", "d", "e"]))
    assert rows(found) == [
        (0, 2, "pixels", "identity"),
        (0, 3, "bytes", "identity"),
        (1, 4, "near", "flip_lr"),
        (1, 5, "pixels", "identity"),
    ]
    assert found.score[[0, 1, 3]].tolist() == [1, 1, 1]


def test_equal_bytes_pair_even_where_a_later_copy_differs_in_its_leader():
    """Bytes equal, pixels equal, and the first of the pixels is not the first of the bytes."""
    found = audit([head(1)] * 3, byte_hashes=np.array(["a", "b", "b"]))
    assert rows(found)[0][2:] == ("pixels", "identity")
    assert group(found.keep(found.level == 0), 3).tolist() == [0, 1, 1]


def test_worker_processes_change_nothing(monkeypatch):
    images = [turned(head(seed), turn) for seed in range(3) for turn in ORIENTATIONS[:3]]
    alone = audit(images)
    monkeypatch.setattr(duplicates, "CHUNK", 4)
    for processes in (1, 2):
        again = audit(images, processes=processes)
        assert rows(again) == rows(alone)
        assert np.array_equal(again.score, alone.score)


def test_candidates_are_those_of_all_pairs_in_any_block_size(monkeypatch):
    grids = np.random.default_rng(0).standard_normal((40, duplicates.GRID, duplicates.GRID)).astype(np.float32)
    grids[20:] = [turned(grids[i], ORIENTATIONS[i % 8]) + 0.3 * grids[i + 20] for i in range(20)]
    unit = (grids / np.linalg.norm(grids, axis=(1, 2), keepdims=True)).reshape(40, -1)
    scores = np.stack([turned(unit.reshape(grids.shape), name).reshape(40, -1) @ unit.T for name in ORIENTATIONS])
    expected = [
        (i, j, scores[:, i, j].argmax()) for i in range(40) for j in range(i + 1, 40) if scores[:, i, j].max() >= 0.15
    ]
    assert len(expected) > 100
    for block in (duplicates.BLOCK, 500, 1):
        monkeypatch.setattr(duplicates, "BLOCK", block)
        assert list(zip(*candidates(unit, 0.15, 40), strict=True)) == expected


def test_the_best_neighbours_are_kept():
    angles = np.radians([0, 10, 20, 30])
    descriptors = np.zeros((4, duplicates.GRID**2), np.float32)
    descriptors[:, 0], descriptors[:, 1] = np.cos(angles), np.sin(angles)
    first, second, _ = candidates(descriptors, 0.5, 1)
    assert list(zip(first, second, strict=True)) == [(0, 1), (1, 2), (2, 3)]


def test_groups_are_connected_components():
    assert group(some_pairs((0, 3), (3, 5), (1, 4)), 7).tolist() == [0, 1, 2, 0, 1, 0, 3]
    assert group(some_pairs((0, 1)).keep(np.zeros(1, bool)), 3).tolist() == [0, 1, 2]


def test_no_images_and_one_image():
    assert len(audit([head(1)])) == 0
    empty = np.empty((0, duplicates.GRID**2), np.float32), np.empty((0, THUMBNAIL, THUMBNAIL), np.uint8)
    nothing = np.empty(0, np.str_)
    assert len(find_pairs(*empty, nothing, nothing)) == 0


@pytest.mark.parametrize("kind", STRENGTHS)
def test_planting_repeats_and_changes_the_image(kind):
    image = head(1)
    once, orientation = plant(image, kind, 1, True, np.random.default_rng(5))
    again, _ = plant(image, kind, 1, True, np.random.default_rng(5))
    assert once.dtype == np.uint8
    assert np.array_equal(once, again)
    assert not np.array_equal(once, image)
    assert orientation in (ORIENTATIONS if kind == "turn" else ("flip_lr",))


def test_published_gliomas_have_the_copies_that_their_outlines_show():
    """195 redundant files and 81 test images with a copy in Training: equal outlines, up to mirroring, say the same."""
    with zipfile.ZipFile(archive()) as file:
        names = sorted(name for name in file.namelist() if "/glioma/" in name and name.endswith(".jpg"))
        images = [cv2.imdecode(np.frombuffer(file.read(name), np.uint8), cv2.IMREAD_GRAYSCALE) for name in names]
    groups = group(audit(images), len(images))
    testing = np.array(["Testing/" in name for name in names])
    assert len(images) - len(np.unique(groups)) == 195
    assert np.isin(groups[testing], groups[~testing]).sum() == 81
