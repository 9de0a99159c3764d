"""Is a confidence of 0.9 right nine times in ten? Reliability, expected calibration error, temperature scaling.

Confidence is the largest probability of an image (top-label calibration; Guo et al., On Calibration of Modern Neural
Networks, ICML 2017). Logits may be log-probabilities: softmax does not see the constant between them.
"""

from typing import Any

import numpy as np
from scipy.special import softmax

from brain_mri.statistics.metrics import Floats, Ints

BINS = 15  # as in Guo et al.


def reliability_diagram(labels: Ints, probabilities: Floats, edges: Floats) -> list[dict[str, Any]]:
    """Rows `low`, `high`, `n`, `confidence` (mean), `accuracy` of the bins between edges; means of no image are None.

    edges: float (B + 1,), rising, from 0 to 1; a bin holds its upper edge, the first one its lower edge too.
    """
    confidence = probabilities.max(1).astype(float)
    right = probabilities.argmax(1) == labels
    place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, len(edges) - 2)
    counts = np.bincount(place, minlength=len(edges) - 1)
    totals = [np.bincount(place, values, len(edges) - 1) for values in (confidence, right)]
    return [
        {
            "low": float(edges[i]),
            "high": float(edges[i + 1]),
            "n": int(n),
            "confidence": float(totals[0][i] / n) if n else None,
            "accuracy": float(totals[1][i] / n) if n else None,
        }
        for i, n in enumerate(counts)
    ]


def equal_width_edges(bins: int = BINS) -> Floats:
    """Edges (bins + 1,) that cut 0..1 into equal parts."""
    return np.linspace(0, 1, bins + 1)


def equal_mass_edges(probabilities: Floats, bins: int = BINS) -> Floats:
    """Edges from 0 to 1 with equal numbers of images between; equal confidences stay together, so bins may merge."""
    if not len(probabilities):
        return np.array([0.0, 1.0])
    inner = np.quantile(probabilities.max(1).astype(float), np.arange(1, bins) / bins, method="inverted_cdf")
    return np.unique(np.concatenate([[0.0], inner, [1.0]]))


def expected_calibration_error(rows: list[dict[str, Any]]) -> float | None:
    """Mean gap between confidence and accuracy over the bins, weighted by their images (Guo et al., eq. 3); 0..1."""
    total = sum(row["n"] for row in rows)
    gaps = [row["n"] * abs(row["confidence"] - row["accuracy"]) for row in rows if row["n"]]
    return sum(gaps) / total if total else None


def calibration_errors(labels: Ints, probabilities: Floats) -> dict[str, float | None]:
    """`ece_equal_width` and `ece_equal_mass` (0..1; None for no image)."""
    edges = {"ece_equal_width": equal_width_edges(BINS), "ece_equal_mass": equal_mass_edges(probabilities, BINS)}
    return {
        name: expected_calibration_error(reliability_diagram(labels, probabilities, edge))
        for name, edge in edges.items()
    }


def apply_temperature(logits: Floats, temperature: float) -> Floats:
    """softmax(logits / temperature), float (N, C); the predicted classes stay the same."""
    return softmax(np.asarray(logits, float) / temperature, axis=1)


def to_logits(probabilities: Floats) -> Floats:
    """Log-probabilities, finite also for probabilities of 0 (clipped at the smallest normal float32, 1.2e-38)."""
    return np.log(np.maximum(np.asarray(probabilities, float), float(np.finfo(np.float32).tiny)))
