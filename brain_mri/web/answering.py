"""One image's bytes to what the page shows of it: the answer, the crop, the heat map."""

from typing import Any

import cv2
import matplotlib
import numpy as np

from brain_mri.decoding.decode import decode_grey, file_kind
from brain_mri.decoding.picture import decode_picture
from brain_mri.errors import UserError
from brain_mri.heatmaps import HEAT_MAPS
from brain_mri.images.badimage import BadImage, Limits, Reason
from brain_mri.images.crop import crop, cut_out, find_head
from brain_mri.pages import data_uri
from brain_mri.prediction.classifier import Classifier
from brain_mri.sources.container import DamagedMember, opened_zip
from brain_mri.web.words import headline, name_of, notes, share

MOST_PIXELS = 16_000_000  # 4000 x 4000; a slice has 512 x 512, and larger ones would keep others waiting
MOST_IMAGES = 100  # of a zip
SHOWN = 640  # pixels: the longest side of the image as the page shows it
CLEAR = 0.5  # of a map: below this value it grows transparent
TOP = 0.995  # of a fine map's values; a few single pixels would else leave the others black


def limits(classifier: Classifier) -> Limits:
    """The study's limits, and never more pixels than the page takes."""
    crop = classifier.study.card.crop
    return Limits(crop.min_side, min(crop.max_pixels, MOST_PIXELS))


def answer(classifier: Classifier, data: bytes, ending: str, slice: int | None) -> dict[str, Any]:
    """Classify one image file; `ending` is the end of its name, by which some medical files are known.

    Returns what the page shows, ready for JSON: pictures as data URLs, `box` (the part that was cut out) as shares of
    the image, 0 to 1. Raises BadImage.
    """
    name = f"image{ending}"
    grey = decode_grey(data, limits(classifier), name, slice)
    settings = classifier.study.card.crop
    head = find_head(grey, settings)
    shown = cut_out(head, settings)
    (found,) = classifier.classify(shown[None])
    (top, bottom, left, right), (height, width) = head.box, grey.shape
    return {
        "predicted": found.predicted,
        "headline": headline(found),
        "notes": notes(found, classifier.study.threshold),
        "abstain": found.abstain,
        "warning": found.warning is not None,
        "not_excluded": found.not_excluded,
        "probabilities": [
            {"name": name, "spoken": name_of(name), "value": value, "share": share(value)}
            for name, value in found.probabilities.items()
        ],
        "size": [width, height],
        "box": {
            "top": top / height,
            "left": left / width,
            "height": (bottom - top) / height,
            "width": (right - left) / width,
        },
        "image": data_uri(png(shrunk(grey)), "image/png"),
        "crop": data_uri(png(shown), "image/png"),
        "volume": file_kind(data, name) == "NIfTI",
    }


class TooMany(UserError):
    """More images in one request than are taken."""


def answer_zip(classifier: Classifier, data: bytes) -> list[dict[str, Any]]:
    """Classify the images of a zip: what `predict --json` says of each, or `error`, in the order of their paths.

    Raises UserError for what is no zip or an unsafe one, and TooMany."""
    crops, rows = [], []
    with opened_zip(data, "the zip", limits(classifier)) as container:
        entries = [entry for entry in container.entries if entry.may_be_image]
        if len(entries) > MOST_IMAGES:
            raise TooMany(f"{len(entries):,} images in one request; at most {MOST_IMAGES} are taken, send several")
        rows = [{"path": file.path, "error": file.reason} for file in container.refused]
        settings = classifier.study.card.crop
        for entry in entries:
            try:
                crops.append((entry.path, crop(decode_grey(entry.read(), limits(classifier), entry.path), settings)))
            except (BadImage, DamagedMember) as error:
                rows.append({"path": entry.path, "error": str(error)})
    if crops:
        found = classifier.classify(np.stack([image for _, image in crops]))
        rows += [{"path": path, **vars(said)} for (path, _), said in zip(crops, found, strict=True)]
    return sorted(rows, key=lambda row: row["path"])


def shrunk(grey: np.ndarray) -> np.ndarray:
    """The image, uint8 (H, W), no longer than the page shows."""
    factor = SHOWN / max(grey.shape)
    if factor >= 1:
        return grey
    width, height = (max(1, round(side * factor)) for side in grey.shape[::-1])
    return cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)


def heat_map(classifier: Classifier, data: bytes, method: str, name: str) -> bytes:
    """Explain a crop, the PNG that `answer` gave: a PNG in colour of what speaks for the class of that name.

    `method` is one of brain_mri.web.words.methods_of. Raises BadImage where the data are no crop.
    """
    size = classifier.study.card.crop.size
    shown = decode_picture(data, Limits(max_pixels=size * size))
    if shown.shape != (size, size):
        raise BadImage(Reason.WRONG_SIZE)
    (heat,) = classifier.explain(shown[None], [name], method)
    if not HEAT_MAPS[method].coarse:
        heat = np.minimum(heat / (np.quantile(heat, TOP) or 1), 1)
    return png(coloured(heat, classifier.study.params.plots.heatmap))


def coloured(values: np.ndarray, colormap: str) -> np.ndarray:
    """Values 0 to 1 (H, W) in the colours of Matplotlib's map, little of them transparent, so that the image beneath
    stays visible where nothing speaks: uint8 (H, W, 4), blue first as OpenCV wants them."""
    colours = matplotlib.colormaps[colormap](values, bytes=True)[..., [2, 1, 0, 3]]
    colours[..., 3] = np.rint(255 * np.minimum(values / CLEAR, 1))
    return colours


def legend(colormap: str) -> bytes:
    """The colours from little to much, as a PNG of one row."""
    return png(coloured(np.linspace(0, 1, 256)[None], colormap))


def png(image: np.ndarray) -> bytes:
    """Encode an image, uint8 (H, W) or (H, W, 4), without loss."""
    return cv2.imencode(".png", image)[1].tobytes()
