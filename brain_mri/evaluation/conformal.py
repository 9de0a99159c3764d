"""Sets of classes that cannot be excluded: class-conditional conformal prediction.

Vovk, Conditional Validity of Inductive Conformal Predictors, ACML 2012 (label-conditional); Sadinle, Lei and Wasserman,
Least Ambiguous Set-Valued Classifiers With Bounded Error Levels, JASA 114, 2019. A class is excluded where its
probability is below what all but few validation images of that class have. For images drawn as the validation images
were, the set then holds the true class as often as asked, in each class; for images from elsewhere nothing is promised.
"""

from typing import Any

import numpy as np

from brain_mri.statistics.metrics import Bools, Floats, Ints, plain, ratio


def class_thresholds(labels: Ints, probabilities: Floats, level: float) -> Floats:
    """Return for each class the probability below which it is excluded, float (C,), 0 to 1.

    labels int (N,), probabilities (N, C) of validation images; `level`, 0 to 1, is the share of a class's images whose
    set is to hold it. Of n images of a class the k-th lowest probability is the threshold, k = (n + 1)(1 - level)
    rounded down; where k is 0 the class has too few images, and is never excluded."""
    found = np.zeros(probabilities.shape[1])
    for place in range(len(found)):
        own = np.sort(probabilities[labels == place, place])
        k = int((len(own) + 1) * (1 - level) + 1e-9)
        found[place] = own[k - 1] if k else 0.0
    return found


def prediction_sets(probabilities: Floats, thresholds: Floats) -> Bools:
    """Return which classes each image's set holds, bool (N, C): those not excluded, and always the likeliest."""
    likeliest = np.eye(probabilities.shape[1], dtype=bool)[probabilities.argmax(1)]
    return (probabilities >= thresholds) | likeliest


def set_metrics(holds_truth: Bools, sets: Bools, kinds: np.ndarray) -> dict[str, Any]:
    """Return how often the sets hold the truth, bool (N,), over all and by kind, str (N,), and how large they are."""
    n = len(sets)
    return {
        "n": n,
        "coverage": plain(ratio(holds_truth.sum(), n)),
        "mean_size": plain(ratio(sets.sum(), n)),
        "single": plain(ratio((sets.sum(1) == 1).sum(), n)),
        "by_class": {str(kind): float(holds_truth[kinds == kind].mean()) for kind in np.unique(kinds)},
    }
