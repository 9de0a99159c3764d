from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_score

from brain_mri.errors import UserError
from brain_mri.images.crop import find_head
from brain_mri.params import load_params
from brain_mri.phantoms.phantom import CLASSES, Phantom, phantom

CROP = load_params(Path(__file__).parents[2] / "params.yaml").crop
TUMOURS = [label for label in CLASSES if label != "notumor"]


@pytest.fixture(scope="module")
def images() -> list[tuple[str, Phantom]]:
    return [(label, phantom(label, 3, index)) for index, label in enumerate(CLASSES * 60)]


def digest(job: tuple[str, int, int]) -> str:
    drawn = phantom(*job)
    return sha256(drawn.image.tobytes() + drawn.mask.tobytes() + str(drawn.image.shape).encode()).hexdigest()


def test_other_processes_draw_the_same_bytes():
    jobs = [(label, 5, index) for index, label in enumerate(CLASSES * 2)] + [("glioma", 6, 0)]  # seed and index count
    here = [digest(job) for job in jobs]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        assert list(pool.map(digest, reversed(jobs))) == here[::-1]
    assert len(set(here)) == len(here)


@pytest.mark.parametrize("index", range(6))
def test_classes_share_everything_but_the_lesion(index):
    """And of one head and slice a pituitary tumour lies apart from the others."""
    drawn = {label: phantom(label, 11, index) for label in CLASSES}
    for label in CLASSES:
        assert np.array_equal(drawn[label].lesion_free, drawn["notumor"].image)
    masks = {label: drawn[label].mask > 0 for label in TUMOURS}
    overlap = masks["pituitary"] & (masks["glioma"] | masks["meningioma"])
    assert overlap.sum() < 0.25 * masks["pituitary"].sum()


def test_format(images):
    for label, drawn in images:
        for array in (drawn.image, drawn.mask, drawn.lesion_free):
            assert array.dtype == np.uint8 and array.ndim == 2 and array.shape == drawn.image.shape
        assert set(np.unique(drawn.mask)) == ({0} if label == "notumor" else {0, 255})
        assert np.array_equal(drawn.image, drawn.lesion_free) == (label == "notumor")
    assert len({drawn.image.shape for _, drawn in images}) > 200


def test_lesions_are_drawn_within_the_head_and_nowhere_else_than_marked(images):
    for label, drawn in images:
        if label == "notumor":
            continue
        mask = drawn.mask > 0
        assert 60 < mask.sum() < 0.2 * mask.size
        assert cv2.connectedComponents(drawn.mask)[0] == 2
        assert outline_filled(drawn.lesion_free)[mask].mean() > 0.98
        change = np.abs(drawn.image.astype(float) - drawn.lesion_free)
        assert change[mask].mean() > 4 * change[~mask].mean()


def outline_filled(image: np.ndarray) -> np.ndarray:
    head = cv2.morphologyEx((image > 25).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((25, 25)))
    contours = cv2.findContours(head, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
    return cv2.drawContours(np.zeros_like(head), [max(contours, key=cv2.contourArea)], -1, 1, cv2.FILLED)


@pytest.mark.parametrize("label", TUMOURS)
def test_lesions_look_like_their_kind(images, label):
    """After contrast medium: a glioma's rim is brighter than its core; the other tumours are as bright within."""
    brighter = []
    for drawn in (drawn for kind, drawn in images if kind == label):
        within = cv2.erode(drawn.mask, np.ones((3, 3)), iterations=6) > 0
        if within.any():
            rim = (drawn.mask > 0) & (cv2.erode(drawn.mask, np.ones((3, 3)), iterations=3) == 0)
            brighter.append(float(drawn.image[rim].mean() - drawn.image[within].mean()))
    assert len(brighter) > 30
    assert np.median(brighter) > 20 if label == "glioma" else np.median(brighter) < 5


def test_the_crop_has_something_to_cut(images):
    shares = []
    for _, drawn in images:
        top, bottom, left, right = find_head(drawn.image, CROP).box
        shares.append((bottom - top) * (right - left) / drawn.image.size)
    assert min(shares) > 0.25 and 0.5 < np.median(shares) < 0.85


def test_what_is_not_the_lesion_tells_nothing(images):
    """Size, empty borders and histogram of the lesion-free image: a classifier that sees only these is at chance."""
    features, labels = [], []
    for label, drawn in images:
        image = drawn.lesion_free
        rows, columns = np.flatnonzero((image > 40).any(axis=1)), np.flatnonzero((image > 40).any(axis=0))
        borders = rows[0], image.shape[0] - rows[-1], columns[0], image.shape[1] - columns[-1]
        histogram = np.histogram(image, 32, (0, 256))[0] / image.size
        features.append([*image.shape, *borders, *histogram, image.mean(), image.std()])
        labels.append(label)
    scores = cross_val_score(RandomForestClassifier(100, random_state=0), features, labels, cv=5)
    # Chance is 0.25; its standard error over 240 images is 0.028.
    assert 0.25 - 0.085 < scores.mean() < 0.25 + 0.085


def test_unknown_class_is_refused():
    with pytest.raises(UserError, match=r"'no_tumor'.*glioma, meningioma, notumor, pituitary"):
        phantom("no_tumor", 0, 0)
