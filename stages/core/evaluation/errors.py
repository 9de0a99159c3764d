"""Error analysis: which images go wrong, into which class, and which labels may be the mistake."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import cohen_kappa_score

from core.evaluation.metrics import Floats, Ints, confusion_matrix, plain, ratio

COLUMNS = (
    "pipeline",
    "kind",
    "rank",
    "image",
    "label",
    "predicted",
    "confidence",
    "probability_of_label",
    "leaked",
    "pipelines_agree",
)


def error_rows(
    names: Sequence[str],
    labels: Ints,
    probabilities: Mapping[str, Floats],
    classes: Sequence[str],
    leaked: npt.NDArray[np.bool_],
    count: int = 20,
) -> list[dict[str, Any]]:
    """For each pipeline its `count` most confident errors and least confident right answers, as rows of COLUMNS.

    names (N,) of the images, probabilities pipeline -> (N, C), leaked bool (N,): the image's near-duplicate is in the
    training set. `pipelines_agree`: every pipeline predicts the same class.
    """
    predictions = np.stack([p.argmax(1) for p in probabilities.values()])
    agree = (predictions == predictions[0]).all(0)
    rows = []
    for pipeline, p in probabilities.items():
        predicted, confidence = p.argmax(1), p.max(1)
        right = predicted == labels
        kinds = {"confident error": (~right, -confidence), "unsure right answer": (right, confidence)}
        for kind, (members, key) in kinds.items():
            chosen = np.flatnonzero(members)
            for rank, i in enumerate(chosen[np.argsort(key[chosen], kind="stable")][:count], 1):
                values = (
                    pipeline,
                    kind,
                    rank,
                    names[i],
                    classes[labels[i]],
                    classes[predicted[i]],
                    float(confidence[i]),
                    float(p[i, labels[i]]),
                    bool(leaked[i]),
                    bool(agree[i]),
                )
                rows.append(dict(zip(COLUMNS, values, strict=True)))
    return rows


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
    names: Sequence[str], labels: Ints, probabilities: Floats, classes: Sequence[str]
) -> list[dict[str, Any]]:
    """Images whose label may be wrong, worst first: `image`, `label`, `suggested`, `probability_of_label`.

    Confident learning (Northcutt, Jiang and Chuang, JAIR 70, 2021), as cleanlab does it: pruned by noise rate, ranked
    by self-confidence. The probabilities must come from a model that did not train on these images.
    """
    # Imported here because it brings pandas in, which takes a second that the other functions need not wait.
    from cleanlab.filter import find_label_issues

    present = np.unique(labels)
    if len(present) < 2:
        return []
    # The library wants an image of every class: probability goes to the classes that have one.
    shares = probabilities[:, present].astype(float)
    shares = shares / np.maximum(shares.sum(1, keepdims=True), np.finfo(float).tiny)
    worst = find_label_issues(
        np.searchsorted(present, labels), shares, return_indices_ranked_by="self_confidence", n_jobs=1
    )
    return [
        {
            "image": names[i],
            "label": classes[labels[i]],
            "suggested": classes[present[shares[i].argmax()]],
            "probability_of_label": float(shares[i, np.searchsorted(present, labels[i])]),
        }
        for i in worst
    ]
