"""Patients beside the images: the table, what it is checked for, and what the audit counts."""

import gzip
from pathlib import Path

import cv2
import numpy as np
import pytest

from brain_mri.errors import UserError
from brain_mri.files import write_png
from brain_mri.images.badimage import Limits
from brain_mri.images.dataset import ImageRecord
from brain_mri.sources import patients
from brain_mri.sources.patients import Member, add_patients, other_classes, read_patients

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "data/patients/brain-tumor-mri-v1.csv.gz"


def table(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def test_the_table_that_ships_knows_what_its_readme_says() -> None:
    members = read_patients(TABLE)
    assert len(members) == 4750
    assert len({member.slice for member in members.values()}) == 3064
    assert len({member.patient for member in members.values()}) == 233
    assert len({member.group for member in members.values()}) == 209
    records = [ImageRecord(path, path.split("/")[1], "", patient=member.patient) for path, member in members.items()]
    assert other_classes(records) == [
        "Testing/pituitary/Te-piTr_0002.jpg",
        *(f"Training/pituitary/Tr-pi_{number}.jpg" for number in ("0043", "0515", "0520")),
    ]


def test_a_group_is_a_patient_where_none_is_named(tmp_path: Path) -> None:
    file = tmp_path / "groups.csv.gz"
    file.write_bytes(gzip.compress(b"path,group\na.png,x\n"))
    assert read_patients(file) == {"a.png": Member("x", "x", None)}


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["path,grp", "a.png,1"], "no column 'group'"),
        (["path,group", "a.png,1", "a.png,2"], "in an earlier line too"),
        (["path,group,patient", "a.png,1,p", "b.png,2,p"], "line 3: patient 'p' is in the groups '1' and '2'"),
        (["path,group,slice", "a.png,1,one"], "slice 'one'"),
        (["path,group", "a.png,"], "line 2: no group"),
    ],
)
def test_a_table_that_cannot_be_right(tmp_path: Path, lines: list[str], words: str) -> None:
    with pytest.raises(UserError, match=words):
        read_patients(table(tmp_path / "groups.csv", *lines))


def test_an_unknown_image(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"1 images that the data set does not have, first 'b\.png'"):
        add_patients({"b.png": Member("1", "1", None)}, [ImageRecord("a.png", "glioma", "")], tmp_path, Limits())


@pytest.fixture
def heads(tmp_path: Path) -> dict[str, Member]:
    """Ten patients of eight slices: a pattern of the patient's own that changes slowly; every other image mirrored."""
    members = {}
    for patient in range(10):
        rng = np.random.default_rng(patient)
        first, last = (cv2.resize(rng.integers(0, 255, (6, 6)).astype(np.float32), (64, 64)) for _ in range(2))
        for number in range(8):
            image = (first + number / 16 * (last - first)).clip(0, 255).astype(np.uint8)
            name = f"{patient}-{number}.png"
            write_png(tmp_path / name, image[:, ::-1] if number % 2 else image)
            members[name] = Member(str(patient), str(patient), 100 * patient + number)
    return members


def test_patients_reach_the_records(heads: dict[str, Member], tmp_path: Path) -> None:
    records = [ImageRecord(name, "glioma", "") for name in [*heads, "unknown.png"]]
    found = add_patients(heads, records, tmp_path, Limits(8))
    assert found[8] == ImageRecord("1-0.png", "glioma", "", patient="1", family="1")
    assert found[-1] == records[-1]


def test_a_shuffled_table_is_refused(heads: dict[str, Member], tmp_path: Path) -> None:
    names = np.random.default_rng(0).permutation(list(heads)).tolist()
    shuffled = dict(zip(names, heads.values(), strict=True))
    with pytest.raises(UserError, match="do not look alike"):
        patients.check_neighbours(shuffled, tmp_path, Limits(8))
    without_slices = {name: Member(member.group, member.patient, None) for name, member in shuffled.items()}
    patients.check_neighbours(without_slices, tmp_path, Limits(8))
