"""Numbers and names as people read them, and the terms that a report explains where it first uses them."""

import re
from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any, NamedTuple

from brain_mri.report.blocks import Cell

DASH, MINUS = "\u2013", "\u2212"  # en dash, minus sign
Rate = Mapping[str, Any]  # value, interval

TERMS = {
    "noaug": "The pipeline that trains on the images as they are, without augmentation.",
    "aug": "The pipeline that also turns, shifts and scales the training images at random (augmentation); validation "
    "and test images stay as they are.",
    "clean": "A test image is clean where neither a copy of it nor another slice of the same patient, as far as "
    "patients are known, is among the images that trained or validated the network.",
    "leaked": "A test image is leaked where a copy of it, or another slice of the same patient, is among the images "
    "that trained or validated the network: a right answer may be memory.",
    "interval": "95 % interval: a range made so that, over repeated samples of images, 95 % of such ranges hold the "
    "true value. Drawn by group: copies of one slice, and slices of one patient, count together.",
    "sensitivity": "Of the images with a tumour, the share that is called any tumour, whatever its type.",
    "specificity": "Of the images without a tumour, the share that is called so.",
    "precision": "Of the images that are called this class, the share that is of it.",
    "recall": "Of the images of a class, the share that is called it.",
    "F1": "The harmonic mean of precision and recall.",
    "balanced accuracy": "The mean of the classes' recalls: each class counts alike, however many images it has.",
    "ROC AUC": "The chance that an image of the class gets a higher probability for it than an image of another class: "
    "0.5 is guessing, 1 perfect. Macro: the mean over the classes.",
    "log loss": "Mean of minus the logarithm of the probability given to the right class; lower is better.",
    "Brier score": "Mean squared distance between the probabilities and the truth, summed over the classes: 0 to 2, "
    "lower is better.",
    "McNemar test": "Asks whether two classifiers differ, from the images that only one of them gets right. p is the "
    "probability of a split at least as uneven if they were equally good.",
    "ECE": "Expected calibration error: the mean gap between how sure the classifier is and how often it is right; "
    "0 is best.",
    "confidence": "The largest of the probabilities that the classifier gives to the classes.",
    "temperature": "One number, fitted on validation images, by which the network's outputs are divided so that its "
    "confidence fits; the predicted class stays the same.",
    "coverage": "The share of images that the classifier answers; the others go to a person.",
    "AURC": "Area under error rate against coverage; lower is better.",
    "external": "Images from other collections, never used to train, validate or choose anything.",
    "pointing game": "The share of lesion images in which the map's highest point lies inside the outlined lesion.",
    "chance": "What a method that knows nothing of the image or of the model would score; for maps: noise, or a map "
    "fixed at the places where lesions are most often.",
    "Grad-CAM": "A heat map of where the last convolution's features speak for the class that is explained.",
    "energy in the lesion": "The share of a map's sum that lies inside the outlined lesion.",
    "IoU": "Intersection over union of the lesion and the map's part above half of its maximum.",
    "deletion": "The probability of the class while the map's highest pixels are removed first: a faithful map makes "
    "it fall early, so lower is better.",
    "insertion": "The probability of the class while the map's highest pixels are shown first: higher is better.",
    "ROAD": "Like deletion, with the removed pixels filled from their neighbours, so that the hole itself says little.",
    "inpainted": "The lesion is covered by what its surroundings continue to.",
    "sham": "The same patch moved without a lesion: what the cut alone does.",
    "quarantined": "Found but not used, because it cannot be read or is no usable image.",
}


class Piece(NamedTuple):
    """A stretch of running text."""

    text: str
    kind: str = "words"  # words, code, or term
    explanation: str = ""


class Glossary:
    """Cuts running text into pieces: code between backticks, and terms, each explained where it comes first."""

    def __init__(self) -> None:
        self.used: dict[str, str] = {}
        names = "|".join(re.escape(name) for name in sorted(TERMS, key=len, reverse=True))
        self._pattern = re.compile(rf"`(?P<code>[^`]+)`|(?<![\w-])(?P<term>{names})(?![\w-])")

    def pieces(self, text: str) -> list[Piece]:
        """Cut `text`; a term that was explained before is words like others."""
        found, end = [], 0
        for match in self._pattern.finditer(text):
            term, code = match["term"], match["code"]
            if term in self.used:
                continue
            found.append(Piece(text[end : match.start()]))
            if term:
                self.used[term] = TERMS[term]
                found.append(Piece(term, "term", TERMS[term]))
            else:
                found.append(Piece(code, "code"))
            end = match.end()
        return [*found, Piece(text[end:])]


def number(value: float | None, digits: int = 3, sign: str = "") -> str:
    """A metric; a dash where it is not defined. `sign` "+" shows it of a positive one too."""
    return DASH if value is None or isnan(value) else f"{value:{sign}.{digits}f}".replace("-", MINUS)


def bounds(interval: Sequence[float] | None) -> str:
    """An interval such as 0.919 to 0.968, with a dash for "to"; empty where there is none."""
    return "" if interval is None else DASH.join(map(number, interval))


def percent(value: float | None) -> str:
    """A share as people say it: 94.9 %."""
    return DASH if value is None else f"{100 * value:.1f} %"


def share(rate: Rate, interval: str = "95 % interval ") -> str:
    """A share with its interval in words; `interval`: what it is called, empty where that was just said."""
    if rate["value"] is None:
        return "not defined"
    ends = rate["interval"]
    return percent(rate["value"]) + (f" ({interval}{100 * ends[0]:.1f} to {100 * ends[1]:.1f} %)" if ends else "")


def cell(value: Any) -> Cell:
    """A cell of a table: text as it is, a count with commas, a number with 3 decimals, a rate with its interval."""
    if isinstance(value, Cell):
        return value
    if isinstance(value, Mapping):
        return Cell(number(value["value"]), bounds(value["interval"]))
    if isinstance(value, str):
        return Cell(value)
    return Cell(f"{value:,}" if isinstance(value, int) else number(value))


def listed(parts: Sequence[str]) -> str:
    """a, b and c."""
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]])) if parts else ""


NAMES = {
    "grad_cam": "Grad-CAM",
    "grad_cam_pp": "Grad-CAM++",
    "guided_grad_cam": "guided Grad-CAM",
    "iou": "IoU",
    "energy_in_mask": "energy in the lesion",
    "sobel": "edges of the image (Sobel)",
    "random": "random map",
    "area": "share of the image that is lesion",
    "mean_lesion": "map fixed at the usual places",
    "flip_lr": "mirrored left-right",
    "flip_ud": "mirrored top-bottom",
    "identity": "not turned",
    "rot90": "turned by 90 degrees",
    "rot180": "turned by 180 degrees",
    "rot270": "turned by 270 degrees",
    "transpose": "mirrored along a diagonal",
    "antitranspose": "mirrored along the other diagonal",
}


def readable(key: str) -> str:
    """A key of a JSON file as people write it."""
    return NAMES.get(key, key.replace("_", " "))
