"""Accuracy under the corruptions of brain_mri/augmentation/corruptions.py, by strength."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from brain_mri.statistics.intervals import RESAMPLES, mean_intervals
from brain_mri.statistics.metrics import Ints


def accuracies(
    labels: Ints, clean: Ints, corrupted: Mapping[str, Ints], groups: Ints, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Any]:
    """Accuracy and its 95 % interval by group: `n`, `clean`, and by corruption "1", "2", ...: the strengths.

    labels, clean, groups: int (N,), predictions of the images as they are; corrupted: by name, predictions (levels, N).
    `mean` is the mean over the corruptions.
    """
    hits = {name: predictions == labels for name, predictions in corrupted.items()}
    hits["mean"] = np.mean(list(hits.values()), axis=0)
    columns = {(name, str(level)): hit for name, table in hits.items() for level, hit in enumerate(table, start=1)}
    found = mean_intervals({("clean", "0"): clean == labels} | columns, groups, resamples, seed)
    by_name: dict[str, Any] = {name: {} for name in ("mean", *corrupted)}
    for name, level in columns:
        by_name[name][level] = found[name, level]
    return {"n": len(labels), "clean": found["clean", "0"], **by_name}
