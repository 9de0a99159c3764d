"""Two pipelines that classified the same images, image by image: exact McNemar test, differences with intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from brain_mri.statistics.comparison import TUMOUR_CALLS, compare, tumour_calls
from brain_mri.studies.side_by_side import METRICS, outside_sources, parts_of
from brain_mri.studies.sides import Images, Side


@dataclass(frozen=True)
class Paired:
    """What the images say of `a` and `b`: a sentence for each part, and the differences b minus a by part."""

    a: str
    b: str
    sentences: dict[str, str]  # part -> verdict, or why there is no paired test
    rows: dict[str, dict[str, Any]]  # part -> rows of `differences`; the parts without a test are left out


def pair(a: Side, b: Side) -> Paired:
    """Compare `b` with `a` on every part of the test set and every outside source where both saw the same images."""
    sentences: dict[str, str] = {}
    rows: dict[str, dict[str, Any]] = {}
    parts = [("test", part, what) for part, what in parts_of([a, b]).items()]
    parts += [("external", source, f"external {source}") for source in outside_sources([a, b])]
    for name, part, what in parts:
        one, two = (side.images[name].part(part) for side in (a, b))
        if (reason := different(a, b, one, two)) is not None:
            sentences[what] = f"No paired test: {reason}."
        elif name == "test":
            sentences[what], rows[what] = _all_classes(a, b, one, two)
        elif ill := [place for place, label in enumerate(one.labels) if a.negative and label != a.negative]:
            sentences[what], rows[what] = _tumours(a, b, one, two, ill)
    return Paired(a.name, b.name, sentences, rows)


def different(a: Side, b: Side, one: Images, two: Images) -> str | None:
    """Say why the images are not the same ones; None where they are. A name alone is no proof: phantoms share names."""
    if a.classes != b.classes or a.negative != b.negative:
        return f"the classes differ, {', '.join(a.classes)} and {', '.join(b.classes)}"
    if not one.paths or not two.paths:
        return "there is no image" if one.paths == two.paths else f"only {(a if one.paths else b).name} has such images"
    if one.paths != two.paths:
        shared = len({*one.paths} & {*two.paths})
        return f"the images are not the same, {len(one.paths)} and {len(two.paths)}, of which {shared} are shared"
    if one.labels != two.labels:
        return "the images' labels are not the same"
    if a.raw is not None and a.raw == b.raw:
        return None
    digests = a.digests(one.paths), b.digests(two.paths)
    if None in digests:
        return "data/raw differs, and not all cropped images are here to be compared; `dvc pull` brings them"
    if digests[0] != digests[1]:
        changed = sum(x != y for x, y in zip(*digests, strict=True))  # type: ignore[arg-type]
        return f"{changed} of {len(one.paths)} images have the same name, and other pixels"
    return None


def _all_classes(a: Side, b: Side, one: Images, two: Images) -> tuple[str, dict[str, Any]]:
    labels = np.array([a.classes.index(label) for label in one.labels])
    p, q, names = one.probabilities, two.probabilities, (a.name, b.name)
    sentence, _, rows = compare(labels, p, q, one.groups, a.classes, a.negative, names, "accuracy", **_draws(a))
    return sentence, rows


def _tumours(a: Side, b: Side, one: Images, two: Images, ill: Sequence[int]) -> tuple[str, dict[str, Any]]:
    """Of images that all show a tumour: is it called any tumour? As in brain_mri/evaluation/summary.py."""
    labels, groups, names = np.ones(len(ill), int), one.groups[ill], (a.name, b.name)
    no = a.classes.index(str(a.negative))
    p, q = (tumour_calls(images.probabilities[ill], no) for images in (one, two))
    sentence, _, rows = compare(labels, p, q, groups, TUMOUR_CALLS, None, names, "sensitivity", **_draws(a))
    return sentence, {"tumour": {"sensitivity": rows["accuracy"]}}


def _draws(side: Side) -> dict[str, int]:
    return {name: side.params["evaluate"][name] for name in ("resamples", "seed")}


def difference_table(paired: Paired) -> tuple[list[str], list[list[str]]]:
    """Return header and rows: metric, then a column a part with b minus a and its interval."""
    rows = [[name, *(_cell(paired.rows[part], path) for part in paired.rows)] for name, path in METRICS.items()]
    return ["difference", *paired.rows], [row for row in rows if set(row[1:]) != {"-"}]


def _cell(rows: dict[str, Any], path: tuple[str, ...]) -> str:
    row: Any = rows
    for key in path:
        row = row.get(key) if isinstance(row, dict) else None
    if not row or row["difference"] is None:
        return "-"
    low, high = row["interval"]
    return f"{row['difference']:+.3f} ({low:+.3f} to {high:+.3f})"
