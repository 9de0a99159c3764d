"""Is this an image of the kind that the network has learned from? A distance to the training images, and a likeness to
pictures known to be something else.

The distance is Mahalanobis' with a shrunk covariance (Lee et al., A Simple Unified Framework for Detecting
Out-of-Distribution Samples, NeurIPS 2018, section 2, with one class; Ledoit and Wolf, A Well-Conditioned Estimator,
J. Multivariate Analysis 2004) between descriptions of two parts: what layers of the network at several depths make of
the image, and plain facts of the picture (histogram, mirror symmetry, detail at four scales). The likeness is a
logistic regression that tells training images from strangers (after Hendrycks, Mazeika and Dietterich, Deep Anomaly
Detection with Outlier Exposure, ICLR 2019). Their sum decides, each measured by its spread over validation images.
"""

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import cv2
import numpy as np
from threadpoolctl import threadpool_limits

from brain_mri.errors import UserError
from brain_mri.files import replacing

GRID = 4  # cells a side in which the first layer's maps are averaged
MOST_CHANNELS = 128  # more are mixed down to so many, that the covariance stays small
LEVELS = 16  # of the histogram
SCALES = 4  # of detail: 1, 2, 4 and 8 pixels
LEAST_SPREAD = 1e-4  # what hardly varies in training must not count for everything
FAR = 1.5  # times the training images' usual distance: strangers farther away are moved here to learn from
STRENGTH = 0.003  # inverse, of the logistic regression's regularisation: strangers are few


def describe(images: np.ndarray, maps: Sequence[np.ndarray]) -> np.ndarray:
    """Describe images, uint8 (N, size, size, 1), with the maps that layers make of them, float32 (N, h, w, C), those of
    the first at least 4 x 4: float32 (N, D)."""
    layers = [_mixed(layer) for layer in maps]
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
    mix = np.random.default_rng(0).normal(0, channels**-0.5, (channels, MOST_CHANNELS)).astype(np.float32)
    # One product instead of one a row of each image, at each of which all threads wait for the slowest.
    return (maps.reshape(-1, channels) @ mix).reshape(*places, MOST_CHANNELS)


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
    """Where the training images' descriptions lie, where strangers lie, and the score from which on one is strange."""

    mean: np.ndarray  # float32 (D,)
    scale: np.ndarray  # float32 (D,)
    precision: np.ndarray  # float32 (D, D), of descriptions less mean, by scale
    direction: np.ndarray  # float32 (D,), of those: towards the strangers
    middle: np.ndarray  # float32 (2,): the validation images' median distance and likeness
    spread: np.ndarray  # float32 (2,): from there to their 99th percentiles
    threshold: float

    def scores(self, descriptions: np.ndarray) -> np.ndarray:
        """How strange each description (N, D) is, float (N,): about 0 for what is usual.

        Raises UserError for descriptions by another network."""
        distance, likeness = ((self._raw(descriptions) - self.middle) / self.spread).T
        return distance + np.maximum(likeness, 0)  # what is far off, but away from all strangers, is no less strange

    def flags(self, descriptions: np.ndarray) -> np.ndarray:
        """Whether each is stranger than all but a few of the validation images, bool (N,)."""
        return self.scores(descriptions) > self.threshold

    def save(self, path: Path | str) -> None:
        """Write the detector as an .npz file; the same detector gives the same bytes."""
        with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as file:
            for name, value in vars(self).items():
                array = io.BytesIO()
                np.save(array, value)
                # np.savez leaves the header to Python, whose versions write different ones.
                file.writestr(zipfile.ZipInfo(f"{name}.npy"), array.getvalue())

    def _raw(self, descriptions: np.ndarray) -> np.ndarray:
        """Mahalanobis distance to the training images and likeness to strangers, float (N, 2)."""
        if descriptions.shape[1] != len(self.mean):
            raise UserError(
                f"the detector of what is no brain MRI was made for another network (it takes {len(self.mean)} numbers "
                f"an image, found {descriptions.shape[1]}); run `dvc repro`"
            )
        away = (descriptions.astype(float) - self.mean) / self.scale
        squares = ((away @ self.precision.astype(float)) * away).sum(1)
        return np.stack([np.sqrt(np.maximum(squares, 0)), away @ self.direction.astype(float)], axis=1)


def fit(
    training: np.ndarray, validation: np.ndarray, false_alarms: float, strangers: np.ndarray | None = None
) -> Detector:
    """Fit to descriptions (N, D) of training images and of strangers; without those the distance decides alone.

    The share `false_alarms`, 0 to 1, of the validation images is flagged."""
    # Loading this takes a second, which using a detector need not wait for.
    from sklearn.covariance import LedoitWolf
    from sklearn.linear_model import LogisticRegression

    mean, scale = training.mean(0, dtype=float), np.maximum(training.std(0, dtype=float), LEAST_SPREAD)
    direction = np.zeros(len(mean))
    with threadpool_limits(1):  # the bits of a sum depend on the number of threads
        precision = LedoitWolf(assume_centered=True).fit((training - mean) / scale).precision_
        if strangers is not None:
            values, vectors = np.linalg.eigh(precision)
            whitening = vectors * np.sqrt(np.maximum(values, 0))
            own, other = (((part - mean) / scale) @ whitening for part in (training, strangers))
            usual = np.median(np.linalg.norm(own, axis=1))
            # Far strangers are flagged for their distance; moved nearer, they do not outweigh those hard to tell.
            other /= np.maximum(np.linalg.norm(other, axis=1, keepdims=True) / (FAR * usual), 1)
            learner = LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=500)
            learner.fit(np.concatenate([own, other]), np.repeat([0, 1], [len(own), len(other)]))
            direction = whitening @ learner.coef_[0]
    fitted = Detector(
        mean.astype(np.float32),
        scale.astype(np.float32),
        precision.astype(np.float32),
        direction.astype(np.float32),
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


def load(path: Path | str) -> Detector:
    """Read what `save` wrote; raises UserError where it is missing or broken."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {field.name: file[field.name] for field in fields(Detector)}
    # A damaged file makes the reader fail in any way at all.
    except Exception as error:
        said = " ".join(str(error).split())[:160]
        raise UserError(f"{path}: not a detector of this project ({said}); remove it and run `dvc repro`") from None
    return Detector(**arrays | {"threshold": float(arrays["threshold"])})
