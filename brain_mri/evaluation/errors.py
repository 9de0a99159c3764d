"""Error analysis: which images go wrong, into which class, and which labels may be the mistake."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.metrics import cohen_kappa_score

from brain_mri.statistics.metrics import Floats, Ints, confusion_matrix, plain, ratio

SUSPECT_COLUMNS = ("image", "label", "predicted", "confidence", "probability_of_label", "part", "pipelines_agree")
KINDS = ("confident error", "unsure right answer")
COLUMNS = ("pipeline", "kind", "rank", *SUSPECT_COLUMNS)


def error_rows(
    names: Sequence[str],
    labels: Ints,
    probabilities: Mapping[str, Floats],
    classes: Sequence[str],
    parts: Sequence[str],
    count: int = 20,
) -> list[dict[str, Any]]:
    """For each pipeline its `count` most confident errors and least confident right answers, as rows of COLUMNS.

    names (N,) of the images, probabilities pipeline -> (N, C), parts (N,): "leaked" where a copy of the image is in
    training or validation, else "clean". `pipelines_agree`: every pipeline predicts the same class.
    """
    rows = []
    for pipeline, p in probabilities.items():
        described = _rows(names, labels, p, probabilities, classes, parts)
        right, confidence = p.argmax(1) == labels, p.max(1)
        for kind, members, key in zip(KINDS, (~right, right), (-confidence, confidence), strict=True):
            chosen = np.flatnonzero(members)
            for rank, i in enumerate(chosen[np.argsort(key[chosen], kind="stable")][:count], 1):
                rows.append({"pipeline": pipeline, "kind": kind, "rank": rank, **described[i]})
    return rows


def _rows(
    names: Sequence[str],
    labels: Ints,
    p: Floats,
    probabilities: Mapping[str, Floats],
    classes: Sequence[str],
    parts: Sequence[str],
) -> list[dict[str, Any]]:
    """A row of SUSPECT_COLUMNS an image, about p (N, C); the pipelines' own probabilities tell whether they agree."""
    predictions = np.stack([one.argmax(1) for one in probabilities.values()])
    agree = (predictions == predictions[0]).all(0)
    return [
        {
            "image": names[i],
            "label": classes[label],
            "predicted": classes[p[i].argmax()],
            "confidence": float(p[i].max()),
            "probability_of_label": float(p[i, label]),
            "part": parts[i],
            "pipelines_agree": bool(agree[i]),
        }
        for i, label in enumerate(labels)
    ]


def count_errors(labels: Ints, predictions: Ints, others: Ints, classes: Sequence[str]) -> dict[str, Any]:
    """Count the errors of one pipeline: `n`; those where the other one is wrong too (`wrong_in_both`), and predicts the
    same class (`same_wrong_class`); and `pairs`, label -> predicted -> count. labels, predictions, others: (N,)."""
    pairs: dict[str, dict[str, int]] = {}
    for row in class_pairs(labels, predictions, classes):
        pairs.setdefault(row["label"], {})[row["predicted"]] = row["n"]
    wrong = predictions != labels
    return {
        "n": int(wrong.sum()),
        "wrong_in_both": int((wrong & (others != labels)).sum()),
        "same_wrong_class": int((wrong & (others == predictions)).sum()),
        "pairs": dict(sorted(pairs.items())),
    }


def class_pairs(labels: Ints, predictions: Ints, classes: Sequence[str]) -> list[dict[str, Any]]:
    """The pairs that are confused, most frequent first: `label`, `predicted`, `n`, `share` of the label's images."""
    confusion = confusion_matrix(labels, predictions, len(classes))
    pairs = [(int(confusion[i, j]), i, j) for i in range(len(classes)) for j in range(len(classes)) if i != j]
    return [
        {"label": classes[i], "predicted": classes[j], "n": n, "share": n / int(confusion[i].sum())}
        for n, i, j in sorted(pairs, key=lambda pair: (-pair[0], pair[1:]))
        if n
    ]


def agreement(labels: Ints, a: Ints, b: Ints) -> dict[str, Any]:
    """Two pipelines' predictions (N,): `agree` (share), `kappa` (Cohen), `both_wrong`, `same_wrong_class` (counts)."""
    both_wrong = (a != labels) & (b != labels)
    varied = len(np.union1d(a, b)) > 1
    return {
        "n": len(labels),
        "agree": plain(ratio((a == b).sum(), len(labels))),
        "kappa": plain(cohen_kappa_score(a, b)) if varied else None,
        "both_wrong": int(both_wrong.sum()),
        "same_wrong_class": int((both_wrong & (a == b)).sum()),
    }


def label_suspects(
    names: Sequence[str],
    labels: Ints,
    probabilities: Mapping[str, Floats],
    classes: Sequence[str],
    parts: Sequence[str],
) -> list[dict[str, Any]]:
    """Images whose label may be wrong, worst first, as rows of SUSPECT_COLUMNS of the pipelines' mean probabilities.

    Confident learning (Northcutt, Jiang and Chuang, JAIR 70, 2021), as cleanlab does it: pruned by noise rate, ranked
    by self-confidence. The probabilities, pipeline -> (N, C), must come from models that did not train on these images.
    """
    # Imported here because it brings pandas in, which takes a second that the other functions need not wait.
    from cleanlab.filter import find_label_issues

    present, numbers = np.unique(labels, return_inverse=True)
    if len(present) < 2:
        return []
    # The library wants an image of every class: probability goes to the classes that have one.
    mean = np.mean([p.astype(float) for p in probabilities.values()], axis=0) * np.isin(
        np.arange(len(classes)), present
    )
    mean /= np.maximum(mean.sum(1, keepdims=True), np.finfo(float).tiny)
    worst = find_label_issues(numbers, mean[:, present], return_indices_ranked_by="self_confidence", n_jobs=1)
    rows = _rows(names, labels, mean, probabilities, classes, parts)
    return [rows[i] for i in worst]
