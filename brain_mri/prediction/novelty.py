"""The detector of pictures that are no brain MRI: a distance to the training images, and a likeness to other pictures.

The distance is Mahalanobis' with a shrunk covariance (Lee et al., A Simple Unified Framework for Detecting
Out-of-Distribution Samples, NeurIPS 2018, section 2, with one class; Ledoit and Wolf, A Well-Conditioned Estimator,
J. Multivariate Analysis 2004) between descriptions of two parts: what layers of the network at several depths make of
the image, and plain facts of the picture (histogram, mirror symmetry, detail at four scales). The likeness is a
logistic regression that tells training images from other pictures (after Hendrycks, Mazeika and Dietterich, Deep
Anomaly Detection with Outlier Exposure, ICLR 2019). Their sum decides, each measured by its spread over validation
images.

The same descriptions give the same file on every make of CPU, though BLAS sums in an order of each make's own: the
factors of a product are rounded until no sum needs rounding (`exact_product`), the covariance is factorised by NumPy's
elementwise operations, and what the regression finds is rounded.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

import cv2
import numpy as np

from brain_mri.errors import UserError, reason
from brain_mri.files import write_arrays

GRID = 4  # cells a side in which the first layer's maps are averaged
MOST_CHANNELS = 128  # more are mixed down to so many, that the covariance stays small
LEVELS = 16  # of the histogram
SCALES = 4  # of detail: 1, 2, 4 and 8 pixels
LEAST_SPREAD = 1e-4  # what hardly varies in training must not count for everything
FAR = 1.5  # times the training images' usual distance: other pictures farther away are moved here to learn from
STRENGTH = 0.003  # inverse, of the logistic regression's regularisation: other pictures are few
BITS = 24  # of the factors of a product: they fit into a float32, and all sums into the 53 bits of a float64
DIGITS = 5  # significant, kept of the regression's direction


def describe(images: np.ndarray, outputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """Describe images, uint8 (N, size, size, 1), with what the network gives of them: float32 (N, D).

    `outputs` holds maps of inner layers by the names `inner_0`, `inner_1`, ...: float32 (N, h, w, C), the first at
    least 4 x 4; other names are not looked at."""
    layers = [_mixed(outputs[name]) for name in sorted(outputs) if name.startswith("inner_")]
    parts = [part for layer in layers for part in (layer.mean((1, 2)), layer.std((1, 2)))]
    return np.concatenate([*parts, describe_places(layers[0]), describe_pictures(images)], axis=1)


def describe_places(maps: np.ndarray) -> np.ndarray:
    """Mean of each channel of maps (N, h, w, C) in each cell of a 4 x 4 grid: float32 (N, 16 C)."""
    n, height, width, channels = maps.shape
    rows, columns = height // GRID, width // GRID
    cells = maps[:, : rows * GRID, : columns * GRID].reshape(n, GRID, rows, GRID, columns, channels)
    return cells.mean((2, 4)).reshape(n, -1)


def _mixed(maps: np.ndarray) -> np.ndarray:
    *places, channels = maps.shape
    if channels <= MOST_CHANNELS:
        return maps
    mix = np.random.default_rng(0).normal(0, channels**-0.5, (channels, MOST_CHANNELS))
    # One product instead of one a row of each image, at each of which all threads wait for the slowest.
    return exact_product(maps.reshape(-1, channels), mix).astype(np.float32).reshape(*places, MOST_CHANNELS)


def describe_pictures(images: np.ndarray) -> np.ndarray:
    """Root of the histogram (16), correlation with both mirror images (2), log of detail (4): float32 (N, 22)."""
    rows = []
    for image in images[..., 0]:
        histogram = np.bincount(image.ravel() // (256 // LEVELS), minlength=LEVELS) / image.size
        small = cv2.resize(image, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
        small -= small.mean()
        energy = max(float((small**2).sum()), 1e-6)
        symmetry = [float((small * mirrored).sum()) / energy for mirrored in (small[:, ::-1], small[::-1])]
        detail = []
        left = image.astype(np.float32) / 255
        for _ in range(SCALES):
            smooth = cv2.GaussianBlur(left, (0, 0), 1.0)
            detail.append(np.log(1e-3 + (left - smooth).std()))
            left = cv2.resize(smooth, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        rows.append([*np.sqrt(histogram), *symmetry, *detail])
    return np.array(rows, np.float32)


@dataclass(frozen=True)
class Detector:
    """Where the training images' descriptions lie, where other pictures' lie, and the score that flags an image."""

    mean: np.ndarray  # float32 (D,)
    scale: np.ndarray  # float32 (D,)
    precision: np.ndarray  # float32 (D, D), of descriptions less mean, by scale
    direction: np.ndarray  # float32 (D,), of those: towards other pictures
    middle: np.ndarray  # float32 (2,): the validation images' median distance and likeness
    spread: np.ndarray  # float32 (2,): from there to their 99th percentiles
    threshold: float

    def scores(self, descriptions: np.ndarray) -> np.ndarray:
        """Return how unusual each description (N, D) is, float (N,): about 0 for most training images.

        Raises UserError for descriptions by another network."""
        distance, likeness = ((self._raw(descriptions) - self.middle) / self.spread).T
        return distance + np.maximum(likeness, 0)  # what is far off, but unlike all other pictures, is no less unusual

    def flags(self, descriptions: np.ndarray) -> np.ndarray:
        """Return whether each scores higher than all but a few of the validation images, bool (N,)."""
        return self.scores(descriptions) > self.threshold

    def save(self, path: Path | str) -> None:
        """Write the detector as an .npz file; the same detector gives the same bytes."""
        write_arrays(path, {name: np.asarray(value) for name, value in vars(self).items()})

    def _raw(self, descriptions: np.ndarray) -> np.ndarray:
        """Mahalanobis distance to the training images and likeness to other pictures, float (N, 2)."""
        if descriptions.shape[1] != len(self.mean):
            raise UserError(
                f"the detector of what is no brain MRI was made for another network (it takes {len(self.mean)} numbers "
                f"an image, found {descriptions.shape[1]}); run `dvc repro`"
            )
        away = round_to_grid((descriptions.astype(float) - self.mean) / self.scale, 1)
        squares = ((away @ self.precision.astype(float)) * away).sum(1)
        return np.stack([np.sqrt(np.maximum(squares, 0)), away @ self.direction.astype(float)], axis=1)


def fit(training: np.ndarray, validation: np.ndarray, false_alarms: float, other: np.ndarray | None = None) -> Detector:
    """Fit to descriptions (N, D) of training images and of other pictures; without those the distance decides alone.

    The share `false_alarms`, 0 to 1, of the validation images is flagged."""
    mean, scale = training.mean(0, dtype=float), np.maximum(training.std(0, dtype=float), LEAST_SPREAD)
    own = (training - mean) / scale
    whitening = inverse_factor(shrunk_covariance(own)).T
    direction = np.zeros((len(mean), 1))
    if other is not None:
        parts = (exact_product(part, whitening) for part in (own, (other - mean) / scale))
        direction = exact_product(whitening, fit_direction(*parts))
    fitted = Detector(
        mean.astype(np.float32),
        scale.astype(np.float32),
        round_to_grid(exact_product(whitening, whitening.T), 0).astype(np.float32),
        round_to_grid(direction, 0)[:, 0].astype(np.float32),
        middle=np.zeros(2, np.float32),
        spread=np.ones(2, np.float32),
        threshold=np.inf,
    )
    raw = fitted._raw(validation)
    middle = np.median(raw, axis=0)
    spread = np.maximum(np.quantile(raw, 0.99, axis=0) - middle, LEAST_SPREAD)
    fitted = replace(fitted, middle=middle.astype(np.float32), spread=spread.astype(np.float32))
    threshold = np.quantile(fitted.scores(validation), 1 - false_alarms, method="higher")
    return replace(fitted, threshold=float(threshold))


def fit_direction(own: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the weights, float64 (D, 1), of a logistic regression from whitened descriptions (N, D) of training images
    to those of other pictures, rounded to so few digits that the order of its sums does not show."""
    # Loading this takes a second, which using a detector need not wait for.
    from sklearn.linear_model import LogisticRegression

    usual = np.median(_norm(own, 1))
    # Far pictures are flagged for their distance; moved nearer, they do not outweigh those hard to tell.
    other = other / np.maximum(_norm(other, 1) / (FAR * usual), 1)
    learner = LogisticRegression(C=STRENGTH, class_weight="balanced", solver="newton-cholesky", tol=1e-10)
    learner.fit(np.concatenate([own, other]), np.repeat([0, 1], [len(own), len(other)]))
    weights = learner.coef_.T
    size = 10.0 ** (np.floor(np.log10(np.maximum(np.abs(weights), np.finfo(float).tiny))) - DIGITS + 1)
    return np.round(weights / size) * size


def shrunk_covariance(centred: np.ndarray) -> np.ndarray:
    """Return the covariance, float64 (D, D), of centred descriptions (N, D), shrunk towards a multiple of the identity
    (Ledoit and Wolf 2004, lemma 3.2 to 3.4, theorem 3.2)."""
    count, size = centred.shape
    covariance = exact_product(centred.T, centred) / count
    mean = np.trace(covariance) / size
    squares = (covariance**2).sum()
    apart = squares / size - mean**2
    error = (((centred**2).sum(1) ** 2).sum() / count - squares) / (size * count)
    share = min(error / apart, 1.0) if apart > 0 else 0.0
    return (1 - share) * covariance + share * mean * np.eye(size)


def inverse_factor(covariance: np.ndarray) -> np.ndarray:
    """Return the inverse, float64 (D, D), of the lower Cholesky factor, by elimination beside the identity.

    LAPACK would be faster, but its last bits depend on the make of CPU."""
    size = len(covariance)
    rows = np.hstack([covariance, np.eye(size)])
    products = np.empty_like(rows)
    for k in range(size):
        kept = slice(k, size + k + 1)  # left of these all is eliminated, right of them nothing has begun
        rows[k, kept] /= np.sqrt(rows[k, k])
        np.multiply(rows[k, k + 1 : size, None], rows[k, kept], out=products[k + 1 :, kept])
        rows[k + 1 :, kept] -= products[k + 1 :, kept]
    return rows[:, size:]


def exact_product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the matrix product a @ b, float64, of rounded factors: the same bits whatever the order of its sums."""
    return round_to_grid(a, 1) @ round_to_grid(b, 0)


def round_to_grid(values: np.ndarray, axis: int) -> np.ndarray:
    """Return the values, float64, each row (axis 1) or column (axis 0) rounded to BITS binary digits below its norm.

    In a product of such rows and columns every partial sum is a whole number of the last digits, by Cauchy and Schwarz
    less than 2^53 of them, so none is rounded."""
    values = values.astype(float)
    step = np.ldexp(1.0, np.frexp(_norm(values, axis))[1] - BITS)
    return np.round(values / step) * step


def _norm(values: np.ndarray, axis: int) -> np.ndarray:
    return np.sqrt((values**2).sum(axis, keepdims=True))


def load(path: Path | str) -> Detector:
    """Read what `save` wrote; raises UserError where it is missing or broken."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {field.name: file[field.name] for field in fields(Detector)}
    # A damaged file makes the reader fail in any way at all.
    except Exception as error:
        what = f"not a detector of this project ({reason(error)})"
        raise UserError(f"{path}: {what}; remove it and run `dvc repro`") from None
    return Detector(**arrays | {"threshold": float(arrays["threshold"])})
