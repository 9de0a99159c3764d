"""Descriptions go to disk one by one and come back as they were."""

from pathlib import Path

import numpy as np
import pytest

from brain_mri.copies import described
from brain_mri.copies.descriptors import Description, describe


def descriptions(count: int) -> list[Description]:
    rng = np.random.default_rng(3)
    return [describe(rng.integers(0, 255, (40, 50), np.uint8)) for _ in range(count)]


def write(folder: Path, found: list[Description]) -> None:
    with described.writing(folder) as add:
        for place, description in enumerate(found):
            add(f"a/{place}.png", f"{place:064x}", description)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    found = descriptions(12)
    write(tmp_path / "d", found)
    back = described.read(tmp_path / "d")
    assert np.array_equal(back.descriptors, [description.descriptor for description in found])
    assert np.array_equal(back.thumbnails, [description.thumbnail for description in found])
    assert back.byte_hashes.tolist() == [f"{place:064x}" for place in range(12)]
    assert back.pixel_hashes.tolist() == [description.pixel_sha256 for description in found]
    assert isinstance(back.thumbnails, np.memmap)


@pytest.mark.parametrize("count", [0, 1, 100])
def test_the_files_are_those_that_numpy_writes(count: int, tmp_path: Path) -> None:
    found = descriptions(1) * count
    write(tmp_path / "d", found)
    np.save(tmp_path / "whole.npy", np.array([one.thumbnail for one in found], np.uint8).reshape(count, 128, 128))
    assert (tmp_path / "d/thumbnails.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()


def test_a_description_of_another_size_is_refused(tmp_path: Path) -> None:
    one = descriptions(1)[0]
    with pytest.raises(AssertionError), described.writing(tmp_path / "d") as add:
        add("a.png", "0", Description(one.pixel_sha256, one.descriptor[:-1], one.thumbnail))
