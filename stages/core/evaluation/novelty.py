"""Is this an image of the kind that the network has learned from? A distance to the training images.

The distance is Mahalanobis' with a shrunk covariance (Lee et al., A Simple Unified Framework for Detecting
Out-of-Distribution Samples, NeurIPS 2018, section 2.1, with one class; Ledoit and Wolf, A Well-Conditioned Estimator,
J. Multivariate Analysis 2004) between descriptions of two parts: what an inner layer of the network makes of the image,
by place, and plain facts of the picture (histogram, mirror symmetry, detail at four scales).
"""

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from threadpoolctl import threadpool_limits

from core.files import UserError, replacing

GRID = 4  # cells a side in which an inner layer's map is averaged
MOST_CHANNELS = 64  # more are mixed down to so many, that the covariance stays small
LEVELS = 16  # of the histogram
SCALES = 4  # of detail: 1, 2, 4 and 8 pixels
LEAST_SPREAD = 1e-4  # what hardly varies in training must not count for everything


def describe(images: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Describe images, uint8 (N, size, size, 1), with an inner layer's maps of them, float32 (N, h, w, C), h and w at
    least 4: float32 (N, D)."""
    return np.concatenate([describe_maps(maps), describe_pictures(images)], axis=1)


def describe_maps(maps: np.ndarray) -> np.ndarray:
    """Mean and standard deviation of each channel, and its mean in each cell of a 4 x 4 grid: float32 (N, D)."""
    n, height, width, channels = maps.shape
    rows, columns = height // GRID, width // GRID
    spread = [maps.mean((1, 2)), maps.std((1, 2))]
    if channels > MOST_CHANNELS:
        mix = np.random.default_rng(0).normal(0, channels**-0.5, (channels, MOST_CHANNELS))
        maps = maps @ mix.astype(np.float32)
    cells = maps[:, : rows * GRID, : columns * GRID].reshape(n, GRID, rows, GRID, columns, maps.shape[3]).mean((2, 4))
    return np.concatenate([*spread, cells.reshape(n, -1)], axis=1)


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
    """Centre and shape of the training images' descriptions, and the distance from which on an image is strange."""

    mean: np.ndarray  # float32 (D,)
    scale: np.ndarray  # float32 (D,)
    precision: np.ndarray  # float32 (D, D), of descriptions less mean, by scale
    threshold: float

    def distances(self, descriptions: np.ndarray) -> np.ndarray:
        """Mahalanobis distance of each description (N, D) to the training images', float (N,).

        Raises UserError for descriptions by another network."""
        if descriptions.shape[1] != len(self.mean):
            raise UserError(
                f"the detector of what is no brain MRI was made for another network (it takes {len(self.mean)} numbers "
                f"an image, found {descriptions.shape[1]}); run `dvc repro`"
            )
        away = (descriptions.astype(float) - self.mean) / self.scale
        return np.sqrt(np.maximum(np.einsum("nd,nd->n", away @ self.precision.astype(float), away), 0))

    def flags(self, descriptions: np.ndarray) -> np.ndarray:
        """Whether each is farther away than all but a few of the validation images, bool (N,)."""
        return self.distances(descriptions) > self.threshold

    def save(self, path: Path | str) -> None:
        """Write the detector as an .npz file; the same detector gives the same bytes."""
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **vars(self))


def fit(training: np.ndarray, validation: np.ndarray, false_alarms: float) -> Detector:
    """Fit to descriptions (N, D) of training images; the share `false_alarms`, 0 to 1, of validation is flagged."""
    from sklearn.covariance import LedoitWolf  # loading it takes a second, which using a detector need not wait for

    mean, scale = training.mean(0, dtype=float), np.maximum(training.std(0, dtype=float), LEAST_SPREAD)
    with threadpool_limits(1):  # the bits of a sum depend on the number of threads
        precision = LedoitWolf(assume_centered=True).fit((training - mean) / scale).precision_
    fitted = Detector(mean.astype(np.float32), scale.astype(np.float32), precision.astype(np.float32), np.inf)
    threshold = np.quantile(fitted.distances(validation), 1 - false_alarms, method="higher")
    return replace(fitted, threshold=float(threshold))


def load(path: Path | str) -> Detector:
    """Read what `save` wrote; raises UserError where it is missing or broken."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return Detector(file["mean"], file["scale"], file["precision"], float(file["threshold"]))
    # A damaged file makes the reader fail in any way at all.
    except Exception as error:
        said = " ".join(str(error).split())[:160]
        raise UserError(f"{path}: not a detector of this project ({said}); remove it and run `dvc repro`") from None
