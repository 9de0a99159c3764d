"""The contour crop: known answers on drawn heads; prediction and training see the same pixels."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import published
import pytest
from pictures import encoded, write_folder

from brain_mri.images.crop import cut, find_head, head_box, head_mask, resize, resize_mask, to_network
from brain_mri.images.dataset import ImageRecord, Sample, load_images
from brain_mri.params import Crop, load_params
from brain_mri.phantoms.phantom import CLASSES, phantom
from brain_mri.prediction.inputs import read_crop
from stages import crop as stage

SETTINGS = load_params(Path(__file__).parents[2] / "params.yaml").crop
REPORT = SETTINGS.model_copy(update={"blur": 5, "threshold": 45, "erode": 2, "dilate": 2, "padding": 0})


def head(top: int = 40, bottom: int = 160, left: int = 30, right: int = 120, shape: tuple = (220, 180)) -> np.ndarray:
    image = np.full(shape, 5, np.uint8)
    centre, axes = ((left + right) // 2, (top + bottom) // 2), ((right - left) // 2, (bottom - top) // 2)
    return cv2.ellipse(image, centre, axes, 0, 0, 360, 160, -1)


def test_the_box_is_the_head_and_small_bright_specks_do_not_count() -> None:
    image = head()
    assert np.allclose(find_head(image, REPORT).box, (40, 160, 30, 120), atol=1)
    image[5:8, 5:8] = 255
    image[200:212, 160:175] = 255  # survives the erosion, but is not the largest
    assert find_head(image, REPORT).box == find_head(head(), REPORT).box


def test_erosion_removes_specks_and_dilation_gives_the_head_back() -> None:
    image = head()
    image[5:8, 5:8] = 255
    mask = head_mask(image, 5, 45, 2, 2)
    assert not mask[:20, :20].any()
    assert abs(int(mask.astype(bool).sum()) - int((head() > 45).sum())) < 0.03 * (head() > 45).sum()


def test_the_report_s_own_code_gives_the_same_pixels() -> None:
    """The steps as the paper's notebooks write them, with OpenCV alone."""
    image = head()
    grey = cv2.GaussianBlur(image, (5, 5), 0)
    thresh = cv2.threshold(grey, 45, 255, cv2.THRESH_BINARY)[1]
    thresh = cv2.dilate(cv2.erode(thresh, None, iterations=2), None, iterations=2)
    contours = cv2.findContours(thresh, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]
    c = max(contours, key=cv2.contourArea)
    left, right = c[c[:, :, 0].argmin()][0], c[c[:, :, 0].argmax()][0]
    top, bottom = c[c[:, :, 1].argmin()][0], c[c[:, :, 1].argmax()][0]
    theirs = cv2.resize(image[top[1] : bottom[1], left[0] : right[0]], (200, 200))
    assert np.array_equal(resize(cut(image, find_head(image, REPORT).box), 200, "linear"), theirs)


def test_an_image_without_a_head_is_kept_whole() -> None:
    found = find_head(np.zeros((50, 70), np.uint8), REPORT)
    assert found.contour is None
    assert found.box == (0, 50, 0, 70)
    line = np.array([[[5, 9]], [[8, 9]]], np.int32)
    assert head_box(line, (20, 20), 3) == (0, 20, 0, 20)


def test_padding_stays_inside_the_image() -> None:
    contour = np.array([[[2, 10]], [[30, 20]]], np.int32)
    assert head_box(contour, (22, 40), 5) == (5, 22, 0, 35)


def test_masks_stay_binary_and_no_lesion_vanishes() -> None:
    mask = np.zeros((400, 400), np.uint8)
    assert not resize_mask(mask, 50).any()
    mask[101, 203] = 255
    small = resize_mask(mask, 50)
    assert set(np.unique(small)) == {0, 255}
    assert small[12, 25] == 255


def test_image_and_mask_are_resized_alike() -> None:
    mask = np.zeros((300, 200), np.uint8)
    mask[60:120, 50:90] = 255
    image = resize(mask, 100) > 127
    assert (image != (resize_mask(mask, 100) > 0)).mean() < 0.005


def by_training(files: dict[str, bytes], size: int, settings: Crop, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """What the stage crop writes, and the stage train reads."""
    write_folder(Path("data/raw"), files)
    monkeypatch.setattr(stage, "describe", lambda grey: None)  # for the audit of copies alone, and slow
    own = Path("data/cropped")
    done = [stage.crop_one(ImageRecord(name, "a", ""), settings, own, Path("data/external")) for name in files]
    cropped = [result[0] for result in done if isinstance(result, tuple)]
    assert len(cropped) == len(files)
    return load_images([Sample(result.record.path, "a", "") for result in cropped], size)


def by_prediction(files: dict[str, bytes], size: int, settings: Crop) -> np.ndarray:
    return to_network(np.stack([read_crop(data, name, settings) for name, data in files.items()]), size)


@pytest.fixture(scope="module")
def phantoms() -> dict[str, bytes]:
    drawn = {f"phantom_{index}.png": phantom(CLASSES[index % 4], 11, index).image for index in range(8)}
    return {name: encoded(image) for name, image in drawn.items()}


@pytest.mark.parametrize(
    ("size", "changes"), [(96, {}), (200, {}), (64, {"padding": 9, "size": 77, "interpolation": "linear"})]
)
def test_training_and_prediction_see_the_same_phantoms(
    size: int, changes: dict, phantoms: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = SETTINGS.model_copy(update=changes)
    trained = by_training(phantoms, size, settings, monkeypatch)
    assert np.array_equal(trained, by_prediction(phantoms, size, settings))
    assert len({image.tobytes() for image in trained}) == len(phantoms)
    assert np.array_equal(trained, by_prediction(phantoms, size, SETTINGS)) != bool(changes)


@pytest.mark.parametrize("link", [Path.symlink_to, Path.hardlink_to])
def test_what_dvc_s_cache_links_is_read(
    link: Callable[[Path, Path], None], phantoms: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`cache.type` symlink and hardlink, as teams on one server have it: data/raw holds links out of the folder."""
    (tmp_path / "study").mkdir()
    monkeypatch.chdir(tmp_path / "study")
    cache = write_folder(tmp_path / "cache", phantoms)
    Path("data/raw").mkdir(parents=True)
    for name in phantoms:
        link(Path("data/raw", name), cache / name)
    monkeypatch.setattr(stage, "describe", lambda grey: None)
    for name in phantoms:
        found = stage.crop_one(ImageRecord(name, "a", ""), SETTINGS, Path("data/cropped"), Path("data/external"))
        assert isinstance(found, tuple), found


def test_training_and_prediction_see_the_same_published_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {name: data for name, data in published.images(70).items() if name.endswith(".jpg")}
    assert len(files) >= 100
    monkeypatch.chdir(tmp_path)
    assert np.array_equal(by_training(files, 128, SETTINGS, monkeypatch), by_prediction(files, 128, SETTINGS))
