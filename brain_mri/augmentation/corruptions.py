"""Corruptions that MRI scanners, patients and image files bring, each at three strengths.

Images: uint8 (N, H, W), 0..255. Stateless: the same image, name, strength, seed and index give the same pixels, and
the random part is the same at each strength, so that a curve over strengths shows the strength alone.

Each function takes one image as float32 (H, W) in 0..1, a strength in the unit its docstring names, and a generator; it
returns float32 (H, W) that may leave 0..1.
"""

import zlib
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.float32]
Images = npt.NDArray[np.uint8]


def bias_field(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Uneven receive coils: times a smooth field (polynomial of order 3) whose values span 1 +- strength / 2.

    0.2 and 0.4 are the "20 %" and "40 %" fields of BrainWeb (Collins et al., IEEE Trans. Med. Imaging 17, 1998)."""
    rows, columns = (np.linspace(-1, 1, n) for n in image.shape)
    field = np.polynomial.polynomial.polygrid2d(rows, columns, rng.normal(0, 1, (4, 4)) * _low_orders(4))
    field = (field - field.min()) / np.ptp(field) - 0.5
    return _float32(image * (1 + strength * field))


def rician_noise(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Magnitude of a complex signal with Gaussian noise (Gudbjartsson and Patz, Magn. Reson. Med. 34, 1995).

    strength: standard deviation as a share of the bright tissue (99th percentile); BrainWeb has 0.01 to 0.09."""
    sigma = np.float32(strength * np.percentile(image, 99))
    real, imaginary = sigma * rng.standard_normal((2, *image.shape), dtype=np.float32)
    return _float32(np.hypot(image + real, imaginary))


def gamma(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Another display curve: image ** exp(+-strength), the sign by chance (TorchIO's RandomGamma draws up to 0.3)."""
    return _float32(image ** np.exp(strength * rng.choice([-1, 1])))


def ghosting(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Periodic motion (breath, pulse): every k-th line of k-space, k of 3 to 7, loses the share `strength` (cause: Axel
    et al., Radiology 160, 1986; the model: Perez-Garcia et al., Comput. Methods Programs Biomed. 208, 2021)."""
    axis, period = int(rng.integers(2)), int(rng.integers(3, 8))
    spectrum = np.fft.fft2(image)
    lines = np.fft.fftfreq(image.shape[axis], 1 / image.shape[axis]).round().astype(int)
    gain = np.where(lines % period == 0, 1 - strength, 1.0)
    gain[np.abs(lines) <= 0.02 * len(lines)] = 1  # the centre of k-space, kept as in the model's source
    spectrum *= gain[:, None] if axis == 0 else gain
    return _float32(np.abs(np.fft.ifft2(spectrum)))


def motion(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """The head moves once while k-space is filled (Shaw et al., MICCAI workshop SASHIMI 2019): outer lines of one half
    come from the moved head. strength: shift as a share of the width; the turn is 1 degree for each 0.01 of it."""
    height, width = image.shape
    angle, direction = rng.choice([-1, 1]) * 100 * strength, rng.uniform(0, 2 * np.pi)
    move = cv2.getRotationMatrix2D((width / 2, height / 2), float(angle), 1.0)
    move[:, 2] += strength * width * np.array([np.cos(direction), np.sin(direction)])
    moved = cv2.warpAffine(image, move, (width, height), borderMode=cv2.BORDER_REPLICATE)
    late = np.fft.fftfreq(height) > rng.uniform(0.01, 0.05)  # lines in units of the sampling rate, -0.5 to 0.5
    spectrum = np.where(late[:, None], np.fft.fft2(moved), np.fft.fft2(image))
    return _float32(np.abs(np.fft.ifft2(spectrum)))


def low_resolution(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """A coarser scan, enlarged again: `strength` pixels become one (a side), by area, then back by interpolation."""
    height, width = image.shape
    small = (max(round(width / strength), 1), max(round(height / strength), 1))
    coarse = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    return _float32(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR))


def blur(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Gaussian blur; strength: its standard deviation as a share of the width (0.01 of a 20 cm head is 2 mm)."""
    sigma = strength * image.shape[1]
    return _float32(cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE))


def contrast(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Less contrast about the mean; strength: the share lost (Hendrycks and Dietterich, ICLR 2019, lose up to 0.95)."""
    return _float32(image.mean() + (1 - strength) * (image - image.mean()))


CORRUPTIONS: dict[str, tuple[Callable[[Image, float, np.random.Generator], Image], tuple[float, float, float]]] = {
    "bias_field": (bias_field, (0.2, 0.4, 0.8)),
    "rician_noise": (rician_noise, (0.03, 0.06, 0.12)),
    "gamma": (gamma, (0.15, 0.3, 0.6)),
    "ghosting": (ghosting, (0.2, 0.4, 0.7)),
    "motion": (motion, (0.01, 0.02, 0.04)),
    "low_resolution": (low_resolution, (2, 3, 4)),
    "blur": (blur, (0.005, 0.01, 0.015)),
    "contrast": (contrast, (0.25, 0.5, 0.75)),
}


def corrupt(images: Images, name: str, level: int, seed: int) -> Images:
    """Apply a corruption of CORRUPTIONS at level 1, 2 or 3 to images uint8 (N, H, W).

    Raises ValueError for another name or level.
    """
    if name not in CORRUPTIONS or level not in (1, 2, 3):
        raise ValueError(f"corruption: {name!r} at level {level}, expected one of {list(CORRUPTIONS)} at 1, 2 or 3")
    function, strengths = CORRUPTIONS[name]
    corrupted = np.empty_like(images)
    for i, image in enumerate(images):
        rng = np.random.default_rng((seed, i, zlib.crc32(name.encode())))
        changed = function(image.astype(np.float32) / 255, strengths[level - 1], rng)
        corrupted[i] = np.clip(changed * 255 + 0.5, 0, 255)
    return corrupted


def _low_orders(n: int) -> npt.NDArray[np.bool_]:
    return np.add.outer(np.arange(n), np.arange(n)) < n


def _float32(values: Any) -> Image:
    return np.asarray(values, np.float32)
