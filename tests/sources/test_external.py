from collections import Counter
from pathlib import Path

import numpy as np
import published
import pytest
from pictures import LIMITS, encoded, png, write_folder, write_zip, written

from brain_mri.decoding.decode import read_grey
from brain_mri.errors import UserError
from brain_mri.sources.external import describe, unpack

MASK = np.zeros((40, 48), np.uint8)
MASK[4:9, 6:15] = 255
LABELS = (
    "path,class,source,sequence,patient,mask\na/x.jpg,tumour,one,T2,,masks/x.png\nb/x.jpg,glioma,two,T1,11,\n"
    "b/y.jpg,cyst,two,T1,11,\n"
)
FILES = {
    "labels.csv": LABELS.encode(),
    "a/x.jpg": png(1),
    "b/x.jpg": png(2),
    "b/y.jpg": png(3),
    "masks/x.png": encoded(MASK),
}


def test_classes_are_mapped_and_the_study_is_left_alone(tmp_path):
    sources = write_zip(tmp_path / "other.zip", FILES), write_folder(tmp_path / "other", FILES)
    for number, source in enumerate(sources):
        data = tmp_path / str(number)
        write_folder(data / "raw", {"Training/glioma/a.png": png(0), "External/old.png": png(0)})
        write_folder(data / "masks", {"Training/glioma/a.png.png": png(0)})
        fetched = unpack(source, data, {"tumour": "tumour", "glioma": "Glioma"}, LIMITS)
        assert [(r.path, r.label, r.part, r.patient, r.source, r.mask) for r in fetched.records] == [
            ("External/Glioma/two-x.jpg", "Glioma", "External", "11", "two", ""),
            ("External/tumour/one-x.jpg", "tumour", "External", "", "one", "External/tumour/one-x.jpg.png"),
        ]
        assert fetched.ignored == 1
        assert sorted(written(data / "raw")) == [
            "External/Glioma/two-x.jpg",
            "External/tumour/one-x.jpg",
            "Training/glioma/a.png",
        ]
        assert sorted(written(data / "masks")) == ["External/tumour/one-x.jpg.png", "Training/glioma/a.png.png"]
        assert np.array_equal(read_grey(data / "masks" / fetched.records[1].mask, LIMITS), MASK)


def test_a_set_without_table_goes_by_its_folders(tmp_path):
    source = write_folder(
        tmp_path / "other",
        {"Testing/tumour/a.png": png(1), "Training/tumour/a.png": png(2), "Training/cyst/b.png": png(3)},
    )
    fetched = unpack(source, tmp_path, {"tumour": "glioma"}, LIMITS)
    assert [(r.path, r.source) for r in fetched.records] == [
        ("External/glioma/other-a-2.png", "other"),
        ("External/glioma/other-a.png", "other"),
    ]
    assert fetched.ignored == 1


def test_a_class_that_is_not_there_is_named(tmp_path):
    source = write_folder(tmp_path / "other", FILES)
    with pytest.raises(UserError, match=r"no image of class 'tumor' \(is it 'tumour'\?\)"):
        unpack(source, tmp_path, {"tumor": "tumour"}, LIMITS)
    assert not (tmp_path / "raw").exists()


def test_the_first_external_set(tmp_path):
    source = published.archive().parent / "external-tumours.zip"
    if not source.is_file():
        pytest.skip("external-tumours.zip is not beside the published archive")
    fetched = unpack(source, tmp_path, {"glioma": "glioma", "tumour": "tumour"}, LIMITS)
    assert Counter((r.label, r.source) for r in fetched.records) == {
        ("tumour", "br35h_tumour"): 681,
        ("glioma", "gbm_btp"): 147,
    }
    assert all(Path(tmp_path / "masks" / record.mask).is_file() for record in fetched.records)
    assert len({record.patient for record in fetched.records if record.label == "glioma"}) == 11
    assert not fetched.refused and not fetched.ignored
    assert "CC BY 3.0" in describe("external-tumours")["licence"]
