"""What the page says to a person who is no engineer: classes, reservations, methods, and why a file was refused."""

from collections.abc import Mapping
from typing import Any

from brain_mri.images.badimage import BadImage, Limits, Reason
from brain_mri.prediction.classifier import Answer
from brain_mri.prediction.study import Study

READS = "PNG, JPEG, BMP, TIFF, GIF, WebP, DICOM and NIfTI"

CLASSES = {
    "glioma": ("Glioma", "a tumour that grows from the supporting cells of the brain"),
    "meningioma": ("Meningioma", "a tumour of the membranes around the brain"),
    "notumor": ("No tumour", "none of the tumours that the network has learned"),
    "pituitary": ("Pituitary tumour", "a tumour of the small gland below the brain"),
}

METHODS = {
    "lesion_map": (
        "Lesion map",
        "Where the network itself, which has learned to draw lesions, sees one of this class; for no tumour, where it "
        "comes nearest to seeing one.",
    ),
    "grad_cam": ("Grad-CAM", "The regions whose features speak for the class. Coarse, and easy to read."),
    "grad_cam_pp": ("Grad-CAM++", "As Grad-CAM, weighted so that several separate regions can show."),
    "guided_grad_cam": ("Guided Grad-CAM", "Fine lines of guided backpropagation within the regions of Grad-CAM."),
    "gradient": ("Gradient", "The pixels whose brightness would change the answer most if it changed a little."),
    "guided_backpropagation": (
        "Guided backpropagation",
        "Fine lines that excite the network. They follow edges, whatever the class.",
    ),
    "integrated_gradients": (
        "Integrated gradients",
        "How much each pixel adds to the class on the way from a black image to this one.",
    ),
    "sobel": (
        "Edges alone (for comparison)",
        "Only the edges of the image: this map knows nothing of the network. A map that looks like it explains little.",
    ),
}

COARSE = ("lesion_map", "grad_cam", "grad_cam_pp")  # maps of regions, shown as they are

REFUSALS = {
    Reason.EMPTY: "This file is empty. Please choose another one.",
    Reason.NOT_AN_IMAGE: f"This file is not an image that this page can read. It reads {READS}.",
    Reason.TRUNCATED: "This file breaks off before its end. Perhaps a download or a copy was cut short: please get it "
    "again.",
    Reason.UNDECODABLE: "This file is damaged, or of a rare kind that this page cannot read. Please open it in an "
    "image program and save it as PNG.",
    Reason.UNSUPPORTED: f"This file is of a kind that this page cannot read. It reads {READS} in shades of grey.",
    Reason.WRONG_SIZE: "This file is damaged: the picture in it is not of the size that the file states. Please get it "
    "again.",
    Reason.TOO_SMALL: "This picture is too small to see a brain in it: each side needs at least {side} pixels.",
    Reason.TOO_LARGE: "This picture is too large: {pixels:g} million pixels and {megabytes} MB are the most that "
    "this page takes. Please make it smaller.",
    Reason.ONE_VALUE: "This picture has one shade only, so there is nothing to see in it.",
    Reason.SEVERAL_FRAMES: "This file holds several pictures. Please save the one that you mean as a file of its own.",
}
OTHER_REFUSAL = "This file cannot be read. Please choose another one."
NO_SUCH_SLICE = "This file has no slice of that number."

PROBLEMS = {
    400: "This request makes no sense to the page. Please load the page again.",
    404: "There is nothing at this address. The page itself is at /.",
    405: "This address cannot be used that way. The page itself is at /.",
    408: "The file took too long to arrive. Please try again.",
    411: "The file came without its length. Please load the page again.",
    415: "The file did not come from this page. Please load the page again.",
    500: "Something went wrong here, and it is not your fault. Please try another image.",
    503: "Too many images are waiting at the moment. Please try again in a few seconds.",
}


def methods_of(study: Study) -> dict[str, tuple[str, str]]:
    """The methods that the study's network knows, the one that it offers first."""
    return {name: words for name, words in METHODS.items() if name != "lesion_map" or name == study.offered}


def spoken(name: str) -> str:
    """A class as people say it."""
    return CLASSES[name][0] if name in CLASSES else name.replace("_", " ")


def meaning(name: str) -> str:
    """What a class is, in a few words; empty for one that is not known."""
    return CLASSES[name][1] if name in CLASSES else ""


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
    return spoken(answer.predicted)


def notes(answer: Answer, threshold: float | None) -> list[str]:
    """What to make of the answer, a sentence or two each."""
    name, confidence = spoken(answer.predicted), share(answer.probabilities[answer.predicted])
    said = []
    if answer.warning:
        said.append(
            "The picture differs from all images that the network has learned from. It answers all the same, because "
            "it can only choose among its classes: please do not rely on anything below."
        )
    if answer.abstain and threshold is not None:
        said.append(
            f"The likeliest class is {name}, but its probability, {confidence}, is below the {share(threshold)} "
            "that this study asks for before it gives an answer."
        )
    elif answer.warning:
        said.append(f"The class that the network would choose is {name} ({confidence}).")
    elif meaning(answer.predicted):
        said.append(f"{name}: {meaning(answer.predicted)}. The network gives it a probability of {confidence}.")
    else:
        said.append(f"The network gives {name} a probability of {confidence}.")
    return said


def refusal(error: BadImage, limits: Limits, most_bytes: int, of_slice: bool = False) -> str:
    """Why an image was refused; the limits are those of the page, `of_slice`: a certain slice was asked for."""
    if of_slice and error.reason == Reason.UNSUPPORTED:
        return NO_SUCH_SLICE
    return REFUSALS.get(error.reason, OTHER_REFUSAL).format(
        side=limits.min_side, pixels=limits.max_pixels / 1e6, megabytes=most_bytes // 2**20
    )


def experience(name: str, known: Mapping[str, Any]) -> str:
    """What the study's own test of a method of explanation showed; empty for one that was not tested.

    `known` is a pipeline's part of metrics/gradcam.json, or empty."""
    said = []
    pointing = (known.get(name) or {}).get("pointing_game") or {}
    if pointing.get("value") is not None:
        said.append(
            f"In this study's test its highest point lay in the tumour in {100 * pointing['value']:.0f} % of "
            f"{pointing['n']} images with a tumour."
        )
    verdicts = (known.get("sanity") or {}).get("verdicts") or {}
    if name in verdicts and not verdicts[name]["passes"]:
        said.append("It hardly changes when the network is made random, so it says little about the network.")
    return " ".join(said)
