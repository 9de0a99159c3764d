"""Do the 95 % intervals of the metrics, and of their differences, hold the truth in 93 to 97 % of test sets?

    python -m bench.coverage            # n = 200 and 1,311, 500 test sets each; about 5 minutes on one free core
    python -m bench.coverage --sets 100 --n 200
    python -m bench.coverage --groups patients --n 600 3000

Simulated test sets: four classes; images of a group share their class and most of what the classifier sees (Gaussian
evidence). Groups of copies: 80 % are single images, 12 % pairs, 6 % triples, 2 % sixfold; shared part 1, own part 0.3.
Groups of patients are few and large: geometric sizes of mean 13, as 3,064 slices of 233 patients have it; shared part
0.8, own part 0.6. Two classifiers see the same images, each with some noise of its own; one is a little better. The
truth is the metric over 1,200,000 images of the same process. Printed: the truth, the share of intervals that hold it,
and their median width; then the same for the percentile interval, for comparison, and for the differences of the two
classifiers.
"""

import argparse
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from brain_mri.statistics.comparison import differences
from brain_mri.statistics.intervals import intervals, resampled_weights
from brain_mri.statistics.metrics import classification_metrics, weighted_metrics

CLASSES = ["glioma", "meningioma", "notumor", "pituitary"]
RESAMPLES = 500  # of the 2,000 in use: enough for the standard error, and the bench ends sooner


def simulate(
    n: int, gap: float, rng: np.random.Generator, kind: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Labels, probabilities of both classifiers, groups. gap: distance of the classes' evidence, in its own spread."""
    if kind == "patients":
        sizes, shared, alone = rng.geometric(1 / 13, n), 0.8, 0.6
    else:
        sizes, shared, alone = rng.choice([1, 2, 3, 6], n, p=[0.8, 0.12, 0.06, 0.02]), 1, 0.3
    groups = np.repeat(np.arange(n), sizes)[:n]
    labels = rng.integers(0, 4, n)[groups]
    evidence = shared * rng.normal(0, 1, (n, 4))[groups] + alone * rng.normal(0, 1, (n, 4))
    both = []
    for better in (0, 0.15):
        own = 0.4 * rng.normal(0, 1, (n, 4))[groups]
        exponents = np.exp(1.5 * (evidence + own + (gap + better) * np.eye(4)[labels]))
        both.append(exponents / exponents.sum(1, keepdims=True))
    return labels, *both, groups


def flat(nested: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in nested.items():
        if isinstance(value, dict) and "difference" not in value:
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def truths(gap: float, kind: str) -> list[dict[str, float]]:
    """The metrics of both classifiers."""
    rng, rows = np.random.default_rng(1), []
    for _ in range(3):
        labels, a, b, _ = simulate(400_000, gap, rng, kind)
        rows.append([dict(flat(classification_metrics(labels, p, CLASSES, "notumor"))) for p in (a, b)])
    return [{key: float(np.mean([row[k][key] for row in rows])) for key in rows[0][0]} for k in (0, 1)]


def percentile(labels: np.ndarray, a: np.ndarray, groups: np.ndarray, seed: int) -> np.ndarray:
    rows = [
        np.stack(list(weighted_metrics(labels, a, CLASSES, weights, "notumor").values()), 1)
        for weights in resampled_weights(groups, RESAMPLES, seed)
    ]
    return np.nanquantile(np.concatenate(rows), [0.025, 0.975], axis=0).T


def held(target: float, column: tuple[Any, ...]) -> str:
    """The share of intervals that hold the target, and their median width."""
    low, high = np.array([ends for ends in column if ends is not None], float).T
    return f"{np.mean((low <= target) & (target <= high)):.3f} ({np.median(high - low):.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, nargs="+", default=[200, 1311])
    parser.add_argument("--groups", choices=["copies", "patients"], default="copies")
    parser.add_argument("--gap", type=float, nargs="+", default=[2.6, 3.6], help="2.6: 0.88 right; 3.6: 0.97")
    parser.add_argument("--sets", type=int, default=500)
    options = parser.parse_args()
    for gap in options.gap:
        truth_a, truth_b = truths(gap, options.groups)
        for n in options.n:
            begin = time.monotonic()
            found: dict[str, list[list[Any]]] = {}
            for seed in range(options.sets):
                labels, a, b, groups = simulate(n, gap, np.random.default_rng((seed, 7)), options.groups)
                singles = flat(intervals(labels, a, groups, CLASSES, "notumor", resamples=RESAMPLES, seed=seed))
                quantiles = percentile(labels, a, groups, seed)
                changes = flat(differences(labels, a, b, groups, CLASSES, "notumor", resamples=RESAMPLES, seed=seed))
                for (key, single), simple, (_, change) in zip(singles, quantiles, changes, strict=True):
                    found.setdefault(key, []).append([single, simple, change["interval"]])
            accuracies = f"accuracy {truth_a['accuracy']:.3f} and {truth_b['accuracy']:.3f}"
            print(f"\nn = {n}, {accuracies}, {options.sets} sets, {time.monotonic() - begin:.0f} s")
            print(f"{'metric':34} truth   here  (width)  percentile       b - a  here  (width)")
            for key, rows in found.items():
                here, simple, change = zip(*rows, strict=True)
                truth, gain = truth_a[key], truth_b[key] - truth_a[key]
                cells = f"{truth:.3f}  {held(truth, here)}  {held(truth, simple)}   {gain:+.3f} {held(gain, change)}"
                print(f"{key:34} {cells}", flush=True)


if __name__ == "__main__":
    main()
