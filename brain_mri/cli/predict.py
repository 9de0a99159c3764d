"""Classify brain MRI images with the model of a study that has been run. No medical device: for study and teaching.

    brain-mri predict image.jpg scan.dcm            (a table: the class, calibrated probabilities, remarks)
    brain-mri predict folder --explain maps         (and a picture of what speaks for each answer)
    brain-mri predict --csv images.csv --json       (one JSON object a line; the table has a column `path`)
    brain-mri predict volume.nii.gz --slice 90 --study studies/compact

Reads PNG, JPEG, BMP, TIFF, GIF, WebP, DICOM of one frame, NIfTI; folders and zips of them. Every image is cropped as
the training images were. The model is the released one (released/), else the default study's, which knows phantoms
alone, unless --study names a study; of a study it is that of its own pipeline (`pipeline` in its params.yaml) unless
--pipeline names one. An answer below the confidence that the study asks for is left to a person; classes that cannot be
excluded stand beside it. What is no brain MRI by the measure of metrics/guard.json gets a warning.

Exit code: 0, every image was answered; 1, some could not be read (listed on stderr); 2, nothing could be answered.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from brain_mri.cli import named_path, one_line, warn

if TYPE_CHECKING:
    import numpy as np

    from brain_mri.params import Crop
    from brain_mri.prediction.classifier import Answer, Classifier
    from brain_mri.prediction.inputs import Input, Unread

BATCH = 32
CHUNK = 16  # images read by a process at once
MANY = 300  # images for which it pays to start processes that read them
TO_A_PERSON = "for a person to decide"
WIDEST = 60  # characters of a name in the table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("images", nargs="*", type=named_path, metavar="IMAGE", help="image files, folders, zips")
    parser.add_argument(
        "--csv", type=named_path, metavar="TABLE", help="a CSV with a column path, relative to its folder"
    )
    parser.add_argument("--study", type=named_path, metavar="FOLDER", help="default: see below")
    parser.add_argument("--pipeline", choices=["noaug", "aug"], help="default: the one of the study's params.yaml")
    parser.add_argument("--explain", type=named_path, metavar="FOLDER", help="write there what speaks for each answer")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--slice", type=int, metavar="N", help="of NIfTI volumes, from 0; default: the middle one")


def main(options: argparse.Namespace) -> None:
    from brain_mri.errors import UserError

    if not options.images and not options.csv:
        raise UserError("name at least one image, a folder, or --csv")
    from brain_mri.images.badimage import Limits
    from brain_mri.prediction.inputs import list_inputs
    from brain_mri.prediction.study import open_study

    study = open_study(options.study, options.pipeline)
    settings = study.card.crop
    if options.explain:
        make_folder(options.explain)
    answered = 0
    classifier = None
    taken: set[str] = set()
    with list_inputs(options.images, options.csv, Limits(settings.min_side, settings.max_pixels)) as (images, bad):
        if options.explain:
            seen_from = [Path(), *([options.csv.parent] if options.csv else [])]
            check_apart(options.explain, {folder / Path(image.name).parent for image in images for folder in seen_from})
        show = json_line if options.json else Table(images, study.card.classes).line
        for batch, crops in batches(images, settings, options.slice, bad):
            if classifier is None:  # so late, because loading takes seconds, and there may be nothing to classify
                from brain_mri.prediction.classifier import Classifier

                classifier = Classifier(study)
                for note in study.notes:
                    warn(note)
            answers = classifier.classify(crops)
            for image, answer in zip(batch, answers, strict=True):
                print(show(image, answer), flush=True)
            if options.explain:
                paths = [options.explain / free_name(image.name, taken) for image in batch]
                write_explanations(paths, crops, answers, classifier)
            answered += len(batch)
    for name, reason in bad:
        warn(f"{name}: {reason}")
    if len(bad) > 1 or (bad and answered):
        warn(f"{len(bad)} of {answered + len(bad)} images could not be read")
    if bad:
        sys.exit(1 if answered else 2)


def make_folder(folder: Path) -> None:
    from brain_mri.errors import UserError

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UserError(f"--explain {folder}: a file stands there, and pictures go into a folder; name one") from None


def check_apart(folder: Path, of_images: Iterable[Path]) -> None:
    """Raise UserError where an image lies in the folder of the pictures, which get the images' names."""
    from brain_mri.errors import UserError

    if folder.resolve() in {other.resolve() for other in of_images}:
        raise UserError(f"--explain {folder}: images lie there, and pictures of their names go there; name another")


def batches(
    images: Sequence["Input"], settings: "Crop", slice: int | None, bad: list["Unread"]
) -> Iterator[tuple[list["Input"], "np.ndarray"]]:
    """Read and crop images, and yield as many as the network takes at once; `bad` gets each that fails. Of many images
    the next are read by other processes while the network looks at these."""
    from functools import partial

    import numpy as np

    from brain_mri.prediction.inputs import Unread, read_input
    from brain_mri.workers import workers

    batch: list[tuple[Input, np.ndarray]] = []
    read = partial(read_input, settings=settings, slice=slice)
    with workers(len(images) // MANY + 1) as pool:
        for place, (image, found) in enumerate(zip(images, pool.map(read, images, CHUNK), strict=True), start=1):
            if isinstance(found, Unread):
                bad.append(found)
            else:
                batch.append((image, found.crop))
                for remark in found.remarks:
                    warn(f"{image.name}: {remark}")
            if batch and (len(batch) == BATCH or place == len(images)):
                yield [image for image, _ in batch], np.stack([crop for _, crop in batch])
                batch = []


def json_line(image: "Input", answer: "Answer") -> str:
    rounded = {name: round(value, 6) for name, value in answer.probabilities.items()}
    unicode = str(getattr(sys.stdout, "encoding", None)).lower().startswith("utf")
    return json.dumps({"path": image.name, **vars(answer), "probabilities": rounded}, ensure_ascii=not unicode)


class Table:
    """A plain table for people; the header is printed with the first line."""

    def __init__(self, images: Sequence["Input"], classes: Sequence[str]):
        widths = [min(max(map(len, ["image", *(image.name for image in images)])), WIDEST)]
        widths += [max(map(len, ["predicted", *classes])), *(max(5, len(name)) for name in classes)]
        self.row = "  ".join(f"{{:{'<' if place < 2 else '>'}{width}}}" for place, width in enumerate(widths)) + "  {}"
        self.header = self.row.format("image", "predicted", *classes, "remark") + "\n"

    def line(self, image: "Input", answer: "Answer") -> str:
        name = one_line(image.name)
        name = name if len(name) <= WIDEST else f"...{name[3 - WIDEST :]}"
        shares = [f"{value:.3f}" for value in answer.probabilities.values()]
        others = f"{', '.join(answer.not_excluded)} not excluded" if answer.not_excluded else ""
        remark = "; ".join(filter(None, [answer.warning, TO_A_PERSON if answer.abstain else "", others]))
        header, self.header = self.header, ""
        return (header + self.row.format(name, answer.predicted, *shares, remark)).rstrip()


def write_explanations(
    paths: Sequence[Path], crops: "np.ndarray", answers: Sequence["Answer"], classifier: "Classifier"
) -> None:
    """Draw each crop and, over it, what speaks for its answer."""
    import numpy as np

    from brain_mri.figures.explanations import explanation_detail

    study = classifier.study
    maps = classifier.explain(crops, [answer.predicted for answer in answers])
    for path, crop, values, answer in zip(paths, crops, maps, answers, strict=True):
        title = f"{answer.predicted}, {answer.probabilities[answer.predicted]:.0%}"
        title += f", {TO_A_PERSON}" if answer.abstain else ""
        title += f"\n{answer.warning}" if answer.warning else ""
        explanation_detail(crop, {study.offered: values}, np.zeros(crop.shape, bool), title, path, study.params.plots)


def free_name(name: str, taken: set[str]) -> str:
    """Return a file name for the picture of an image that is not among `taken`, and add it: scan.png, scan-2.png."""
    from brain_mri.sources.raw import safe_name

    stem, number = safe_name(Path(name).stem), 1
    while (free := f"{stem}.png" if number == 1 else f"{stem}-{number}.png").casefold() in taken:
        number += 1
    taken.add(free.casefold())
    return free
