"""Selective prediction: a classifier that hands its least confident images to a person.

Geifman and El-Yaniv, Selective Classification for Deep Neural Networks, NeurIPS 2017; the area is that of Geifman,
Uziel and El-Yaniv, Bias-Reduced Uncertainty Estimation, ICLR 2019. Confidence is the largest probability.
"""

from typing import Any

import numpy as np

from brain_mri.statistics.metrics import Floats, Ints, plain, ratio


def risk_coverage(labels: Ints, probabilities: Floats) -> tuple[Floats, Floats]:
    """Coverage (N,), rising from 1/N to 1, and the error rate (N,) among the images covered, most confident first.

    Images of equal confidence come in any order: each counts as their mean error.
    """
    confidence, wrong = probabilities.max(1), (probabilities.argmax(1) != labels).astype(float)
    _, tie, sizes = np.unique(-confidence, return_inverse=True, return_counts=True)
    expected = (np.bincount(tie, wrong, len(sizes)) / sizes)[np.sort(tie)]
    covered = np.arange(1, len(labels) + 1)
    return covered / max(len(labels), 1), expected.cumsum() / covered


def selective_metrics(labels: Ints, probabilities: Floats) -> dict[str, Any]:
    """`aurc`, the area under error rate against coverage (0 is best), beside its two yardsticks: `aurc_best`, all
    errors last in the order, and `aurc_random`, an order that knows nothing (the error rate). None for no image."""
    _, risk = risk_coverage(labels, probabilities)
    wrong = np.sort(probabilities.argmax(1) != labels)
    best = wrong.cumsum() / np.arange(1, len(wrong) + 1)
    means = [plain(ratio(values.sum(), len(labels))) for values in (risk, best, wrong)]
    return dict(zip(("aurc", "aurc_best", "aurc_random"), means, strict=True))


def threshold_for_error(labels: Ints, probabilities: Floats, error: float) -> float | None:
    """The confidence from which on the error rate is at most `error` (0..1), with as many images as possible.

    Fitted on validation images: the error on other images may be higher. None where no threshold reaches it.
    """
    confidence, wrong = probabilities.max(1), probabilities.argmax(1) != labels
    order = np.argsort(-confidence, kind="stable")
    last_of_tie = np.diff(confidence[order], append=-1.0) != 0
    rate = wrong[order].cumsum() / np.arange(1, len(order) + 1)
    reached = np.flatnonzero(last_of_tie & (rate <= error))
    return float(confidence[order][reached[-1]]) if len(reached) else None


def at_threshold(labels: Ints, probabilities: Floats, threshold: float | None) -> dict[str, Any]:
    """What a threshold gives on other images: `n`, `n_kept`, `coverage`, `error`; None keeps no image."""
    confidence = probabilities.max(1)
    kept = confidence >= threshold if threshold is not None else np.zeros(len(labels), bool)
    wrong = (probabilities.argmax(1) != labels) & kept
    return {
        "n": len(labels),
        "n_kept": int(kept.sum()),
        "coverage": plain(ratio(kept.sum(), len(labels))),
        "error": plain(ratio(wrong.sum(), kept.sum())),
    }
