"""What does the audit for copies find, and what does it merge wrongly?

    python -m bench.audit            # all parts; about 35 minutes on two cores
    python -m bench.audit planted    # or phantoms, real, growth, index; the others keep their place in bench/audit.json

planted   copies of each kind at three strengths, as they are and mirrored, among real images (of the archive in the
          folder that BRAIN_MRI_DATA names): the share that is found, in the right orientation
phantoms  the same among phantoms, and pairs of different phantoms that are taken for copies
real      the real images: the outlines in data/outlines say which slices are the same (equal up to mirroring) and
          which differ: pairs found, missed and refuted by them; seconds of an audit
growth    seconds and memory at 10,000, 30,000 and 100,000 images: synthetic heads, in patients of twenty neighbouring
          slices that the search must put before the verification, with one planted copy in ten
index     of 100,000 such heads: the share of the exhaustive search's candidates, and of the planted copies, that the
          index finds; seconds and memory of both. Of each image the exhaustive search keeps one fewer, because at
          the end of the list equally alike ones change places

Prints tables and writes bench/audit.json. The thresholds, `audit` in params.yaml, were chosen on them.
"""

import argparse
import itertools
import re
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
from scipy.spatial import cKDTree

from bench.images import archive
from bench.planting import STRENGTHS, plant
from bench.turns import ROOT
from brain_mri.copies import neighbours
from brain_mri.copies.descriptions import ORIENTATIONS, THUMBNAIL, Descriptions, describe, descriptor, turned
from brain_mri.copies.duplicates import Pairs, find_pairs, group_copies, verify
from brain_mri.copies.neighbours import correlate
from brain_mri.errors import UserError, run
from brain_mri.files import read_json, write_json
from brain_mri.params import load_params
from brain_mri.phantoms.phantom import CLASSES, phantom
from brain_mri.sources.outlines import read_outlines

COPIES = 200  # of each kind, strength and pose
PHANTOMS = 400
LOWEST = 0.6  # pairs are scored down to it, to be cut at any threshold above
AUDIT = load_params(ROOT / "params.yaml").audit
OUTLINES = ROOT / "data/outlines/brain-tumor-mri-v1.csv.gz"


def real_images() -> dict[str, np.ndarray]:
    """Grey images by path in the archive."""
    if (real := archive()) is None:
        raise UserError("audit: BRAIN_MRI_DATA names no folder that holds the archive; name one, or ask for phantoms")
    with zipfile.ZipFile(real) as opened:
        names = sorted(name for name in opened.namelist() if name.endswith(".jpg"))
        data = [opened.read(name) for name in names]
    with ThreadPoolExecutor() as pool:
        images = list(pool.map(lambda b: cv2.imdecode(np.frombuffer(b, np.uint8), cv2.IMREAD_GRAYSCALE), data))
    return {"/".join(Path(name).parts[-3:]): image for name, image in zip(names, images, strict=True)}


def describe_all(images: list[np.ndarray]) -> Descriptions:
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(describe, images))
    hashes = np.array([one.pixel_hash for one in found])
    return Descriptions(
        np.array([one.descriptor for one in found]), np.array([one.thumbnail for one in found]), hashes, hashes
    )


def scored_pairs(images: list[np.ndarray]) -> Pairs:
    return find_pairs(describe_all(images), AUDIT.model_copy(update={"same": LOWEST}))


def recall_of_planted(images: list[np.ndarray]) -> list[dict[str, Any]]:
    """By kind and pose, for each strength the share of copies found. Each copy is compared with its own original, so
    that no other copy can lend a hand; one that is found in a wrong orientation counts as missed."""
    originals = describe_all(images)
    rng, rows = np.random.default_rng(0), []
    for kind in STRENGTHS:
        for pose in ["mirrored"] if kind == "copy" else ["as it is"] if kind == "turn" else ["as it is", "mirrored"]:
            row: dict[str, Any] = {"kind": kind, "pose": pose, "recall": [], "lowest_percent": []}
            for strength in STRENGTHS[kind]:
                sources = rng.choice(len(images), min(COPIES, len(images)), replace=False)
                copies, turns = zip(
                    *(plant(images[i], kind, strength, pose == "mirrored", rng) for i in sources), strict=True
                )
                found = describe_all(list(copies))
                correlation, orientation = correlate(originals.descriptors[sources], found.descriptors)
                places = np.arange(len(sources))
                both = np.concatenate([originals.thumbnails[sources], found.thumbnails])
                score = verify(both, places, places + len(sources), orientation, processes=1)
                score[orientation != [ORIENTATIONS.index(turn) for turn in turns]] = 0
                score[correlation < AUDIT.search] = -1
                row["recall"].append(float(np.mean(score >= AUDIT.same)))
                row["lowest_percent"].append(float(np.quantile(score, 0.01)))
            rows.append(row)
            print(f"{kind:11} {pose:9}", *(f"{share:6.3f}" for share in row["recall"]), flush=True)
    return rows


def planted() -> dict[str, Any]:
    return {"rows": recall_of_planted(list(real_images().values()))}


def phantoms() -> dict[str, Any]:
    images = [phantom(CLASSES[index % len(CLASSES)], 0, index).image for index in range(PHANTOMS)]
    rows, score = recall_of_planted(images), scored_pairs(images).score
    wrong, highest = int(np.sum(score >= AUDIT.same)), float(max(score, default=0))
    print(f"pairs of different phantoms taken for copies: {wrong}, highest score {highest:.3f}")
    return {"rows": rows, "wrong": wrong, "highest_wrong": highest}


def real() -> dict[str, Any]:
    images = real_images()
    begin = time.perf_counter()
    pairs = scored_pairs(list(images.values()))
    seconds = time.perf_counter() - begin
    same, outlined = same_by_outline({path: image.shape for path, image in images.items()})
    groups = group_copies(pairs.keep(pairs.score >= AUDIT.same), len(images))
    known = outlined[pairs.first] & outlined[pairs.second]
    wrong = np.array([pair not in same for pair in zip(pairs.first, pairs.second, strict=True)]) & known
    result = {
        "seconds": seconds,
        "pairs_equal_by_outline": len(same),
        "recall": float(np.mean([groups[i] == groups[j] for i, j in same])),
        "refuted": int(np.sum(pairs.score[wrong] >= AUDIT.same)),
        "highest_refuted": float(pairs.score[wrong].max()),
    }
    print(result)
    return result


def same_by_outline(shapes: dict[str, tuple[int, ...]]) -> tuple[set[tuple[int, int]], np.ndarray]:
    """Pairs (first < second) of images whose tumour outlines are one up to symmetry and scale; who has an outline."""
    place = {path: index for index, path in enumerate(shapes)}
    outlines = {}
    for path, polygon in read_outlines(OUTLINES).items():
        height, width = shapes[path]
        outlines[place[path]] = (polygon + 0.5) / (width, height) - 0.5
    owners = np.array(sorted(outlines))
    centres = np.stack([outlines[i].mean(axis=0) for i in owners])
    same = set()
    for signs, swap in itertools.product(itertools.product((1, -1), repeat=2), (np.eye(2), np.eye(2)[::-1])):
        symmetry = np.diag(signs) @ swap  # one of the eight of a square
        near = cKDTree(centres).query_ball_tree(cKDTree(centres @ symmetry), 0.01)
        for one, other in ((owners[i], owners[j]) for i, others in enumerate(near) for j in others):
            if other > one and hausdorff(outlines[one], outlines[other] @ symmetry) < 0.002:
                same.add((one, other))
    outlined = np.zeros(len(shapes), bool)
    outlined[owners] = True
    return same, outlined


def hausdorff(one: np.ndarray, other: np.ndarray) -> float:
    """The distance of two sets of corners, as a share of the frame."""
    distance = np.linalg.norm(one[:, None] - other[None], axis=2)
    return float(max(distance.min(axis=0).max(), distance.min(axis=1).max()))


def growth() -> dict[str, Any]:
    rows = []
    for count in (10_000, 30_000, 100_000):
        with tempfile.TemporaryDirectory() as folder:
            descriptors, thumbnails = synthetic_heads(count, Path(folder))
            hashes = np.array([f"{index:064x}" for index in range(count)])
            hashes[1::20] = hashes[0::20]
            begin = time.perf_counter()
            with peak_memory() as mib:
                pairs = find_pairs(Descriptions(descriptors, thumbnails, hashes, hashes), AUDIT)
            seconds = time.perf_counter() - begin
        rows.append({"images": count, "seconds": seconds, "peak_gib": mib[0] / 1024, "pairs": len(pairs)})
        print(f"growth {count:7,} images: {seconds:6.1f} s, {mib[0]:5.0f} MiB, {len(pairs)} pairs", flush=True)
    return {"rows": rows}


def index() -> dict[str, Any]:
    count, found, result = 100_000, {}, {}
    with tempfile.TemporaryDirectory() as folder:
        descriptors, _ = synthetic_heads(count, Path(folder))
    for name, exhaustive, kept in (("index", 0, AUDIT.neighbours), ("exhaustive", count, AUDIT.neighbours - 1)):
        neighbours.EXHAUSTIVE = exhaustive
        begin = time.perf_counter()
        with peak_memory() as mib:
            first, second, _ = neighbours.candidates(descriptors, AUDIT.search, kept)
        found[name] = first * count + second
        result[name] = {"seconds": time.perf_counter() - begin, "peak_gib": mib[0] / 1024, "pairs": len(first)}
        print(name, result[name], flush=True)
    copies = np.arange(9, count, 10)
    result["recall"] = float(np.isin(found["exhaustive"], found["index"]).mean())
    for name, pairs in found.items():
        result[name]["planted"] = float(np.isin((copies - 1) * count + copies, pairs).mean())
    print(result)
    return result


def synthetic_heads(count: int, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Descriptors and thumbnails (a memory map, as `split` reads them) of heads in patients of twenty slices."""
    thumbnails = np.lib.format.open_memmap(folder / "thumbnails.npy", "w+", np.uint8, (count, THUMBNAIL, THUMBNAIL))
    y, x = np.mgrid[-1 : 1 : THUMBNAIL * 1j, -1 : 1 : THUMBNAIL * 1j]
    head = np.clip(3 - 3 * np.hypot(x, y), 0, 1).astype(np.float32)
    descriptors = np.empty((count, len(descriptor(thumbnails[0]))), np.float32)
    rng = np.random.default_rng(0)

    def field(cells: int) -> np.ndarray:
        noise = rng.standard_normal((cells, cells), np.float32)
        return cv2.resize(noise, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_CUBIC)

    for index in range(count):
        if index % 20 == 0:
            shape = field(12)
        if index % 10 == 9:
            image = turned(thumbnails[index - 1], ORIENTATIONS[rng.integers(8)])
        else:
            image = head * (120 + 50 * shape + 20 * field(12) + 25 * field(64))
        thumbnails[index] = np.clip(image, 0, 255)
        descriptors[index] = descriptor(thumbnails[index])
    thumbnails.flush()
    return descriptors, np.load(folder / "thumbnails.npy", mmap_mode="r")


@contextmanager
def peak_memory(pid: int | None = None) -> Iterator[list[float]]:
    """The largest sum, in MiB, of the process's (default: this one's) and its workers' anonymous memory, looked at ten
    times a second. Pages of files, such as the thumbnails', are not counted: the kernel takes them back when it needs
    them."""
    peak, over = [0.0], threading.Event()

    def watch() -> None:
        with suppress(psutil.NoSuchProcess):  # it has ended
            process = psutil.Process(pid)
            while not over.wait(0.1):
                kib = 0
                for one in (process, *process.children(recursive=True)):
                    with suppress(OSError):  # a worker that has just ended
                        status = Path(f"/proc/{one.pid}/status").read_text()
                        kib += sum(map(int, re.findall(r"RssAnon:\s+(\d+)", status)))  # a zombie has none
                peak[0] = max(peak[0], kib / 1024)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield peak
    finally:
        over.set()
        watching.join()


def main() -> None:
    parts = {"planted": planted, "phantoms": phantoms, "real": real, "growth": growth, "index": index}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", choices=parts, help="default: all")
    part = parser.parse_args().part
    file = ROOT / "bench/audit.json"
    results = read_json(file) if file.exists() else {}
    for name in [part] if part else parts:
        results[name] = parts[name]()
        write_json(file, results | {"thresholds": AUDIT.model_dump()})


if __name__ == "__main__":
    run(main)
