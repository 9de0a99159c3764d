"""Lesion outlines, a polygon an image, to masks. Format and making: `data/outlines/README.md`."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from brain_mri.decoding.decode import image_shape, read_file, read_grey
from brain_mri.errors import UserError
from brain_mri.files import progress, write_bytes
from brain_mri.images.badimage import BadImage, Limits
from brain_mri.images.dataset import ImageRecord
from brain_mri.sources.names import normal_path
from brain_mri.sources.raw import mask_png
from brain_mri.sources.table import read_table_file
from brain_mri.workers import workers

LEAST_FIT = 0.8  # the published outlines reach 0.89 and 0.91; mirrored, scaled by 5 % or shuffled ones 0.63 at most
FIT_SAMPLE = 200  # images looked at, evenly spread: a standard error of 2 %
LEAST_SAMPLE = 20
CHUNK = 64  # images a task of a worker process

SOURCE = {
    "name": "Lesion outlines for the Brain Tumor MRI Dataset, version 1",
    "licence": "CC BY 4.0",
    "citation": "Tumour borders drawn by Jun Cheng et al. for: Cheng, Jun (2017). brain tumor dataset. figshare. "
    "doi:10.6084/m9.figshare.1512427; carried over to the images of the Kaggle data set by their pixels",
    "url": "https://doi.org/10.6084/m9.figshare.1512427",
}


def read_outlines(path: Path) -> dict[str, np.ndarray]:
    """Polygons by image path, float (n, 2) of x, y in pixels, n >= 3, the centre of the first pixel being 0, 0.

    Reads a `.csv.gz` with the columns `path` and `polygon` (`x,y x,y ...`). Raises UserError that names the line.
    """
    outlines = {}
    for row in read_table_file(path, ("path", "polygon")):
        try:
            polygon = np.array([[float(number) for number in point.split(",")] for point in row["polygon"].split()])
        except ValueError:
            polygon = np.empty(0)
        if polygon.ndim != 2 or polygon.shape[1] != 2 or len(polygon) < 3 or not np.isfinite(polygon).all():
            raise UserError(f"{row['place']}: polygon {row['polygon'][:40]!r}; expected 'x,y x,y x,y' or longer")
        outlines[normal_path(row["path"])] = polygon
    return outlines


def rasterise(polygon: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Fill a polygon: uint8 (height, width), 255 where the centre of a pixel lies inside (even-odd rule), else 0.

    `polygon` is float (n, 2) of x, y in pixels, within the image (-0.5 to width or height - 0.5).
    """
    crossed = np.zeros((shape[0], shape[1] + 1), bool)
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        # Half open, so that a corner that lies on a row of centres is crossed once.
        rows = np.arange(math.ceil(min(y0, y1)), math.ceil(max(y0, y1)))
        if len(rows):
            crossed[rows, np.ceil(x0 + (rows - y0) * ((x1 - x0) / (y1 - y0))).astype(int)] ^= True
    mask = np.zeros(shape, np.uint8)
    rows = np.flatnonzero(crossed.any(axis=1))
    mask[rows] = np.logical_xor.accumulate(crossed[rows, :-1], axis=1) * np.uint8(255)
    return mask


def write_outline_masks(
    outlines: Mapping[str, np.ndarray], records: Sequence[ImageRecord], data: Path, limits: Limits
) -> list[ImageRecord]:
    """Write a mask to `data/masks` for each image of `data/raw` that has an outline; return the records with `mask`.

    Raises UserError, before a mask is written, for an outline of an unknown image, one that leaves its image, and where
    the outlines as a whole do not lie on the lesions of these images (mirrored, re-scaled, of other images). An image
    that cannot be read gets no mask: the crop will quarantine it.
    """
    raw = data / "raw"
    if unknown := sorted(set(outlines) - {record.path for record in records}):
        raise UserError(
            f"outlines: {len(unknown)} for images that the data set does not have, first {unknown[0]}; "
            "outlines belong to one data set, name its own or none in dataset.outlines"
        )
    shapes = {}
    with workers(len(outlines) // CHUNK + 1) as pool:
        paths = sorted(outlines)
        for path, shape in zip(paths, pool.map(partial(_shape, raw=raw, limits=limits), paths, CHUNK), strict=True):
            if shape:
                _check_inside(path, outlines[path], shape)
                shapes[path] = shape
        _check_fit({path: outlines[path] for path in shapes}, raw, limits)
        tasks = ((data / "masks" / f"{path}.png", outlines[path], shape) for path, shape in shapes.items())
        for _ in progress(pool.map(_write_mask, tasks, CHUNK), "masks from outlines", len(shapes)):
            pass
    return [replace(record, mask=f"{record.path}.png") if record.path in shapes else record for record in records]


def _shape(path: str, raw: Path, limits: Limits) -> tuple[int, int] | None:
    try:
        return image_shape(read_file(raw / path, limits), limits, path)
    except BadImage:
        return None


def _write_mask(task: tuple[Path, np.ndarray, tuple[int, int]]) -> None:
    path, polygon, shape = task
    write_bytes(path, mask_png(rasterise(polygon, shape)))


def _check_inside(path: str, polygon: np.ndarray, shape: tuple[int, int]) -> None:
    height, width = shape
    if polygon.min() < -0.5 or (polygon.max(axis=0) > (width - 0.5, height - 0.5)).any():
        (left, top), (right, bottom) = polygon.min(axis=0), polygon.max(axis=0)
        raise UserError(
            f"outlines: that of {path} spans x {left:g} to {right:g}, y {top:g} to {bottom:g}, outside its "
            f"image of {width}x{height} px; it was made for another image"
        )


def _check_fit(outlines: Mapping[str, np.ndarray], raw: Path, limits: Limits) -> None:
    if len(outlines) < LEAST_SAMPLE:
        return
    fits = []
    for path in sorted(outlines)[:: math.ceil(len(outlines) / FIT_SAMPLE)]:
        try:
            fits.append(fit(read_grey(raw / path, limits), outlines[path]))
        except BadImage:
            continue
    shares = np.mean(fits, axis=0) if fits else np.ones(2)
    if shares.min() < LEAST_FIT:
        raise UserError(
            f"outlines: they part bright from dark better than their mirror images in only {shares[0]:.0%} "
            f"(left-right) and {shares[1]:.0%} (top-bottom) of the images, expected {LEAST_FIT:.0%} or "
            "more; they are mirrored, scaled or made for other images"
        )


def fit(grey: np.ndarray, polygon: np.ndarray) -> tuple[bool, bool]:
    """Whether a polygon parts bright from dark better than its mirror image does: left-right, top-bottom.

    `grey` is uint8 (height, width). Compared is the difference of the means inside and in a ring around, in standard
    deviations of both; a single image can fail, a set of right outlines cannot.
    """
    height, width = grey.shape
    own = contrast(grey, polygon)
    return (
        own > contrast(grey, (width - 1, 0) + polygon * (-1, 1)),
        own > contrast(grey, (0, height - 1) + polygon * (1, -1)),
    )


def contrast(grey: np.ndarray, polygon: np.ndarray) -> float:
    """Difference of the mean inside a polygon and in a ring around it, in standard deviations of both; at least 0."""
    inside = rasterise(polygon.clip(0, (grey.shape[1] - 1, grey.shape[0] - 1)), grey.shape[:2]) > 0
    side = max(3, int(min(grey.shape) * 0.03) | 1)
    ring = (cv2.dilate(inside.astype(np.uint8), np.ones((side, side), np.uint8)) > 0) & ~inside
    if not inside.any() or not ring.any():
        return 0.0
    spread = float(grey[inside | ring].std())
    return abs(float(grey[inside].mean() - grey[ring].mean())) / spread if spread else 0.0
