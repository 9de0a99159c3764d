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
import dataclasses
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import matplotlib
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "stages"))

from audits.cost import processor_seconds
from audits.growth import growth
from audits.outlines import same_by_outline
from rows.images import archive

from brain_mri.copies.descriptors import ORIENTATIONS, describe
from brain_mri.copies.duplicates import Thresholds, compare, find_pairs, group, verify
from brain_mri.copies.planting import STRENGTHS, plant
from brain_mri.files import read_json, write_json
from brain_mri.phantoms.phantom import CLASSES, phantom

HERE = Path(__file__).parent
COPIES = 200  # of each kind, strength and pose
PHANTOMS = 400
CURVE = np.round(np.arange(0.60, 0.991, 0.01), 2)


def real_images():
    """Grey images by path in the archive; empty where there is none."""
    if (real := archive()) is None:
        return {}
    with zipfile.ZipFile(real) as opened:
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
