"""split: find copies among the images, and say which image trains, which validates and which tests.

Reads   data/cropped.csv, data/descriptions, params `audit`, `split`, `dataset.classes`.
Writes  data/split/{train,val,test,external}.csv, data/duplicates.csv (every pair of copies found), metrics/split.json
        (Tables I and II, and the audit).

Both pipelines read the same tables. An image's group holds its copies and, where patients are known, their images.
"""

from dataclasses import asdict
from pathlib import Path

import numpy as np

from brain_mri import results
from brain_mri.copies import described
from brain_mri.copies.descriptors import ORIENTATIONS
from brain_mri.copies.duplicates import LEVELS, Pairs, Thresholds, find_pairs, group
from brain_mri.copies.leakage import Copies, chains, copies_in, groups_by_level, label_conflicts, redundant_files
from brain_mri.copies.splitting import deal, join
from brain_mri.errors import UserError, run
from brain_mri.files import write_csv
from brain_mri.images.dataset import ImageRecord, Sample, read_records, write_samples
from brain_mri.params import load_params

DESCRIPTIONS = Path("data/descriptions")


def main() -> None:
    params = load_params()
    classes, settings = params.dataset.classes, params.split
    records = read_records("data/cropped.csv")
    descriptions = described.read(DESCRIPTIONS)
    pairs = find_pairs(**descriptions._asdict(), thresholds=Thresholds(**params.audit.model_dump()))
    copies = group(pairs, len(records))
    kin = join(copies, np.array([record.patient for record in records]))

    own = np.array([record.part != "External" for record in records])
    parts = np.array([record.part for record in records])
    labels = np.array([classes.index(record.label) for record in records if record.part != "External"])
    side = np.full(len(records), "external", dtype="<U8")
    side[own] = deal(
        labels, parts[own], copies[own], kin[own], settings.policy, settings.validation, settings.test, settings.seed
    )
    shared = ~own & np.isin(kin, kin[(side == "train") | (side == "val")])
    side[shared] = "unused"

    samples = [Sample(**vars(record), group=str(place)) for record, place in zip(records, kin, strict=True)]
    tables = {}
    for name in ("train", "val", "test", "external"):
        tables[name] = [sample for sample, at in zip(samples, side, strict=True) if at == name]
        write_samples(f"data/split/{name}.csv", tables[name])
    for name in ("train", "val", "test"):
        for label in classes:
            if not any(sample.label == label for sample in tables[name]):
                raise UserError(f"split: no image of {label} is left for {name}; add images or change params split")
    write_pairs(pairs, records)
    audit = summarise(pairs, records, parts, descriptions.descriptors)
    audit["external_left_out"] = {"images": int(shared.sum())}
    results.write("metrics/split.json", {**{name: counts(table) for name, table in tables.items()}, "audit": audit})


def counts(table: list[Sample]) -> dict[str, int]:
    """Count images, in all and by class, and the groups that they form."""
    labels = sorted({sample.label for sample in table})
    by_class = {label: sum(sample.label == label for sample in table) for label in labels}
    return {"images": len(table), **by_class, "groups": len({sample.group for sample in table})}


def write_pairs(pairs: Pairs, records: list[ImageRecord]) -> None:
    rows = [
        {
            "first": records[first].path,
            "second": records[second].path,
            "level": LEVELS[level],
            "orientation": ORIENTATIONS[orientation],
            "score": f"{score:.4f}",
        }
        for first, second, level, orientation, score in zip(
            pairs.first, pairs.second, pairs.level, pairs.orientation, pairs.score, strict=True
        )
    ]
    write_csv("data/duplicates.csv", rows, ["first", "second", "level", "orientation", "score"])


def summarise(pairs: Pairs, records: list[ImageRecord], parts: np.ndarray, descriptors: np.ndarray) -> dict:
    """Say what the copies mean: redundant files, test images with a copy in Training, conflicts, doubtful groups."""
    labels = np.array([record.label for record in records])
    levels = groups_by_level(pairs, len(records))
    groups = levels["near"]
    published = parts != "External"
    summary: dict = {
        "pairs": {name: int((pairs.level == level).sum()) for level, name in enumerate(LEVELS)},
        "redundant_files": {
            name: with_sum(redundant_files(labels[published], at[published])) for name, at in levels.items()
        },
        "largest_group": int(np.bincount(groups).max()),
        "label_conflicts": [
            [records[place].path for place in places] for places in label_conflicts(labels, groups).values()
        ],
        "least_coherent_groups": [
            {**asdict(chain), "ends": [records[end].path for end in chain.ends]}
            for chain in chains(pairs, descriptors)[:5]
        ],
    }
    if (parts == "Testing").any():
        found = copies_in(parts == "Training", pairs)
        tested = parts == "Testing"
        summary["test_images_with_a_copy_in_training"] = {"all": leaked(found, tested)} | {
            label: leaked(found, tested & (labels == label)) for label in sorted(set(labels[tested]))
        }
    return summary


def leaked(found: Copies, which: np.ndarray) -> dict:
    counted = found[which].counts()
    return {"of": int(which.sum()), "with_copy": counted.pop("all"), **counted}


def with_sum(by_class: dict[str, int]) -> dict[str, int]:
    return {"all": sum(by_class.values()), **by_class}


if __name__ == "__main__":
    run(main)
