"""split: find copies among the images, and say which image trains, which validates and which tests.

Reads   data/cropped.csv, data/descriptions, params `audit`, `split`, `dataset.classes`.
Writes  data/split/{train,val,test,external}.csv, data/duplicates.csv (every pair of copies found), metrics/split.json
        (Tables I and II, and the audit).

Both pipelines read the same tables. An image's group holds its copies and, with `split.patients`, the images of its
patient, as far as they are known or look like slices of one head.
"""

from dataclasses import asdict
from pathlib import Path

import numpy as np

from brain_mri import results
from brain_mri.copies.descriptions import read_descriptions
from brain_mri.copies.duplicates import LEVELS, PAIR_COLUMNS, Pairs, find_pairs, group_copies, pair_rows
from brain_mri.copies.leakage import (
    chains,
    count_copies,
    find_copies,
    groups_by_level,
    label_conflicts,
    redundant_files,
)
from brain_mri.copies.scans import Scans, find_scans
from brain_mri.copies.splitting import assign_splits
from brain_mri.errors import UserError, run
from brain_mri.files import write_csv
from brain_mri.images.dataset import ImageRecord, Sample, labels_of, read_records, write_samples
from brain_mri.images.groups import merge_groups, merge_links
from brain_mri.params import load_params


def main() -> None:
    params = load_params()
    classes = params.dataset.classes
    records = read_records("data/cropped.csv")
    parts = np.array([record.part for record in records])
    labels = np.full(len(records), -1)
    labels[parts != "External"] = labels_of([record for record in records if record.part != "External"], classes)
    descriptions = read_descriptions(Path("data/descriptions"))
    pairs = find_pairs(descriptions, params.audit)
    copies = group_copies(pairs, len(records))
    families = np.array([record.family or record.patient for record in records])
    groups = merge_groups(copies, families if params.split.patients else np.where(parts == "External", families, ""))
    scans = None
    if params.audit.scans is not None:
        scans = find_scans(descriptions.descriptors, copies, families, params.audit.scans)
        if params.split.patients:
            groups = merge_links(groups, scans.first, scans.second)

    splits = assign_splits(labels, parts, copies, groups, params.split)
    samples = [Sample(**vars(record), group=str(group)) for record, group in zip(records, groups, strict=True)]
    tables = {}
    for name in ("train", "val", "test", "external"):
        tables[name] = [sample for sample, split in zip(samples, splits, strict=True) if split == name]
        write_samples(f"data/split/{name}.csv", tables[name])
    for name in ("train", "val", "test"):
        for label in classes:
            if not any(sample.label == label for sample in tables[name]):
                raise UserError(f"split: no image of {label} is left for {name}; add images or change params split")
    write_csv("data/duplicates.csv", pair_rows(pairs, [record.path for record in records]), PAIR_COLUMNS)
    audit = summarise(pairs, records, parts, descriptions.descriptors)
    audit["patients"] = count_shared(families, {name: splits == name for name in ("train", "val", "test")}, parts)
    if scans:
        audit["scans"] = describe_scans(scans, families)
    audit["external_left_out"] = {"images": int(((parts == "External") & (splits == "unused")).sum())}
    results.write("metrics/split.json", {**{name: counts(table) for name, table in tables.items()}, "audit": audit})


def counts(table: list[Sample]) -> dict[str, int]:
    """Count images, in all and by class, and the groups that they form."""
    labels = sorted({sample.label for sample in table})
    by_class = {label: sum(sample.label == label for sample in table) for label in labels}
    return {"images": len(table), **by_class, "groups": len({sample.group for sample in table})}


def summarise(pairs: Pairs, records: list[ImageRecord], parts: np.ndarray, descriptors: np.ndarray) -> dict:
    """Say what the copies mean: redundant files, test images with a copy in Training, conflicts, doubtful groups."""
    labels = np.array([record.label for record in records])
    levels = groups_by_level(pairs, len(records))
    published, tested = parts != "External", parts == "Testing"
    summary: dict = {
        "pairs": {name: int((pairs.level == level).sum()) for level, name in enumerate(LEVELS)},
        "redundant_files": {name: redundant_files(labels[published], at[published]) for name, at in levels.items()},
        "largest_group": int(np.bincount(levels["near"]).max()),
        "label_conflicts": [
            [records[place].path for place in places] for places in label_conflicts(labels, levels["near"])
        ],
        "least_coherent_groups": [
            {**asdict(chain), "ends": [records[end].path for end in chain.ends]}
            for chain in chains(pairs, descriptors)[:5]
        ],
    }
    if tested.any():
        level, orientation = find_copies(parts == "Training", pairs)
        chosen = {"all": tested} | {label: tested & (labels == label) for label in np.unique(labels[tested]).tolist()}
        summary["test_images_with_a_copy_in_training"] = {
            name: count_copies(level[which], orientation[which]) for name, which in chosen.items()
        }
    return summary


def count_shared(families: np.ndarray, splits: dict[str, np.ndarray], parts: np.ndarray) -> dict:
    """Count the held-out images whose patient training has seen, of this split and of the published one."""
    asked = {
        "val": (splits["val"], splits["train"]),
        "test": (splits["test"], splits["train"] | splits["val"]),
        "published_test": (parts == "Testing", parts == "Training"),
    }
    return {
        name: {
            "of": int(held_out.sum()),
            "patient_known": int((families[held_out] != "").sum()),
            "patient_in_training": int((np.isin(families, families[trained]) & (families != "") & held_out).sum()),
        }
        for name, (held_out, trained) in asked.items()
    }


def describe_scans(scans: Scans, families: np.ndarray) -> dict:
    linked = np.unique(np.concatenate([scans.first, scans.second]))
    return {
        "links": len(scans.first),
        "images_without_patient": int((families == "").sum()),
        "of_these_linked": int((families[linked] == "").sum()),
        "known_links": scans.known,
        "known_precision": scans.right / scans.known if scans.known else None,
        "known_recall": scans.right / scans.possible if scans.possible else None,
    }


if __name__ == "__main__":
    run(main)
