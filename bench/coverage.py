"""Do the 95 % intervals of brain_mri/statistics/intervals.py and comparison.py hold the truth in 93 to 97 % of test sets?

    python bench/coverage.py            # n = 200 and 1,311, 500 test sets each; about 5 minutes on one free core
    python bench/coverage.py --sets 100 --n 200

Simulated test sets: four classes; 80 % of the groups are single images, 12 % pairs, 6 % triples, 2 % sixfold; images of
a group share their class and most of what the classifier sees (Gaussian evidence, shared part 1, own part 0.3). Two
classifiers see the same images, each with some noise of its own; one is a little better. The truth is the metric
over 1,200,000 images of the same process. Printed: the truth, the share of intervals that hold it, and their median
width; then the same for the percentile interval, for comparison, and for the differences of the two classifiers.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "stages"))

from brain_mri.statistics.comparison import differences
from brain_mri.statistics.intervals import intervals, resampled_weights
from brain_mri.statistics.metrics import classification_metrics, weighted_metrics

CLASSES = ["glioma", "meningioma", "notumor", "pituitary"]
RESAMPLES = 500  # of the 2,000 in use: enough for the standard error, and the bench ends sooner


def simulate(n, gap, rng):
    """Labels, probabilities of both classifiers, groups. gap: distance of the classes' evidence, in its own spread."""
    groups = np.repeat(np.arange(n), rng.choice([1, 2, 3, 6], n, p=[0.8, 0.12, 0.06, 0.02]))[:n]
    labels = rng.integers(0, 4, n)[groups]
    evidence = rng.normal(0, 1, (n, 4))[groups] + 0.3 * rng.normal(0, 1, (n, 4))
    both = []
    for better in (0, 0.15):
        own = 0.4 * rng.normal(0, 1, (n, 4))[groups]
        logits = 1.5 * (evidence + own + (gap + better) * np.eye(4)[labels])
        exponents = np.exp(logits - logits.max(1, keepdims=True))
        both.append(exponents / exponents.sum(1, keepdims=True))
    return labels, *both, groups


def flat(nested, prefix=""):
    for key, value in nested.items():
        if isinstance(value, dict) and "difference" not in value:
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def truths(gap, parts=3, n=400_000):
    rng = np.random.default_rng(1)
    rows = []
    for _ in range(parts):
        labels, a, b, _groups = simulate(n, gap, rng)
        rows.append([dict(flat(classification_metrics(labels, p, CLASSES))) for p in (a, b)])
    return [{key: np.mean([row[k][key] for row in rows]) for key in rows[0][0]} for k in (0, 1)]


def percentile(labels, a, groups, seed):
    rows = [
        np.stack(list(weighted_metrics(labels, a, CLASSES, weights).values()), 1)
        for weights in resampled_weights(groups, RESAMPLES, seed)
    ]
    return np.nanquantile(np.concatenate(rows), [0.025, 0.975], axis=0).T


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, nargs="+", default=[200, 1311])
    parser.add_argument("--gap", type=float, nargs="+", default=[2.6, 3.6], help="2.6: 0.88 right; 3.6: 0.97")
    parser.add_argument("--sets", type=int, default=500)
    options = parser.parse_args()
    for gap in options.gap:
        truth_a, truth_b = truths(gap)
        for n in options.n:
            started, found = time.time(), {}
            for seed in range(options.sets):
                labels, a, b, groups = simulate(n, gap, np.random.default_rng((seed, 7)))
                singles = flat(intervals(labels, a, groups, CLASSES, resamples=RESAMPLES, seed=seed))
                quantiles = percentile(labels, a, groups, seed)
                changes = flat(differences(labels, a, b, groups, CLASSES, resamples=RESAMPLES, seed=seed))
                for (key, single), simple, (_, change) in zip(singles, quantiles, changes, strict=True):
                    found.setdefault(key, []).append([single, simple, change["interval"]])
            print(
                f"\nn = {n}, accuracy {truth_a['accuracy']:.3f} and {truth_b['accuracy']:.3f}, {options.sets} sets, "
                f"{time.time() - started:.0f} s"
            )
            print(f"{'metric':34} truth   here  (width)  percentile       b - a  here  (width)")
            for key, rows in found.items():
                targets = (truth_a[key], truth_a[key], truth_b[key] - truth_a[key])
                cells = []
                for target, column in zip(targets, zip(*rows, strict=True), strict=True):
                    ends = np.array([ends for ends in column if ends is not None], float)
                    cells.append(
                        f"{np.mean((ends[:, 0] <= target) & (target <= ends[:, 1])):.3f} "
                        f"({np.median(ends[:, 1] - ends[:, 0]):.3f})"
                    )
                print(f"{key:34} {targets[0]:.3f}  {cells[0]}  {cells[1]}   {targets[2]:+.3f} {cells[2]}", flush=True)


if __name__ == "__main__":
    main()
