from functools import partial
from pathlib import Path
from unicodedata import normalize

import nibabel
import numpy as np
import pytest
from pictures import LIMITS, encoded, grey, png, write_folder, write_zip, written
from pydicom.data import get_testdata_file

from brain_mri.decoding.decode import read_grey
from brain_mri.errors import UserError
from brain_mri.images.dataset import ImageRecord
from brain_mri.sources.folder import unpack
from brain_mri.sources.names import find_file

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
    "twice, with a dot": (lines(f"{A},cat scan,,,", f"./{A},tümör,,,"), "is in an earlier line too"),
    "twice, as on Windows": (lines(f"{A},cat scan,,,", "cat scan\\a.png,tümör,,,"), "is in an earlier line too"),
    "twice, in NFD": (lines(f"{B},tümör,,,", f"{normalize('NFD', B)},cat scan,,,"), "is in an earlier line too"),
    "short line": (lines(A), "line 2: another number of cells"),
    "long line": (lines(f"{A},cat scan,,,,,"), "line 2: another number of cells"),
    "empty path": (lines(",cat scan,,,"), "line 2: no path"),
    "column twice": ("path,label,label\na,b,c\n", "2 columns 'label'"),
    "patient in two, in capitals": (
        f"Path,LABEL,Split,Patient\n{A},cat scan,train,p7\n{B},tümör,test,p7\n",
        "line 3: patient 'p7' is in train",
    ),
    "column misspelt": ("path,labels\na,b\n", r"no column 'label' \(is it 'labels'\?\)"),
    "semicolons": ("path;label\na;b\n", "semicolons between its cells; save it with commas, and path, label in"),
    "semicolons and quotes, as R writes them": ('"path";"label"\n"a";"b"\n', "semicolons between its cells"),
    "tabs and quotes": ('"path"\t"label"\n"a"\t"b"\n', "tabs between its cells"),
    "Excel's line of semicolons": ("sep=;\npath;label\na;b\n", "semicolons between its cells"),
    "tabs": ("path\tlabel\na\tb\n", "tabs between its cells"),
    "Excel's line": ("sep=,\npath,label\na,b\n", "'sep=,' above its header"),
    "zero byte": ("path,label\na\0,b\n", "not a CSV"),
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


def annexed(folder: Path, store: Path) -> Path:
    """Put links in the place of a folder's files, as git-annex, DataLad and DVC's cache do; the files go to `store`."""
    for number, path in enumerate(sorted(path for path in folder.rglob("*") if path.is_file())):
        store.mkdir(parents=True, exist_ok=True)
        path.rename(store / str(number))
        path.symlink_to(store / str(number))
    return folder


@pytest.mark.parametrize("store", ["mine/.git/annex/objects", "cache"])
def test_a_data_set_of_links_is_one_of_files(tmp_path, store):
    """The family: everything is a link, images, masks and the table itself, into the data set's own annex or into a
    cache beside it; with and without a table."""
    plain = unpack(write_folder(tmp_path / "plain", FILES), tmp_path / "0", CLASSES, LIMITS)
    linked = unpack(annexed(write_folder(tmp_path / "mine", FILES), tmp_path / store), tmp_path / "1", CLASSES, LIMITS)
    assert linked.records == plain.records and not linked.refused
    assert written(tmp_path / "1/raw") == written(tmp_path / "0/raw")
    table = {**FILES, "m/a.png": encoded(MASK), "labels.csv": TABLE.encode()}
    source = annexed(write_folder(tmp_path / "tabled", table), tmp_path / "more")
    assert [record.mask for record in unpack(source, tmp_path / "2", CLASSES, LIMITS).records][1:] == [
        "Training/tümör/a.png.png"
    ]


@pytest.mark.parametrize("name", ["labels.csv", "Labels.CSV"])
def test_a_table_is_never_passed_over(tmp_path, name):
    """The family: a table in another case, one that is a link whose content was not fetched, two of them. Images in a
    folder a class beside it must not be taken without it: its labels, splits and patients would be lost."""
    swapped = f"path,label\n{A},tümör\n{B},cat scan\n".encode()
    top = write_folder(tmp_path / "mine", {**FILES, name: swapped})
    packed = write_zip(tmp_path / "mine.zip", {f"top/{path}": data for path, data in {**FILES, name: swapped}.items()})
    for number, source in enumerate((top, packed)):
        records = unpack(source, tmp_path / str(number), CLASSES, LIMITS).records
        assert [record.path for record in records] == ["cat scan/a.png", "tümör/a.png"]
        assert written(tmp_path / str(number) / "raw")["tümör/a.png"] == png(1)
    (top / name).unlink()
    (top / name).symlink_to(".git/annex/objects/none")
    with pytest.raises(UserError, match=f"{name}: link to a file that is not there"):
        unpack(top, tmp_path, CLASSES, LIMITS)
    write_folder(tmp_path / "two", {**FILES, "labels.csv": swapped, "LABELS.csv": swapped})
    with pytest.raises(UserError, match=r"LABELS\.csv and labels\.csv; keep one"):
        unpack(tmp_path / "two", tmp_path, CLASSES, LIMITS)
    assert not (tmp_path / "raw").exists()


def test_a_link_to_nothing_is_called_one(tmp_path):
    """The family: a row's image, a class, a table that is named, a folder and a zip that were not fetched."""
    source = write_folder(
        tmp_path / "mine", {B: png(1), "labels.csv": f"path,label\n{A},cat scan\n{B},tümör\n".encode()}
    )
    (source / "cat scan").mkdir()
    (source / A).symlink_to("none")
    other = write_folder(tmp_path / "other", {B: png(1)})
    (other / "cat scan").symlink_to("none")
    for name in ("table.csv", "folder", "packed.zip"):
        (tmp_path / name).symlink_to("none")
    for place, words in (
        (source, "'cat scan' can be used, its 1 files are refused; the first, cat scan/a.png: link to a file"),
        (other, "'cat scan' can be used, its 1 files are refused; the first, cat scan: link to a file"),
        *((tmp_path / name, f"{name}: link to a file") for name in ("table.csv", "folder", "packed.zip")),
    ):
        with pytest.raises(UserError, match=words):
            unpack(place, tmp_path, CLASSES, LIMITS)


def test_links_without_their_files_are_told_from_an_empty_folder(tmp_path):
    source = write_folder(tmp_path / "mine", {A: png(1)})
    (source / "tümör").mkdir()
    for number in range(3):
        (source / f"tümör/{number}.png").symlink_to("../.git/annex/objects/none")
    words = (
        "no image of class 'tümör' can be used, its 3 files are refused; the first, tümör/0.png: link to a file that"
    )
    with pytest.raises(UserError, match=words):
        unpack(source, tmp_path, CLASSES, LIMITS)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("spell", [str, partial(normalize, "NFD"), lambda text: text.replace(B, ".\\tümör\\a.png")])
def test_names_have_one_form(tmp_path, form, spell):
    """The family: names in NFC and NFD (macOS), of files, folders, classes, the table and what stands in it; `./` and
    backslashes in a table. The data set is the same in each spelling."""
    files = {A: png(1), B: png(2), "m/ä.png": encoded(MASK)}
    files["tabelle-ü.csv"] = spell(lines(f"{A},cat scan,,p1,", f"{B},tümör,,é,m/ä.png")).encode()
    source = write_folder(tmp_path / "mine", {normalize(form, name): data for name, data in files.items()})
    assert unpack(find_file(source, "tabelle-ü.csv"), tmp_path, CLASSES, LIMITS).records == [
        ImageRecord("cat scan/a.png", "cat scan", "", patient="p1"),
        ImageRecord("tümör/a.png", "tümör", "", patient="é", mask="tümör/a.png.png"),
    ]
    folders = write_folder(tmp_path / "other", {normalize(form, name): files[name] for name in (A, B)})
    assert [record.path for record in unpack(folders, tmp_path, CLASSES, LIMITS).records] == [A, B]


@pytest.mark.parametrize("table", [lines(f"{A},cat scan,,,", f"{B},tümör,,,"), ""])
def test_a_class_in_nfd_is_told(tmp_path, table):
    """As a folder's name is that was copied on macOS into params.yaml; it looks like the one in NFC."""
    files = {**FILES, "labels.csv": table.encode()} if table else FILES
    source = write_folder(tmp_path / "mine", files)
    with pytest.raises(UserError, match=r"dataset\.classes: .*NFD"):
        unpack(source, tmp_path, [normalize("NFD", name) for name in CLASSES], LIMITS)


def test_two_files_of_one_name_are_told(tmp_path):
    names = [normalize(form, "tümör/ä.png") for form in ("NFC", "NFD")]
    table = lines(f"{A},cat scan,,,", f"{names[0]},tümör,,,").encode()
    source = write_folder(tmp_path / "mine", {A: png(1), **dict.fromkeys(names, png(2)), "labels.csv": table})
    with pytest.raises(UserError, match=r"line 3: 2 files are named 'tümör/ä\.png'"):
        unpack(source, tmp_path, CLASSES, LIMITS)
