"""What the page tells a person who is no engineer: classes, reservations, methods, and why a file was refused."""

import math
from pathlib import Path
from typing import Any

from brain_mri.explanation.maps import LESION_MAP
from brain_mri.files import read_yaml
from brain_mri.images.badimage import BadImage, Limits, Reason
from brain_mri.prediction.classifier import Answer
from brain_mri.prediction.study import Study
from brain_mri.results import Explained

_TEXTS: dict[str, Any] = read_yaml(Path(__file__).parent / "templates/words.yaml")
READS: str = _TEXTS["reads"]  # kinds of files
CLASSES: dict[str, dict[str, str]] = _TEXTS["classes"]  # name, meaning
METHODS: dict[str, dict[str, str]] = _TEXTS["methods"]  # name, about
REFUSALS: dict[str, str] = _TEXTS["refusals"]  # by the name of a Reason; other, slice
PROBLEMS: dict[int, str] = _TEXTS["problems"]  # by status of HTTP


def methods_of(study: Study) -> dict[str, dict[str, str]]:
    """The methods that the study's network knows, the one that it offers first; of a release that one alone."""
    others = study.keras is not None
    return {name: words for name, words in METHODS.items() if name == study.offered or (others and name != LESION_MAP)}


def name_of(label: str) -> str:
    """A class as people call it."""
    return CLASSES[label]["name"] if label in CLASSES else label.replace("_", " ")


def meaning(label: str) -> str:
    """What a class is, in a line; empty for one that is not known."""
    return CLASSES[label]["meaning"] if label in CLASSES else ""


def share(value: float) -> str:
    """A probability, 0 to 1, in per cent; never a certainty that only rounding makes."""
    if value > 0.999:
        return "more than 99.9 %"
    return "less than 0.1 %" if value < 0.001 else f"{100 * value:.1f} %"


def headline(answer: Answer) -> str:
    """The answer in one line: what is doubted comes before the class."""
    if answer.warning:
        return "This does not look like a brain MRI"
    if answer.abstain:
        return "Not sure: a person has to decide"
    return name_of(answer.predicted)


def notes(answer: Answer, threshold: float | None) -> list[str]:
    """What to make of the answer, a sentence or two each."""
    name, confidence = name_of(answer.predicted), share(answer.probabilities[answer.predicted])
    found = []
    if answer.warning:
        found.append(
            "The picture differs from all images that the network has learned from. It answers all the same, because "
            "it can only choose among its classes: please do not rely on anything below."
        )
    if answer.abstain and threshold == math.inf:
        found.append(
            f"The likeliest class is {name} ({confidence}), but on validation images no probability was high enough "
            "for this study to give an answer by itself."
        )
    elif answer.abstain and threshold is not None:
        found.append(
            f"The likeliest class is {name}, but its probability, {confidence}, is below the {share(threshold)} "
            "that this study asks for before it gives an answer."
        )
    elif answer.warning:
        found.append(f"The class that the network would choose is {name} ({confidence}).")
    elif meaning(answer.predicted):
        found.append(f"{name}: {meaning(answer.predicted)}. The network gives it a probability of {confidence}.")
    else:
        found.append(f"The network gives {name} a probability of {confidence}.")
    if answer.not_excluded and not answer.warning:
        found.append(f"Not excluded: {', '.join(map(name_of, answer.not_excluded))}.")
    return found


def refusal(error: BadImage, limits: Limits, most_bytes: int, of_slice: bool = False) -> str:
    """Why an image was refused; the limits are those of the page, `of_slice`: a certain slice was asked for."""
    if of_slice and error.reason == Reason.UNSUPPORTED:
        return REFUSALS["slice"]
    return REFUSALS.get(error.reason.name, REFUSALS["other"]).format(
        reads=READS, side=limits.min_side, pixels=limits.max_pixels / 1e6, megabytes=most_bytes // 2**20
    )


def experience(method: str, explained: Explained | None) -> str:
    """What the study's own test of a method of explanation showed; empty for one that was not tested."""
    found = []
    tables = (explained.model_extra or {}) if explained else {}
    if method in tables and (pointing := tables[method].pointing_game).value is not None:
        found.append(
            f"In this study's test its highest point lay in the tumour in {100 * pointing.value:.0f} % of "
            f"{pointing.n} images with a tumour."
        )
    verdict = explained.sanity.verdicts.get(method) if explained else None
    if verdict and not verdict.passes:
        found.append("It hardly changes when the network is made random, so it says little about the network.")
    return " ".join(found)
