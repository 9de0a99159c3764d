"""Which images show one patient: a table beside the data set. Format and making: `data/patients/README.md`."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from brain_mri.decoding.decode import read_grey
from brain_mri.errors import UserError
from brain_mri.images.badimage import BadImage, Limits
from brain_mri.images.crop import resize
from brain_mri.images.dataset import ImageRecord
from brain_mri.sources.names import normal_path
from brain_mri.sources.table import read_table_file

# Median correlation of neighbouring slices: of the published table 0.94, moved by one line 0.79, shuffled within the
# classes 0.64 at most.
LEAST_LIKENESS = 0.87
SAMPLE, LEAST_SAMPLE = 200, 20  # pairs of neighbouring slices, evenly spread
SIDE = 32  # pixels

SOURCE = {
    "name": "Patients of the Brain Tumor MRI Dataset, version 1",
    "licence": "CC BY 4.0",
    "citation": "Patient identifiers (PID) of: Cheng, Jun (2017). brain tumor dataset. figshare. "
    "doi:10.6084/m9.figshare.1512427; carried over to the images of the Kaggle data set by their pixels",
    "url": "https://doi.org/10.6084/m9.figshare.1512427",
}


@dataclass(frozen=True)
class Member:
    """What a table knows of an image: `group` must not be torn apart by a split, `patient` is what is counted, and
    `slice` is the number of its slice, neighbouring ones of a patient being neighbours; None where it is not told."""

    group: str
    patient: str
    slice: int | None


def read_patients(path: Path) -> dict[str, Member]:
    """Members by image path, from a `.csv` or `.csv.gz` with the columns `path` and `group`, if need be `patient` (else
    the group is one) and `slice`. Raises UserError that names the line, and for a patient in two groups."""
    members, groups = {}, dict[str, str]()
    for row in read_table_file(path, ("path", "group"), ("patient", "slice")):
        if row["slice"] and not row["slice"].isdecimal():
            raise UserError(f"{row['place']}: slice {row['slice'][:40]!r}; expected a whole number, or nothing")
        patient = row["patient"] or row["group"]
        if groups.setdefault(patient, row["group"]) != row["group"]:
            raise UserError(
                f"{row['place']}: patient {patient[:40]!r} is in the groups {groups[patient][:40]!r} and "
                f"{row['group'][:40]!r}; one group a patient"
            )
        members[normal_path(row["path"])] = Member(row["group"], patient, int(row["slice"]) if row["slice"] else None)
    return members


def add_patients(
    members: Mapping[str, Member], records: Sequence[ImageRecord], raw: Path, limits: Limits
) -> list[ImageRecord]:
    """Return the records with `patient` and `family` filled in where the table knows them.

    Raises UserError for an image that is not there, and where neighbouring slices do not look alike: a table of other
    images, or one whose lines were shuffled."""
    if unknown := sorted(set(members) - {record.path for record in records}):
        raise UserError(
            f"dataset.groups: {len(unknown)} images that the data set does not have, first {unknown[0]!r}; its column "
            "path is that of data/raw.csv"
        )
    check_neighbours(members, raw, limits)
    return [
        replace(record, patient=member.patient, family=member.group) if (member := members.get(record.path)) else record
        for record in records
    ]


def check_neighbours(members: Mapping[str, Member], raw: Path, limits: Limits) -> None:
    """Raise UserError where the median correlation of neighbouring slices is less than LEAST_LIKENESS; a table without
    slices, or with fewer than LEAST_SAMPLE such pairs, is not checked."""
    at = {(member.patient, member.slice): path for path, member in sorted(members.items()) if member.slice is not None}
    pairs = [(at[key], at[key[0], key[1] + 1]) for key in sorted(at) if (key[0], key[1] + 1) in at]
    if len(pairs) < LEAST_SAMPLE:
        return
    chosen = [pairs[place] for place in np.unique(np.linspace(0, len(pairs) - 1, SAMPLE).astype(int))]
    found = []
    for pair in chosen:
        try:
            first, second = (resize(read_grey(raw / path, limits), SIDE) for path in pair)
        except BadImage:
            continue  # it will be quarantined
        turned = (second, second[:, ::-1], second[::-1], second[::-1, ::-1])
        found.append(max(np.corrcoef(first.ravel(), other.ravel())[0, 1] for other in turned))
    if found and (median := float(np.median(found))) < LEAST_LIKENESS:
        raise UserError(
            f"dataset.groups: neighbouring slices of a patient do not look alike (their median correlation is "
            f"{median:.2f}, at least {LEAST_LIKENESS} is expected); the table is of other images, or was shuffled"
        )


def other_classes(records: Sequence[ImageRecord]) -> list[str]:
    """The images whose class is not that of most of their patient's, by path: a patient has one kind of tumour."""
    classes: dict[str, Counter[str]] = {}
    for record in records:
        if record.patient:
            classes.setdefault(record.patient, Counter())[record.label] += 1
    usual = {patient: max(sorted(count), key=count.__getitem__) for patient, count in classes.items()}
    return sorted(record.path for record in records if record.patient and record.label != usual[record.patient])
