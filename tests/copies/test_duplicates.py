"""The leakage audit: descriptions, pairs and groups. Heads are textured ellipses; real images where the archive is."""

import os
import platform
import subprocess
import sys
import zipfile

import cv2
import numpy as np
import pytest
from heads import head
from published import archive

from bench.planting import STRENGTHS, plant
from brain_mri.copies import duplicates
from brain_mri.copies.descriptions import GRID, ORIENTATIONS, THUMBNAIL, Descriptions, describe, pixel_hash, turned
from brain_mri.copies.duplicates import LEVELS, find_pairs, group_copies
from brain_mri.copies.neighbours import candidates
from brain_mri.params import Audit

SETTINGS = Audit(search=0.75, same=0.87, neighbours=16, scans=None)


def describe_all(images, byte_hashes=None):
    found = [describe(image) for image in images]
    hashes = np.array([one.pixel_hash for one in found], np.str_)
    descriptors = np.array([one.descriptor for one in found], np.float32).reshape(-1, GRID**2)
    thumbnails = np.array([one.thumbnail for one in found], np.uint8).reshape(-1, THUMBNAIL, THUMBNAIL)
    return Descriptions(descriptors, thumbnails, hashes if byte_hashes is None else np.array(byte_hashes), hashes)


def audit(images, byte_hashes=None, processes=1):
    return find_pairs(describe_all(images, byte_hashes), SETTINGS, processes)


def rows(pairs):
    names = zip(pairs.first, pairs.second, pairs.level, pairs.orientation, strict=True)
    return [(int(i), int(j), LEVELS[level], ORIENTATIONS[turn]) for i, j, level, turn in names]


@pytest.mark.parametrize("shape", [(260, 240), (33, 61), (700, 500)])
def test_description_has_one_size_whatever_the_image(shape):
    found = describe(head(1, shape=shape))
    assert (found.descriptor.shape, found.descriptor.dtype) == ((GRID**2,), np.float32)
    assert np.linalg.norm(found.descriptor) == pytest.approx(1, abs=1e-5)
    assert (found.thumbnail.shape, found.thumbnail.dtype) == ((THUMBNAIL, THUMBNAIL), np.uint8)


def test_pixel_hash_knows_pixels_and_shape_alone():
    grey = head(1)
    for suffix, colour in ((".png", cv2.COLOR_GRAY2BGR), (".png", cv2.COLOR_GRAY2BGRA), (".bmp", cv2.COLOR_GRAY2BGR)):
        encoded = cv2.imencode(suffix, cv2.cvtColor(grey, colour))[1]
        assert pixel_hash(cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE)) == pixel_hash(grey)
    assert pixel_hash(np.asfortranarray(grey)) == pixel_hash(grey)
    assert pixel_hash(grey.reshape(grey.shape[::-1])) != pixel_hash(grey)


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
    copies = [plant(image, kind, STRENGTHS[kind][-1], True, rng) for image in originals]
    found = rows(audit(originals + [image for image, _ in copies]))
    assert found == [(i, i + 8, "near", "flip_lr") for i in range(8)]


def test_a_wider_margin_changes_nothing():
    image = head(1)
    wider = cv2.copyMakeBorder(image, 90, 20, 10, 60, cv2.BORDER_REPLICATE)
    assert rows(audit([image, wider])) == [(0, 1, "near", "identity")]


HALVES = [head(seed)[:, :120] for seed in range(12)]


@pytest.mark.parametrize(
    "images",
    [
        [head(seed) for seed in range(30)] + [head(seed, texture) for seed in range(5) for texture in range(1, 6)],
        [np.hstack([half, half[:, ::-1]]) for half in HALVES],
        [np.full((80, 80), value, np.uint8) for value in (0, 90, 255)],
        [head(1)],
        [],
    ],
    ids=["heads and neighbouring slices", "symmetric heads", "images without content", "one image", "no image"],
)
def test_what_is_no_copy_is_not_taken_for_one(images):
    assert rows(audit(images)) == []


def test_neighbouring_slices_are_candidates_that_the_texture_decides():
    found = describe_all([head(1, texture) for texture in range(4)])
    first, _, _ = candidates(found.descriptors, SETTINGS.search, SETTINGS.neighbours)
    assert len(first) == 6


def test_levels_are_the_strictest_and_copies_are_paired_with_the_first():
    images = [head(1), head(2), head(1), head(1), head(2)[:, ::-1], head(2)]
    found = audit(images, byte_hashes=["a", "b", "c", "a", "d", "e"])
    assert rows(found) == [
        (0, 2, "pixels", "identity"),
        (0, 3, "bytes", "identity"),
        (1, 4, "near", "flip_lr"),
        (1, 5, "pixels", "identity"),
    ]
    assert found.score[[0, 1, 3]].tolist() == [1, 1, 1]


def test_equal_bytes_pair_even_where_a_later_copy_differs_in_its_leader():
    """Bytes equal, pixels equal, and the first of the pixels is not the first of the bytes."""
    found = audit([head(1)] * 3, byte_hashes=["a", "b", "b"])
    assert rows(found)[0][2:] == ("pixels", "identity")
    assert group_copies(found.keep(found.level == 0), 3).tolist() == [0, 1, 1]


def test_worker_processes_change_nothing(monkeypatch):
    images = [turned(head(seed), turn) for seed in range(3) for turn in ORIENTATIONS[:3]]
    alone = audit(images)
    monkeypatch.setattr(duplicates, "CHUNK", 4)
    for processes in (1, 2):
        again = audit(images, processes=processes)
        assert rows(again) == rows(alone)
        assert np.array_equal(again.score, alone.score)


DIGEST = """
import hashlib, cv2, numpy as np
from brain_mri.copies.descriptions import describe
from brain_mri.copies.duplicates import verify
rng = np.random.default_rng(0)
first = [cv2.resize(rng.integers(0, 255, (16, 12), np.uint8), (180, 200)) for _ in range(4)]
found = [describe(image) for image in first + [image[5:, :170] for image in first]]
scores = verify(np.stack([one.thumbnail for one in found]), np.arange(4), np.arange(4, 8), np.zeros(4, int), 1)
assert scores.min() > 0.5
print(hashlib.sha256(b"".join(one.descriptor.tobytes() for one in found) + scores.tobytes()).hexdigest())
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the kernels named here are those of x86")
def test_descriptors_and_scores_are_the_same_bits_whatever_the_kernels_of_blas():
    """OpenBLAS sums in another order on another make of CPU."""
    results = set()
    for kernel in ("Prescott", "Haswell"):
        environment = {**os.environ, "OPENBLAS_CORETYPE": kernel}
        results.add(subprocess.run([sys.executable, "-c", DIGEST], env=environment, check=True, stdout=-1).stdout)
    assert len(results) == 1


@pytest.mark.parametrize(("kind", "strength"), [*((kind, some[-1]) for kind, some in STRENGTHS.items()), ("text", 0.1)])
def test_planting_repeats_and_changes_the_image(kind, strength):
    image = head(1)
    once, orientation = plant(image, kind, strength, True, np.random.default_rng(5))
    again, _ = plant(image, kind, strength, True, np.random.default_rng(5))
    assert once.dtype == np.uint8
    assert np.array_equal(once, again)
    assert not np.array_equal(once, image)
    assert orientation in (ORIENTATIONS if kind == "turn" else ("flip_lr",))


def test_published_gliomas_have_the_copies_that_their_outlines_show():
    """195 redundant files and 81 test images with a copy in Training: equal outlines, up to mirroring, say the same."""
    with zipfile.ZipFile(archive()) as file:
        names = sorted(name for name in file.namelist() if "/glioma/" in name and name.endswith(".jpg"))
        images = [cv2.imdecode(np.frombuffer(file.read(name), np.uint8), cv2.IMREAD_GRAYSCALE) for name in names]
    groups = group_copies(audit(images), len(images))
    testing = np.array(["Testing/" in name for name in names])
    assert len(images) - len(np.unique(groups)) == 195
    assert np.isin(groups[testing], groups[~testing]).sum() == 81
