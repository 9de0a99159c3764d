"""Maps without Keras: values worked out by hand."""

import numpy as np

from brain_mri.explanation.maps import displayed, importance, lesion_map, normalise, sobel, upsample


def test_edges_are_grey_levels_a_pixel() -> None:
    ramp = np.broadcast_to(3.0 * np.arange(6, dtype=np.float32)[None, None, :, None], (1, 5, 6, 1))
    np.testing.assert_allclose(sobel(ramp)[0, :, 1:-1], 3)


def test_maps_are_enlarged_and_scaled() -> None:
    assert upsample(np.float32([[[7]]]), (2, 3)).tolist() == [[[7, 7, 7], [7, 7, 7]]]
    np.testing.assert_array_equal(normalise(np.float32([[[0, 4]], [[0, 0]]])), [[[0, 1]], [[0, 0]]])
    maps = np.float32([[[-0.2, 0.1]], [[0, 0]]])
    np.testing.assert_array_equal(importance(maps), abs(maps))
    np.testing.assert_array_equal(displayed("gradient", maps), [[[1, 0.5]], [[0, 0]]])
    np.testing.assert_array_equal(displayed("lesion_map", abs(maps)), abs(maps))  # shares are shown as they are


def test_a_lesion_map_is_the_share_of_the_class_or_of_all_tumours() -> None:
    logits = np.log(np.float32([[[[0.7, 0.2, 0.1]]], [[[0.7, 0.2, 0.1]]]]))
    maps = lesion_map(logits, np.array([1, 0]), negative=0)
    np.testing.assert_allclose(maps.ravel(), [0.2, 0.3], rtol=1e-6)
    np.testing.assert_allclose(lesion_map(logits, np.array([0, 0]), None).ravel(), 0.7, rtol=1e-6)
