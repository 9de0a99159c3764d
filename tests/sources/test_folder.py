from pathlib import Path

import nibabel
import numpy as np
import pytest
from pictures import LIMITS, encoded, grey, png, write_folder, write_zip, written
from pydicom.data import get_testdata_file

from brain_mri.errors import UserError
from brain_mri.images.dataset import ImageRecord
from brain_mri.images.decode import read_grey
from brain_mri.sources.folder import unpack

CLASSES = ("cat scan", "tümör")
MASK = np.zeros((40, 48), np.uint8)
MASK[4:9, 6:15] = 1
FILES = {"cat scan/a.png": png(1), "tümör/a.png": png(2), "tümör/deep/b.png": png(3)}


def test_a_folder_a_class_from_a_folder_or_a_zip(tmp_path):
    sources = (
        write_folder(tmp_path / "mine", {**FILES, "notes.txt": b"x", ".DS_Store": b"x"}),
        write_zip(tmp_path / "mine.zip", {f"top/{name}": data for name, data in FILES.items()}),
    )
    for number, source in enumerate(sources):
        fetched = unpack(source, tmp_path / str(number), CLASSES, LIMITS)
        assert [(record.path, record.label, record.part) for record in fetched.records] == [
            ("cat scan/a.png", "cat scan", ""),
            ("tümör/a.png", "tümör", ""),
            ("tümör/deep-b.png", "tümör", ""),
        ]
        assert fetched.ignored == (2, 0)[number]
        assert sorted(written(tmp_path / str(number) / "raw").values()) == sorted(FILES.values())


def test_every_format_arrives_readable(tmp_path):
    volume = nibabel.Nifti1Image(np.random.default_rng(0).integers(0, 900, (40, 44, 5), dtype=np.int16), np.eye(4))
    dicom = Path(get_testdata_file("MR_small.dcm")).read_bytes()
    source = write_folder(
        tmp_path / "mine",
        {"cat scan/a.dcm": dicom, "cat scan/b.nii": volume.to_bytes(), "tümör/without suffix": png(3)},
    )
    fetched = unpack(source, tmp_path, CLASSES, LIMITS)
    assert [read_grey(tmp_path / "raw" / record.path, LIMITS).shape for record in fetched.records] == [
        (64, 64),
        (44, 40),
        (40, 48),
    ]


TABLE = (
    "path,label,split,patient,mask,age\n./tümör/a.png,tümör,train,p1,m/a.png,40\ncat scan/a.png,cat scan,Test,p2,,\n"
)


def test_a_table_with_splits_patients_and_masks(tmp_path):
    files = {**FILES, "m/a.png": encoded(MASK)}
    folder = write_folder(tmp_path / "mine", {**files, "labels.csv": TABLE.encode("utf-8-sig")})
    other = write_folder(tmp_path / "other", {**files, "table.csv": TABLE.encode()})
    packed = write_zip(
        tmp_path / "mine.zip",
        {"top/labels.csv": TABLE.encode(), **{f"top/{name}": data for name, data in files.items()}},
    )
    for number, source in enumerate((folder, folder / "labels.csv", other / "table.csv", packed)):
        data = tmp_path / str(number)
        assert unpack(source, data, CLASSES, LIMITS).records == [
            ImageRecord("Testing/cat scan/a.png", "cat scan", "Testing", patient="p2"),
            ImageRecord("Training/tümör/a.png", "tümör", "Training", patient="p1", mask="Training/tümör/a.png.png"),
        ]
        assert written(data / "raw") == {"Testing/cat scan/a.png": png(1), "Training/tümör/a.png": png(2)}
        assert np.array_equal(read_grey(data / "masks" / "Training/tümör/a.png.png", LIMITS), MASK * 255)


def lines(*rows: str) -> str:
    return "\n".join(["path,label,split,patient,mask", *rows, ""])


A, B = "cat scan/a.png", "tümör/a.png"
WRONG = {
    "missing file": (lines(f"{A},cat scan,,,", "tümör/z.png,tümör,,,"), r"line 3: no file 'tümör/z\.png'"),
    "leads out": (lines(f"{A},cat scan,,,", "../secret.png,tümör,,,"), r"line 3: no file '\.\./secret"),
    "absolute": (lines("/etc/passwd,tümör,,,"), "line 2: no file '/etc/passwd'"),
    "label": (lines(f"{A},cat scan,,,", f"{B},tumor,,,"), r"line 3: label 'tumor' is no class \(is it 'tümör'\?\)"),
    "patient in two": (lines(f"{A},cat scan,train,p7,", f"{B},tümör,test,p7,"), "line 3: patient 'p7' is in train"),
    "split": (lines(f"{A},cat scan,val,,", f"{B},tümör,test,,"), "line 2: split 'val'; allowed are train and test"),
    "some splits": (lines(f"{A},cat scan,train,,", f"{B},tümör,,,"), "line 3: a split in some lines only"),
    "mask of another size": (lines(f"{A},cat scan,,,small.png", f"{B},tümör,,,"), "48x40 px, but its mask has 30x33"),
    "mask missing": (lines(f"{A},cat scan,,,none.png", f"{B},tümör,,,"), r"line 2: no file 'none\.png'"),
    "mask is text": (lines(f"{A},cat scan,,,labels.csv", f"{B},tümör,,,"), "its mask is not an image"),
    "class without images": (lines(f"{A},cat scan,,,"), "no image of class 'tümör'"),
    "twice": (lines(f"{A},cat scan,,,", f"{A},tümör,,,"), "is in an earlier line too"),
    "short line": (lines(A), "line 2: another number of cells"),
    "long line": (lines(f"{A},cat scan,,,,,"), "line 2: another number of cells"),
    "empty path": (lines(",cat scan,,,"), "line 2: no path"),
    "column misspelt": ("path,labels\na,b\n", r"no column 'label' \(is it 'labels'\?\)"),
    "semicolons": ("path;label\na;b\n", r"no column 'path' \(is it 'path;label'\?\)"),
    "no rows": ("path,label\n", "no line besides the header"),
    "open quote": ('path,label\n"a,b\n', "not a CSV"),
    "empty": ("", "no column 'path'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_table_is_refused_by_line(tmp_path, name):
    text, message = WRONG[name]
    source = write_folder(
        tmp_path / "mine", {**FILES, "small.png": encoded(grey(1, 33, 30)), "labels.csv": text.encode()}
    )
    write_folder(tmp_path, {"secret.png": png(9)})
    with pytest.raises(UserError, match=message):
        unpack(source, tmp_path, CLASSES, LIMITS)
    assert not (tmp_path / "raw").exists() and not (tmp_path / "masks").exists()


def test_other_encodings_and_missing_sources_are_refused(tmp_path):
    source = write_folder(tmp_path / "mine", {**FILES, "labels.csv": TABLE.encode("utf-16")})
    places = (source, "not a CSV in UTF-8"), (tmp_path / "no.csv", "not there"), (tmp_path / "no", "not there")
    for place, message in places:
        with pytest.raises(UserError, match=message):
            unpack(place, tmp_path, CLASSES, LIMITS)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (("cat scan", "tümör", "dog"), "no image of class 'dog'"),
        (("cat scan",), "the folder 'tümör' is no class"),
        (("cat scans", "tümör"), r"no image of class 'cat scans'.*\(is it 'cat scan'\?\)"),
    ],
)
def test_folders_and_classes_must_agree(tmp_path, classes, message):
    source = write_folder(tmp_path / "mine", FILES)
    with pytest.raises(UserError, match=message):
        unpack(source, tmp_path, classes, LIMITS)


def test_a_link_that_leads_out_is_held_back(tmp_path):
    source = write_folder(
        tmp_path / "mine",
        {**FILES, "labels.csv": lines(f"{A},cat scan,,,", f"{B},tümör,,,", "link.png,tümör,,,").encode()},
    )
    write_folder(tmp_path, {"secret.png": png(9)})
    (source / "link.png").symlink_to(tmp_path / "secret.png")
    fetched = unpack(source, tmp_path, CLASSES, LIMITS)
    assert [(file.path, file.reason) for file in fetched.refused] == [("link.png", "link leads out of the folder")]
    assert len(fetched.records) == 2
