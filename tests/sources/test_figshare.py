"""The files are written here as MATLAB writes them: HDF5 with a 512-byte user block, arrays transposed."""

from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
from pictures import LIMITS, write_folder, write_zip, written

from brain_mri.decoding.decode import read_grey
from brain_mri.errors import UserError
from brain_mri.images.badimage import BadImage, Limits
from brain_mri.images.crop import cut, find_head, resize, resize_mask
from brain_mri.images.levels import stretch
from brain_mri.params import load_params
from brain_mri.sources.figshare import SOURCE, read_slice, unpack

CLASSES = ("glioma", "meningioma", "pituitary")


def slice_of(number: int) -> tuple[np.ndarray, np.ndarray]:
    """A head that is neither square nor symmetric: (70, 90) int16, and the mask of its bright lesion."""
    image = np.random.default_rng(number).integers(200, 900, (70, 90)).astype(np.int16)
    mask = np.zeros((70, 90), bool)
    mask[10:20, 60 + number : 80] = True
    image[mask] += 3000
    return image, mask


def write_mat(path: Path, number: int, label: int, patient: str, **changes) -> Path:
    image, mask = slice_of(number)
    values = {
        "image": image,
        "tumorMask": mask.astype(np.uint8),
        "label": np.array([[float(label)]]),
        "PID": np.array([[ord(letter) for letter in patient]], np.uint16),
        **changes,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in values.items():
            if value is not None:
                file.create_dataset(f"cjdata/{name}", data=value.T)
        file.create_dataset("cjdata/tumorBorder", data=np.zeros((1, 8)))
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512, b"\0"))
    return path


def data_set(folder: Path) -> Path:
    for number, (label, patient) in enumerate(((1, "100360"), (2, "MR017260F"), (3, "100360")), start=1):
        write_mat(folder / f"{number}.mat", number, label, patient)
    write_folder(folder, {"cvind.mat": b"x", "README.txt": b"x"})
    return folder


def test_slices_masks_labels_and_patients(tmp_path):
    fetched = unpack(data_set(tmp_path / "figshare"), tmp_path, CLASSES, LIMITS)
    assert [(r.path, r.label, r.part, r.patient, r.source) for r in fetched.records] == [
        ("glioma/2.png", "glioma", "", "MR017260F", "figshare"),
        ("meningioma/1.png", "meningioma", "", "100360", "figshare"),
        ("pituitary/3.png", "pituitary", "", "100360", "figshare"),
    ]
    assert fetched.ignored == 2 and not fetched.refused
    for record in fetched.records:
        image, mask = slice_of(int(Path(record.path).stem))
        assert np.array_equal(read_grey(tmp_path / "raw" / record.path, LIMITS), stretch(image))
        assert np.array_equal(read_grey(tmp_path / "masks" / record.mask, LIMITS), mask * 255)
    assert "1512427" in SOURCE["citation"]


def test_the_zips_as_they_come_give_the_same(tmp_path):
    folder = data_set(tmp_path / "figshare")
    zips = tmp_path / "zips"
    zips.mkdir()
    for number in "123":
        write_zip(zips / f"part_{number}.zip", {f"{number}.mat": (folder / f"{number}.mat").read_bytes()})
    unpack(folder, tmp_path, CLASSES, LIMITS)
    unpack(zips, tmp_path / "again", CLASSES, LIMITS)
    for kind in ("raw", "masks"):
        assert written(tmp_path / kind) == written(tmp_path / "again" / kind)


def test_damaged_files_are_held_back(tmp_path):
    folder = data_set(tmp_path / "figshare")
    write_mat(folder / "4.mat", 4, 7, "p")
    write_mat(folder / "5.mat", 5, 1, "p", tumorMask=None)
    write_mat(folder / "6.mat", 6, 1, "p", tumorMask=np.zeros((90, 70), np.uint8))
    write_folder(folder, {"7.mat": (folder / "1.mat").read_bytes()[:4000], "8.mat": b"MATLAB 5.0", "9.mat": b""})
    fetched = unpack(folder, tmp_path, CLASSES, LIMITS)
    assert len(fetched.records) == 3
    assert sorted(file.path for file in fetched.refused) == [f"{number}.mat" for number in (4, 5, 6, 7, 8, 9)]
    with pytest.raises(BadImage, match="the limit"):
        read_slice((folder / "1.mat").read_bytes(), Limits(max_pixels=100))


def test_what_the_data_set_does_not_have_is_named(tmp_path):
    with pytest.raises(UserError, match="'notumor' is not in figshare"):
        unpack(tmp_path, tmp_path, (*CLASSES, "notumor"), LIMITS)
    with pytest.raises(UserError, match="no slice"):
        unpack(write_folder(tmp_path / "empty", {"a.txt": b""}), tmp_path, CLASSES, LIMITS)


def test_the_mask_is_still_on_the_lesion_after_the_crop(tmp_path):
    image, mask = slice_of(1)
    wide, wide_mask = (np.pad(array, ((20, 4), (8, 60))) for array in (image, mask))
    write_mat(tmp_path / "figshare" / "1.mat", 1, 2, "p", image=wide, tumorMask=wide_mask.astype(np.uint8))
    (record,) = unpack(tmp_path / "figshare", tmp_path, ["glioma"], LIMITS).records
    grey = read_grey(tmp_path / "raw" / record.path, LIMITS)
    settings = load_params(Path(__file__).parents[2] / "params.yaml").crop.model_copy(update={"threshold": 5})
    box = find_head(grey, settings).box
    assert box[1] - box[0] < 80 and box[3] - box[2] < 100  # the black border is gone
    cropped = resize(cut(grey, box), 200)
    lesion = resize_mask(cut(read_grey(tmp_path / "masks" / record.mask, LIMITS), box), 200) > 0
    inner = cv2.erode(lesion.astype(np.uint8), np.ones((5, 5))) > 0
    outer = cv2.dilate(lesion.astype(np.uint8), np.ones((5, 5))) == 0
    assert inner.any() and cropped[inner].min() > cropped[outer].max()
    for wrong in (lesion[:, ::-1], lesion[::-1], lesion.T):
        assert cropped[wrong].mean() < cropped[lesion].mean() / 2
