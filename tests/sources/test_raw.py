"""What every source writes to data/raw and data/masks, and the table of it."""

import cv2
import numpy as np
import pytest
from pictures import LIMITS, encoded, png, written

from brain_mri.errors import UserError
from brain_mri.images.dataset import ImageRecord, read_records, read_samples, write_records
from brain_mri.sources.raw import Offer, mask_png, safe_name, write_raw


def offer(
    name: str, label: str = "glioma", part: str = "Training", seed: int = 0, mask: np.ndarray | None = None, **more: str
) -> Offer:
    return Offer(name, label, part, lambda: png(seed), None if mask is None else lambda: encoded(mask), **more)


def test_the_table_comes_back_as_it_was_written_and_another_is_refused(tmp_path):
    records = [
        ImageRecord(
            "Training/glioma/a, b.png", "glioma", "Training", patient="p1", source="ours", mask="masks/a, b.png"
        ),
        ImageRecord("étoile/ü.png", "étoile", ""),
    ]
    for table in ([], records):
        write_records(tmp_path / "records.csv", table)
        assert read_records(tmp_path / "records.csv") == table
    with pytest.raises(UserError, match=r"columns path, .*, group"):
        read_samples(tmp_path / "records.csv")


def test_images_and_masks_are_written_in_order(tmp_path):
    mask = np.zeros((40, 48), np.uint8)
    mask[5:9, 7:20] = 1
    offers = [
        offer("b.png", seed=1),
        offer("a.png", seed=2, mask=mask, patient="p", source="s"),
        offer("c.png", part=""),
    ]
    records = write_raw(offers, tmp_path, LIMITS)
    assert records == [
        ImageRecord(
            "Training/glioma/a.png", "glioma", "Training", patient="p", source="s", mask="Training/glioma/a.png.png"
        ),
        ImageRecord("Training/glioma/b.png", "glioma", "Training"),
        ImageRecord("glioma/c.png", "glioma", ""),
    ]
    assert written(tmp_path / "raw") == {records[0].path: png(2), records[1].path: png(1), records[2].path: png(0)}
    stored = (tmp_path / "masks" / records[0].mask).read_bytes()
    assert np.array_equal(cv2.imdecode(np.frombuffer(stored, np.uint8), cv2.IMREAD_UNCHANGED), mask * 255)
    assert mask_png(mask * 255) == stored


def test_names_that_collide_or_lead_out_of_the_folder(tmp_path):
    names = ["a.png", "A.png", "a.png", "a.jpg", "a.jpg.png", "a", "a-2.png", "." * 300, "../../a.png", "..", "con|a?"]
    names += ["/etc/x\n.png", "é" * 200 + ".png"]
    offers = [offer(name, seed=seed) for seed, name in enumerate(names)]
    first = write_raw(offers, tmp_path, LIMITS)
    assert write_raw(offers, tmp_path, LIMITS) == first
    assert len({record.path.casefold().removesuffix(".png") for record in first}) == len(names)
    assert sorted(written(tmp_path)) == sorted(f"raw/{record.path}" for record in first)
    assert {record.path.count("/") for record in first} == {2}
    assert safe_name("Tr-no_1019.jpg") == "Tr-no_1019.jpg"


def test_names_that_windows_keeps_for_devices_are_changed(tmp_path):
    """The family: CON, PRN, AUX, NUL, COM1 to COM9, LPT1 to LPT9, in any case, with any ending or none."""
    kept = ["con.png", "NUL", "Aux.tar.png", "com1.png", "LPT9", "prn .png"]
    assert [safe_name(name) for name in kept] == [f"_{name}" for name in kept]
    for name in ("icon.png", "con-1.png", "console.png", "com10.png", "com.png", "aux1.png"):
        assert safe_name(name) == name
    (record,) = write_raw([offer("con.png")], tmp_path, LIMITS)
    assert record.path == "Training/glioma/_con.png"


@pytest.mark.parametrize("label", ["..", "a/b", "", ".hidden", "tab\t", "Con", "nul.a"])
def test_a_label_that_is_no_folder_name_is_refused(tmp_path, label):
    with pytest.raises(UserError, match="label"):
        write_raw([offer("a.png", label)], tmp_path, LIMITS)
    assert written(tmp_path) == {}


def test_a_mask_of_another_size_leaves_the_old_folder_whole(tmp_path):
    write_raw([offer("old.png")], tmp_path, LIMITS)
    before = written(tmp_path)
    with pytest.raises(UserError, match="48x40 px, but its mask has 30x40"):
        write_raw([offer("a.png"), offer("b.png", mask=np.eye(40, 30, dtype=np.uint8))], tmp_path, LIMITS)
    assert written(tmp_path) == before


def test_one_part_is_replaced_alone(tmp_path):
    write_raw([offer("old.png")], tmp_path, LIMITS)
    for _ in range(2):
        (record,) = write_raw([offer("new.png", part="External")], tmp_path, LIMITS, "External")
        assert record.path == "External/glioma/new.png"
        assert sorted(written(tmp_path / "raw")) == ["External/glioma/new.png", "Training/glioma/old.png"]
