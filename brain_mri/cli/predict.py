"""Classify brain MRI images with the model of a study that has been run. No medical device: for study and teaching.

    python predict.py image.jpg scan.dcm            (a table: the class, calibrated probabilities, remarks)
    python predict.py folder --explain maps         (and a picture of what speaks for each answer)
    python predict.py --csv images.csv --json       (one JSON object a line; the table has a column `path`)
    python predict.py volume.nii.gz --slice 90 --study studies/compact

Reads PNG, JPEG, BMP, TIFF, GIF, WebP, DICOM of one frame, NIfTI; folders and zips of them. Every image is cropped as
the training images were. The study is studies/compact-robust once that has been run or pulled, else the default study,
which knows phantoms alone, unless --study names one; the model is that of the study's own pipeline (`pipeline` in its
params.yaml) unless --pipeline names one. An answer below the confidence that the study asks for is left to a person.
What is no brain MRI by the measure of metrics/guard.json gets a warning.

Exit code: 0, every image was answered; 1, some could not be read (listed on stderr); 2, nothing could be answered.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import brain_mri

# Anything heavy is imported where it is used, so that --help and a mistyped name are answered at once.
if TYPE_CHECKING:
    import numpy as np

    from brain_mri.params import Crop
    from brain_mri.prediction.classifier import Answer, Classifier
    from brain_mri.prediction.inputs import Input

BATCH = 32
TO_A_PERSON = "for a person to decide"
WIDEST = 60  # characters of a name in the table


def main(options: argparse.Namespace) -> None:
    from brain_mri.images.badimage import Limits
    from brain_mri.prediction.inputs import listed
    from brain_mri.prediction.study import default_study, open_study

    study = open_study(options.study or default_study(Path(brain_mri.__file__).parent.parent), options.pipeline)
    settings = study.card.crop
    bad: list[str] = []
    answered = 0
    classifier = None
    pictures = Pictures(options.explain) if options.explain else None
    with listed(options.images, options.csv, Limits(settings.min_side, settings.max_pixels)) as inputs:
        bad += inputs.refused
        show = json_line if options.json else Table(inputs.images, study.card.classes).line
        for images, crops in batches(inputs.images, settings, options.slice, bad):
            if classifier is None:  # so late, because loading takes seconds, and there may be nothing to classify
                from brain_mri.prediction.classifier import Classifier

                classifier = Classifier(study)
                for note in study.notes:
                    say(note)
            answers = classifier.classify(crops)
            for image, answer in zip(images, answers, strict=True):
                print(show(image, answer), flush=True)
            if pictures:
                pictures.write([image.name for image in images], crops, answers, classifier)
            answered += len(images)
    for line in bad:
        say(line)
    if len(bad) > 1 or (bad and answered):
        say(f"{len(bad)} of {answered + len(bad)} images could not be read")
    if bad:
        sys.exit(1 if answered else 2)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="*", type=Path, metavar="IMAGE", help="image files, folders, zips")
    parser.add_argument("--csv", type=Path, metavar="TABLE", help="a CSV with a column path, relative to its folder")
    parser.add_argument("--study", type=Path, metavar="FOLDER", help="default: see above")
    parser.add_argument("--pipeline", choices=["noaug", "aug"], help="default: the one of the study's params.yaml")
    parser.add_argument(
        "--explain", type=Path, metavar="FOLDER", help="write the crop and what speaks for the answer there"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--slice", type=int, metavar="N", help="of NIfTI volumes, from 0; default: the middle one")
    options = parser.parse_args()
    if not options.images and not options.csv:
        parser.error("name at least one image, a folder, or --csv")
    return options


def say(line: str) -> None:
    print(f"{Path(sys.argv[0]).name}: {line}", file=sys.stderr)


def batches(
    images: Sequence["Input"], settings: "Crop", slice: int | None, bad: list[str]
) -> Iterator[tuple[list["Input"], "np.ndarray"]]:
    """Read and crop images, and yield as many as the network takes at once; `bad` gets a line for each that fails."""
    import numpy as np

    from brain_mri.images.badimage import BadImage
    from brain_mri.images.nifti import is_nifti
    from brain_mri.prediction.inputs import read_crop

    batch: list[tuple[Input, np.ndarray]] = []
    for place, image in enumerate(images, start=1):
        try:
            data = image.read()
            batch.append((image, read_crop(data, image.name, settings, slice)))
            if slice is None and is_nifti(data, image.name):
                say(f"{image.name}: the middle slice is taken; --slice N takes another")
        except BadImage as error:
            bad.append(f"{image.name}: {error}")
        if batch and (len(batch) == BATCH or place == len(images)):
            yield [image for image, _ in batch], np.stack([crop for _, crop in batch])
            batch = []


def json_line(image: "Input", answer: "Answer") -> str:
    rounded = {name: round(value, 6) for name, value in answer.probabilities.items()}
    return json.dumps({"path": image.name, **vars(answer), "probabilities": rounded}, ensure_ascii=False)


class Table:
    """A plain table for people; the header is printed with the first line."""

    def __init__(self, images: Sequence["Input"], classes: Sequence[str]):
        self.width = min(max([len("image"), *(len(image.name) for image in images)]), WIDEST)
        self.answer = max(len("predicted"), *(len(name) for name in classes))
        self.columns = [max(5, len(name)) for name in classes]
        names = "  ".join(f"{name:>{width}}" for name, width in zip(classes, self.columns, strict=True))
        self.header = f"{'image':{self.width}}  {'predicted':{self.answer}}  {names}  remark\n"

    def line(self, image: "Input", answer: "Answer") -> str:
        name = image.name if len(image.name) <= WIDEST else f"...{image.name[3 - WIDEST :]}"
        values = answer.probabilities.values()
        shares = "  ".join(f"{value:{width}.3f}" for value, width in zip(values, self.columns, strict=True))
        remark = "; ".join(filter(None, [answer.warning, TO_A_PERSON if answer.abstain else ""]))
        header, self.header = self.header, ""
        return f"{header}{name:{self.width}}  {answer.predicted:{self.answer}}  {shares}  {remark}".rstrip()


class Pictures:
    """The pictures of --explain: the crop and, over it, what speaks for the answer."""

    def __init__(self, folder: Path):
        self.folder, self.taken = folder, set[str]()

    def write(
        self, names: Sequence[str], crops: "np.ndarray", answers: Sequence["Answer"], classifier: "Classifier"
    ) -> None:
        import numpy as np

        from brain_mri.figures.explanations import explanation_detail

        heats = classifier.explain(crops, [answer.predicted for answer in answers])
        for name, crop, heat, answer in zip(names, crops, heats, answers, strict=True):
            title = f"{answer.predicted}, {answer.probabilities[answer.predicted]:.0%}"
            title += f", {TO_A_PERSON}" if answer.abstain else ""
            title += f"\n{answer.warning}" if answer.warning else ""
            no_mask = np.zeros(crop.shape, bool)
            path = self.folder / self.free_name(name)
            explanation_detail(
                crop, {classifier.study.offered: heat}, no_mask, title, path, classifier.study.params.plots
            )

    def free_name(self, name: str) -> str:
        """A name for the picture of an image, another one for each: scan.png, scan-2.png."""
        from brain_mri.sources.raw import safe_name

        stem, number = safe_name(Path(name).stem), 1
        while (free := f"{stem}.png" if number == 1 else f"{stem}-{number}.png").casefold() in self.taken:
            number += 1
        self.taken.add(free.casefold())
        return free


if __name__ == "__main__":
    options = parse()
    from brain_mri.errors import run

    try:
        run(partial(main, options))
    except BrokenPipeError:  # whoever read the answers has stopped, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
