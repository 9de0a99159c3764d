"""Two pipelines that classified the same images, image by image: exact McNemar test, differences with intervals."""

from typing import Any

import numpy as np

from brain_mri.statistics.comparison import TUMOUR_CALLS, compare, tumour_calls
from brain_mri.statistics.metrics import look_up
from brain_mri.studies.side_by_side import external_sources, parts_of
from brain_mri.studies.sides import METRICS, Images, Side


def pair(a: Side, b: Side) -> tuple[dict[str, str], dict[str, Any]]:
    """Compare `b` with `a` on every part of the test set and every external source where both saw the same images.

    Returns for each part the verdict, or why there is no paired test; and for those that have one the differences b
    minus a, as `brain_mri.statistics.comparison.differences` gives them."""
    sentences: dict[str, str] = {}
    rows: dict[str, Any] = {}
    draws, names = (a.params["evaluate"]["resamples"], a.params["evaluate"]["seed"]), (a.name, b.name)
    parts = [("test", part, title) for part, title in parts_of([a, b]).items()]
    parts += [("external", source, f"external {source}") for source in external_sources([a, b])]
    for name, part, title in parts:
        one, two = (side.images[name].part(part) for side in (a, b))
        if (reason := why_unpaired(a, b, one, two)) is not None:
            sentences[title] = f"No paired test: {reason}."
        elif name == "test":
            labels = np.array([a.classes.index(label) for label in one.labels])
            given = (one.probabilities, two.probabilities, one.groups, a.classes, a.negative, names)
            sentences[title], _, rows[title] = compare(labels, *given, "accuracy", *draws)
        elif a.negative and (ill := one.labels != a.negative).any():  # called any tumour? as in evaluation/summary.py
            no = a.classes.index(a.negative)
            calls = (tumour_calls(images.probabilities[ill], no) for images in (one, two))
            given = (*calls, one.groups[ill], TUMOUR_CALLS, None, names)
            sentences[title], _, found = compare(np.ones(ill.sum(), int), *given, "sensitivity", *draws)
            rows[title] = {"tumour": {"sensitivity": found["accuracy"]}}
    return sentences, rows


def why_unpaired(a: Side, b: Side, one: Images, two: Images) -> str | None:
    """Return why the images are not the same; None where they are. A name alone is no proof: phantoms share names."""
    if a.classes != b.classes or a.negative != b.negative:
        return f"the classes differ, {', '.join(a.classes)} and {', '.join(b.classes)}"
    counts = len(one.paths), len(two.paths)
    if not all(counts):
        return f"only {(a if counts[0] else b).name} has such images" if any(counts) else "there is no image"
    if not np.array_equal(one.paths, two.paths):
        shared = len(np.intersect1d(one.paths, two.paths))
        return f"the images are not the same, {counts[0]} and {counts[1]}, of which {shared} are shared"
    if not np.array_equal(one.labels, two.labels):
        return "the images' labels are not the same"
    if a.raw is not None and a.raw == b.raw:
        return None
    first, second = a.digests(one), b.digests(two)
    if first is None or second is None:
        return "data/raw differs, and not all cropped images are here to be compared; `dvc pull` brings them"
    changed = sum(x != y for x, y in zip(first, second, strict=True))
    return f"{changed} of {counts[0]} images have the same name, and other pixels" if changed else None


def difference_table(rows: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return header and rows: metric, then a column a part with b minus a and its interval."""
    table = [[name, *(_cell(look_up(row, path)) for row in rows.values())] for name, path in METRICS.items()]
    return ["difference", *rows], [row for row in table if set(row[1:]) != {"-"}]


def _cell(row: dict[str, Any] | None) -> str:
    if not row or row["difference"] is None:
        return "-"
    low, high = row["interval"]
    return f"{row['difference']:+.3f} ({low:+.3f} to {high:+.3f})"
