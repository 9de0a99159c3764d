"""Descriptions go to disk one by one and come back as they were."""

from pathlib import Path

import numpy as np
import pytest

from brain_mri.copies.descriptions import Description, describe, read_descriptions, write_descriptions


@pytest.mark.parametrize("count", [0, 1, 12])
def test_what_was_written_is_read(count: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    found = [describe(rng.integers(0, 255, (40, 50), np.uint8)) for _ in range(count)]
    with write_descriptions(tmp_path / "d") as add:
        for place, description in enumerate(found):
            add(f"a/{place}.png", f"{place:064x}", description)
    back = read_descriptions(tmp_path / "d")
    assert np.array_equal(back.descriptors, np.reshape([one.descriptor for one in found], (count, 144)))
    assert np.array_equal(back.thumbnails, np.reshape([one.thumbnail for one in found], (count, 128, 128)))
    assert back.byte_hashes.tolist() == [f"{place:064x}" for place in range(count)]
    assert back.pixel_hashes.tolist() == [one.pixel_hash for one in found]
    assert isinstance(back.thumbnails, np.memmap if count else np.ndarray)
    np.save(tmp_path / "whole.npy", back.thumbnails)
    assert (tmp_path / "d/thumbnails.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()


def test_a_description_of_another_size_is_refused(tmp_path: Path) -> None:
    one = describe(np.zeros((40, 50), np.uint8))
    with pytest.raises(AssertionError), write_descriptions(tmp_path / "d") as add:
        add("a.png", "0", Description(one.pixel_hash, one.descriptor, one.thumbnail[:-1]))
