"""The cost of the search as data grows: synthetic heads, in patients of twenty neighbouring slices."""

import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from audits.cost import peak_memory, processor_seconds
from brain_mri.copies.descriptors import ORIENTATIONS, THUMBNAIL, descriptor, turned
from brain_mri.copies.duplicates import find_pairs


def growth():
    rows = []
    for count in (10_000, 30_000, 100_000):
        with tempfile.TemporaryDirectory() as folder:
            descriptors, thumbnails = synthetic(count, Path(folder))
            hashes = np.array([f"{index:064x}" for index in range(count)])
            hashes[1::20] = hashes[0::20]
            used, began = processor_seconds(), time.perf_counter()
            with peak_memory() as peak:
                pairs = find_pairs(descriptors, thumbnails, hashes, hashes)
            seconds, used = time.perf_counter() - began, processor_seconds() - used
        rows.append(
            {"images": count, "seconds": seconds, "processor_seconds": used, "peak_gib": peak[0], "pairs": len(pairs)}
        )
        print(
            f"{count:7} images: {seconds:6.1f} s ({used:6.1f} s of processor), {peak[0]:.2f} GiB, {len(pairs)} pairs",
            flush=True,
        )
    return {"rows": rows}


def synthetic(count, folder):
    """Descriptors and thumbnails (a memory map, as `split` reads them) of heads in patients of twenty slices."""
    thumbnails = np.lib.format.open_memmap(folder / "thumbnails.npy", "w+", np.uint8, (count, THUMBNAIL, THUMBNAIL))
    y, x = np.mgrid[-1 : 1 : THUMBNAIL * 1j, -1 : 1 : THUMBNAIL * 1j]
    head = np.clip(3 - 3 * np.hypot(x, y), 0, 1).astype(np.float32)
    descriptors = np.empty((count, len(descriptor(np.zeros((THUMBNAIL, THUMBNAIL), np.uint8)))), np.float32)
    rng = np.random.default_rng(0)
    for index in range(count):
        if index % 20 == 0:
            shape = _field(rng, 12)
        if index % 10 == 9:
            image = turned(thumbnails[index - 1], ORIENTATIONS[rng.integers(8)])
        else:
            image = head * (120 + 50 * shape + 20 * _field(rng, 12) + 25 * _field(rng, 64))
        thumbnails[index] = np.clip(image, 0, 255)
        descriptors[index] = descriptor(thumbnails[index])
    thumbnails.flush()
    return descriptors, np.load(folder / "thumbnails.npy", mmap_mode="r")


def _field(rng, cells):
    noise = rng.standard_normal((cells, cells), np.float32)
    return cv2.resize(noise, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_CUBIC)
