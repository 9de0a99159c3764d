"""The contour crop: known answers on drawn heads."""

import cv2
import numpy as np

from brain_mri.images.imaging import (
    cut,
    extreme_box,
    find_head,
    head_mask,
    largest_contour,
    pad_box,
    resize,
    resize_mask,
)

REPORT = {"blur": 5, "threshold": 45, "erode": 2, "dilate": 2, "padding": 0}


def head(top: int = 40, bottom: int = 160, left: int = 30, right: int = 120, shape: tuple = (220, 180)) -> np.ndarray:
    image = np.full(shape, 5, np.uint8)
    centre, axes = ((left + right) // 2, (top + bottom) // 2), ((right - left) // 2, (bottom - top) // 2)
    return cv2.ellipse(image, centre, axes, 0, 0, 360, 160, -1)


def test_the_box_is_the_head() -> None:
    assert np.allclose(find_head(head(), **REPORT).box, (40, 160, 30, 120), atol=1)


def test_small_bright_specks_do_not_count() -> None:
    image = head()
    image[5:8, 5:8] = 255
    image[200:212, 160:175] = 255  # survives the erosion, but is not the largest
    assert find_head(image, **REPORT).box == find_head(head(), **REPORT).box


def test_erosion_removes_specks_and_dilation_gives_the_head_back() -> None:
    image = head()
    image[5:8, 5:8] = 255
    mask = head_mask(image, 5, 45, 2, 2)
    assert not mask[:20, :20].any()
    assert abs(int(mask.astype(bool).sum()) - int((head() > 45).sum())) < 0.03 * (head() > 45).sum()


def test_the_report_s_own_code_gives_the_same_pixels() -> None:
    """The steps as the report's notebooks write them, with OpenCV alone."""
    image = head()
    grey = cv2.GaussianBlur(image, (5, 5), 0)
    thresh = cv2.threshold(grey, 45, 255, cv2.THRESH_BINARY)[1]
    thresh = cv2.dilate(cv2.erode(thresh, None, iterations=2), None, iterations=2)
    contours = cv2.findContours(thresh, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]
    c = max(contours, key=cv2.contourArea)
    left, right = c[c[:, :, 0].argmin()][0], c[c[:, :, 0].argmax()][0]
    top, bottom = c[c[:, :, 1].argmin()][0], c[c[:, :, 1].argmax()][0]
    theirs = cv2.resize(image[top[1] : bottom[1], left[0] : right[0]], (200, 200))
    assert np.array_equal(resize(cut(image, find_head(image, **REPORT).box), 200, "linear"), theirs)


def test_an_image_without_a_head_is_kept_whole() -> None:
    steps = find_head(np.zeros((50, 70), np.uint8), **REPORT)
    assert steps.contour is None
    assert steps.box == (0, 50, 0, 70)


def test_a_contour_without_area_keeps_the_image_whole() -> None:
    assert extreme_box(np.array([[[5, 9]], [[8, 9]]], np.int32), (20, 20)) == (0, 20, 0, 20)


def test_no_contour_in_an_empty_mask() -> None:
    assert largest_contour(np.zeros((9, 9), np.uint8)) is None


def test_padding_stays_inside_the_image() -> None:
    assert pad_box((10, 20, 2, 30), 5, (22, 40)) == (5, 22, 0, 35)


def test_masks_stay_binary_and_no_lesion_vanishes() -> None:
    mask = np.zeros((400, 400), np.uint8)
    mask[101, 203] = 255
    small = resize_mask(mask, 50)
    assert set(np.unique(small)) == {0, 255}
    assert small[12, 25] == 255
    assert not resize_mask(np.zeros((400, 400), np.uint8), 50).any()


def test_image_and_mask_are_resized_alike() -> None:
    mask = np.zeros((300, 200), np.uint8)
    mask[60:120, 50:90] = 255
    image = resize(mask, 100) > 127
    assert (image != (resize_mask(mask, 100) > 0)).mean() < 0.005
