"""What does the leakage audit find, what does it merge wrongly, and what does it cost?

    python bench/audit.py                  # all parts: planted, phantoms, real, growth; about 20 minutes on two cores
    python bench/audit.py planted real     # some of them; the others keep their place in bench/audit.json

planted   copies of each kind at three strengths, as they are and mirrored, among real images (where BRAIN_MRI_DATA
          names the folder that holds the archive): the share that is found, in the right orientation
phantoms  the same among phantoms, and pairs of different phantoms that are taken for copies
real      the real images: the outlines in data/outlines say which slices are the same (equal
          up to mirroring) and which differ: pairs found, missed and refuted by them; seconds of an audit
growth    seconds and memory at 10,000, 30,000 and 100,000 images: synthetic heads, in patients of twenty neighbouring
          slices that the search must put before the verification, with one planted copy in ten

Prints tables, writes bench/audit.json and, of the planted parts, bench/audit.png: recall and wrong pairs against the
threshold. The defaults of `duplicates.Thresholds` were chosen on them.
"""

import argparse
import csv
import dataclasses
import gzip
import itertools
import os
import re
import resource
import sys
import tempfile
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import psutil
from scipy.spatial import cKDTree

sys.path.insert(0, str(Path(__file__).parents[1] / "stages"))

from core.files import read_json, write_json
from core.images.descriptors import ORIENTATIONS, THUMBNAIL, describe, descriptor, turned
from core.images.duplicates import Thresholds, compare, find_pairs, group, verify
from core.images.planting import STRENGTHS, plant
from core.sources.phantom import CLASSES, phantom

HERE = Path(__file__).parent
COPIES = 200  # of each kind, strength and pose
PHANTOMS = 400
CURVE = np.round(np.arange(0.60, 0.991, 0.01), 2)
SYMMETRIES = [  # of a square
    np.diag(signs) @ swap for signs in itertools.product((1, -1), repeat=2) for swap in (np.eye(2), np.eye(2)[::-1])
]


def real_images():
    """Grey images by path in the archive; empty where there is none."""
    archive = Path(os.environ.get("BRAIN_MRI_DATA", "")) / "brain-tumor-mri-v1.zip"
    if not os.environ.get("BRAIN_MRI_DATA") or not archive.is_file():
        return {}
    with zipfile.ZipFile(archive) as opened:
        names = sorted(name for name in opened.namelist() if name.endswith(".jpg"))
        data = [opened.read(name) for name in names]
    with ThreadPoolExecutor() as pool:
        images = list(pool.map(lambda b: cv2.imdecode(np.frombuffer(b, np.uint8), cv2.IMREAD_GRAYSCALE), data))
    return {"/".join(Path(name).parts[-3:]): image for name, image in zip(names, images, strict=True)}


def phantom_images():
    return {f"{index}": phantom(CLASSES[index % len(CLASSES)], 0, index).image for index in range(PHANTOMS)}


def described(images):
    """Descriptors, thumbnails and pixel hashes, stacked."""
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(describe, images))
    return (
        np.stack([one.descriptor for one in found]),
        np.stack([one.thumbnail for one in found]),
        np.array([one.pixel_sha256 for one in found]),
    )


def recall_of_planted(images):
    """By kind, pose and strength: the score of each copy (-1 where the search does not offer it, 0 where it is turned
    wrongly). Each copy is compared with its own original, so that no other copy can lend a hand."""
    images = list(images)
    descriptors, thumbnails, _ = described(images)
    rng = np.random.default_rng(0)
    scores = {}
    for kind in STRENGTHS:
        for pose in ["mirrored"] if kind == "copy" else ["as it is"] if kind == "turn" else ["as it is", "mirrored"]:
            for strength in range(1 if kind in ("copy", "turn") else 3):
                sources = rng.choice(len(images), min(COPIES, len(images)), replace=False)
                copies, turns = zip(
                    *(plant(images[i], kind, strength, pose == "mirrored", rng) for i in sources), strict=True
                )
                of_copies, small, _ = described(copies)
                correlation, orientation = compare(descriptors[sources], of_copies)
                both = np.concatenate([thumbnails[sources], small])
                places = np.arange(len(sources))
                score = verify(both, places, places + len(sources), orientation, processes=1)
                score[orientation != [ORIENTATIONS.index(turn) for turn in turns]] = 0
                score[correlation < Thresholds().search] = -1
                scores[kind, pose, strength] = score
    return scores


def table_of_planted(scores):
    rows = []
    print(f"{'kind':11} {'pose':9}" + "".join(f"  strength {n + 1}" for n in range(3)) + "   lowest 1 % of scores")
    for kind, pose in dict.fromkeys(key[:2] for key in scores):
        cells = [scores[key] for key in scores if key[:2] == (kind, pose)]
        recall = [float(np.mean(score >= Thresholds().same)) for score in cells]
        low = [round(float(np.quantile(score, 0.01)), 3) for score in cells]
        rows.append({"kind": kind, "pose": pose, "recall": recall, "lowest_percent": low})
        print(f"{kind:11} {pose:9}" + "".join(f"  {value:10.3f}" for value in recall).ljust(36) + f"   {low}")
    return {
        "rows": rows,
        "curve": {
            kind: [
                float(np.mean(np.concatenate([s for key, s in scores.items() if key[0] == kind]) >= limit))
                for limit in CURVE
            ]
            for kind in STRENGTHS
        },
    }


def planted():
    images = real_images()
    if not images:
        print("planted: BRAIN_MRI_DATA names no folder that holds the archive; left out")
        return None
    print(f"Planted among {len(images)} real images")
    return table_of_planted(recall_of_planted(images.values()))


def phantoms():
    images = phantom_images()
    print(f"Planted among {len(images)} phantoms")
    result = table_of_planted(recall_of_planted(images.values()))
    score = scored_pairs(*described(images.values())).score
    result["wrong_per_thousand"] = [1000 * float(np.sum(score >= limit)) / len(images) for limit in CURVE]
    print(
        f"pairs of different phantoms taken for copies: {np.sum(score >= Thresholds().same)}, "
        f"highest score {max(score, default=0):.3f}"
    )
    return result


def scored_pairs(descriptors, thumbnails, hashes):
    """Pairs down to the end of the curve, to be cut at any threshold above it."""
    return find_pairs(descriptors, thumbnails, hashes, hashes, dataclasses.replace(Thresholds(), same=CURVE[0]))


def real():
    images = real_images()
    if not images:
        print("real: BRAIN_MRI_DATA names no folder that holds the archive; left out")
        return None
    used, began = processor_seconds(), time.perf_counter()
    pairs = scored_pairs(*described(images.values()))
    used, seconds = processor_seconds() - used, time.perf_counter() - began
    same, outlined = same_by_outline({path: image.shape for path, image in images.items()})
    groups = group(pairs.keep(pairs.score >= Thresholds().same), len(images))
    found = float(np.mean([groups[i] == groups[j] for i, j in same]))
    known = outlined[pairs.first] & outlined[pairs.second]
    wrong = np.array([(i, j) not in same for i, j in zip(pairs.first, pairs.second, strict=True)]) & known
    refuted = pairs.score[wrong]
    print(
        f"Real images: audit {seconds:.1f} s ({used:.1f} s of processor); pairs equal by outline {len(same)}, "
        f"of them in one group {found:.4f}; pairs refuted by outline that are taken for copies "
        f"{np.sum(refuted >= Thresholds().same)}, highest score {refuted.max():.3f}"
    )
    return {
        "seconds": seconds,
        "processor_seconds": used,
        "pairs_equal_by_outline": len(same),
        "recall": found,
        "refuted": int(np.sum(refuted >= Thresholds().same)),
        "highest_refuted": float(refuted.max()),
        "wrong_per_thousand": [1000 * float(np.sum(refuted >= limit)) / outlined.sum() for limit in CURVE],
    }


def same_by_outline(shapes):
    """Pairs (first < second) of images whose tumour outlines are one up to symmetry and scale; who has an outline."""
    place = {path: index for index, path in enumerate(shapes)}
    outlines = {}
    with gzip.open(HERE.parent / "data" / "outlines" / "brain-tumor-mri-v1.csv.gz", "rt") as file:
        for row in csv.DictReader(file):
            height, width = shapes[row["path"]]
            points = np.array([[float(v) for v in pair.split(",")] for pair in row["polygon"].split()])
            outlines[place[row["path"]]] = (points + 0.5) / (width, height) - 0.5
    owners = np.array(sorted(outlines))
    centres = np.stack([outlines[i].mean(axis=0) for i in owners])
    same = set()
    for symmetry in SYMMETRIES:
        turned_centres = cKDTree(centres @ symmetry)
        for one, near in enumerate(cKDTree(centres).query_ball_tree(turned_centres, 0.01)):
            for other in near:
                if (
                    owners[other] > owners[one]
                    and _apart(outlines[owners[one]], outlines[owners[other]] @ symmetry) < 0.002
                ):
                    same.add((owners[one], owners[other]))
    outlined = np.zeros(len(shapes), bool)
    outlined[owners] = True
    return same, outlined


def _apart(one, other):
    """Hausdorff distance of two sets of corners, as a share of the frame."""
    distance = np.linalg.norm(one[:, None] - other[None], axis=2)
    return max(distance.min(axis=0).max(), distance.min(axis=1).max())


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


@contextmanager
def peak_memory():
    """The largest sum, in GiB, of this process's and its workers' anonymous memory, looked at twice a second. Pages of
    the thumbnails' file are not counted: the kernel takes them back when it needs them."""
    peak, over = [0.0], threading.Event()

    def watch():
        process = psutil.Process()
        while not over.wait(0.5):
            anonymous = 0
            for one in [process, *process.children(recursive=True)]:
                with suppress(OSError):  # a worker that has just ended
                    status = Path(f"/proc/{one.pid}/status").read_text()
                    anonymous += sum(map(int, re.findall(r"RssAnon:\s+(\d+)", status)))  # a zombie has none
            peak[0] = max(peak[0], anonymous / 2**20)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield peak
    finally:
        over.set()
        watching.join()


def processor_seconds():
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


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


def draw(results):
    """Recall by kind, and pairs known to be wrong, against the threshold."""
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(15, 4.5), constrained_layout=True)
    for axis, part, title in zip(axes, ("planted", "phantoms"), ("real images", "phantoms"), strict=False):
        for kind, values in (results.get(part) or {"curve": {}})["curve"].items():
            axis.plot(CURVE, values, label=kind)
        axis.set(title=f"Copies planted among {title}: found", ylim=(0.8, 1.005), xlabel="threshold `same`")
    axes[0].legend(fontsize=8)
    for part, title in (("real", "real, refuted by the tumour outline"), ("phantoms", "different phantoms")):
        if results.get(part):
            axes[2].plot(CURVE, results[part]["wrong_per_thousand"], label=title)
    axes[2].set(title="Wrong pairs per 1,000 images", yscale="symlog", xlabel="threshold `same`")
    axes[2].legend(fontsize=8)
    for axis in axes:
        axis.axvline(Thresholds().same, color="grey", linestyle=":")
    figure.savefig(HERE / "audit.png", dpi=110)


def main():
    parts = {"planted": planted, "phantoms": phantoms, "real": real, "growth": growth}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="part", help=", ".join(parts))
    chosen = parser.parse_args().parts or list(parts)
    if unknown := set(chosen) - set(parts):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(parts)}")
    file = HERE / "audit.json"
    results = read_json(file) if file.exists() else {}
    results["thresholds"] = vars(Thresholds())
    results["curve_thresholds"] = CURVE.tolist()
    for name in chosen:
        if (result := parts[name]()) is not None:
            results[name] = result
        write_json(file, results)
    draw(results)


if __name__ == "__main__":
    main()
