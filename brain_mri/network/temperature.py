"""Temperature scaling: one number, fitted on validation images, that makes confidences mean what they say.

Guo et al., On Calibration of Modern Neural Networks, ICML 2017, section 4.2.
"""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

TEMPERATURES = (0.05, 20.0)  # perfect validation predictions would drive the temperature to 0, random ones to infinity


def fit_temperature(labels: np.ndarray, logits: np.ndarray) -> float:
    """The temperature T in 0.05..20 that minimises the log loss of softmax(logits / T) (Guo et al., section 4.2).

    labels (N,), logits (N, C) of validation images. Never worse than T = 1 on them; 1 for no image.
    """
    if not len(labels):
        return 1.0

    def loss(log_temperature: float) -> float:
        log_probabilities = log_softmax(np.asarray(logits, float) / np.exp(log_temperature), axis=1)
        return float(-log_probabilities[np.arange(len(labels)), labels].mean())

    # In 1 / T the loss is convex, so that on the log scale it has a single minimum.
    found = minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x)) if found.fun < loss(0.0) else 1.0
