"""The section on the data: what the study ran on, and what is wrong with it."""

from collections.abc import Iterator
from typing import Any

from brain_mri.report import charts
from brain_mri.report.blocks import Links, More, Pictures, Table
from brain_mri.report.pictures import embed
from brain_mri.report.study import Study
from brain_mri.report.words import listed, percent, readable

SHOWN = 12  # label conflicts in the page
POLICIES = {
    "official": "The data set's own test set; its training images are divided into training and validation.",
    "leak_free": "The data set's own test set; training images with a copy in it are left out.",
    "grouped": "Drawn afresh from all images, so that no group of copies stands on two sides.",
}
SPLITS = {"train": "training", "val": "validation", "test": "test", "external": "external"}


def section(study: Study) -> Iterator[Any]:
    """Origin, counts, unusable files, copies, conflicts."""
    for name, describe in (("dataset", origin), ("split", counts), ("crop", unusable), ("split", copies)):
        if name in study.metrics:
            yield from describe(study, study.metrics[name])
        elif describe is not copies:
            stage = "fetch" if name == "dataset" else name
            yield study.missing(f"metrics/{name}.json is not there (stage {stage})")
    yield from pictures(study)


def origin(study: Study, metrics: dict[str, Any]) -> Iterator[Any]:
    """Where the images come from, with licence and citation."""
    for role, row in metrics.items():
        whose = "The study's own images" if role == "dataset" else f"The {role} images"
        facts = [[key.capitalize(), row[key]] for key in ("licence", "citation") if row[key]]
        yield Table(f"{whose}: {row['name']}", ["", ""], facts, words=True)
        if row["url"]:
            yield Links("Source", row["url"].split(" | "))


def counts(study: Study, metrics: dict[str, Any]) -> Iterator[Any]:
    """Images by split and class."""
    tables = {name: metrics[name] for name in SPLITS if metrics[name]["images"]}
    labels = dict.fromkeys([*study.params.dataset.classes, *(key for row in tables.values() for key in row)])
    columns = [*(label for label in labels if label not in ("images", "groups")), "images", "groups"]
    rows = [[SPLITS[name], *(row.get(label, 0) for label in columns)] for name, row in tables.items()]
    yield Table("Images by split and class", ["", *columns[:-2], "all", "groups"], rows)
    group = "A group holds the copies of one slice and, where patients are known, the slices of one patient."
    yield f"{POLICIES[study.params.split.policy]} {group}"


def unusable(study: Study, metrics: dict[str, Any]) -> Iterator[Any]:
    """What the crop could not use."""
    reasons = [f"{n} {readable(reason)}" for reason, n in metrics["quarantined_by_reason"].items()]
    area = {name: percent(value) for name, value in metrics["area_kept"].items()}
    yield (
        f"Of {metrics['found']:,} images found {metrics['used']:,} are used and {metrics['quarantined']:,} quarantined"
        f"{': ' + listed(reasons) if reasons else ''}. The crop keeps {area['median']} of an image's area (median; "
        f"from {area['min']} to {area['max']}); {metrics['kept_whole']:,} images are kept whole because no head was "
        "found."
    )
    if rows := study.table("data/quarantine.csv"):
        files = [[row["path"], row["reason"]] for row in rows]
        yield More("The quarantined images", [Table("Quarantined images", ["image", "reason"], files, words=True)])


def copies(study: Study, metrics: dict[str, Any]) -> Iterator[Any]:
    """Redundant files, test images with a copy in training, label conflicts."""
    audit = metrics["audit"]
    redundant, leaks = audit["redundant_files"], audit.get("test_images_with_a_copy_in_training")
    by_level = listed([f"{row['all']:,} by {level}" for level, row in redundant.items()])
    n = audit["largest_group"]
    yield (
        "Copies are looked for at three levels: the same bytes, the same pixels, and near (the same slice encoded "
        "again, with another contrast, or mirrored). Redundant files are those that could go without a picture being "
        f"lost: {by_level}, each level holding the one before."
        f"{f' The largest group of copies has {n:,} files.' if n > 1 else ''}"
    )
    if leaks and leaks["all"]["with_copy"]:
        yield from published_copies(leaks)
    elif leaks:
        n = leaks["all"]["of"]
        yield f"None of the {n:,} images of the data set's own test set has a copy in its training set."
    yield from patients(audit.get("patients") or {}, audit.get("scans"))
    if redundant["near"]["all"]:
        rows = [[label, *(row[label] for row in redundant.values())] for label in redundant["near"]]
        yield More("Redundant files by class", [Table("Redundant files", ["", *redundant], rows)])
    if left := audit["external_left_out"]["images"]:
        yield f"{left:,} external images are left out because a copy of them trains or validates."
    yield from conflicts(audit["label_conflicts"])


def patients(shared: dict[str, Any], scans: dict[str, Any] | None) -> Iterator[Any]:
    """Held-out images whose patient training has seen; nothing where no patient is known."""
    names = {"val": "validation", "test": "test", "published_test": "the data set's own test set"}
    rows = [
        [names[split], *(row[key] for key in ("of", "patient_known", "patient_in_training"))]
        for split, row in shared.items()
        if row["patient_known"]
    ]
    if rows:
        head = ["held out", "images", "of a known patient", "of a patient that training has seen"]
        yield "A copy is one way in which training sees a test image; another slice of the same head is the other."
        yield Table("Patients on both sides", head, rows)
    if scans and scans["known_links"]:
        yield (
            f"Of {scans['images_without_patient']:,} images the patient is unknown; {scans['of_these_linked']:,} of "
            "them look like a slice of another's head. On images of known patients such a look is right in "
            f"{percent(scans['known_precision'])} and finds {percent(scans['known_recall'])} of the pairs."
        )


def published_copies(leaks: dict[str, Any]) -> Iterator[Any]:
    """Test images as published: by level of the copy that the training folder holds of them, and how it is turned."""
    by_class = {label: row for label, row in leaks.items() if label != "all"}
    every = leaks["all"]
    bars = {level: {label: row["level"][level] for label, row in by_class.items()} for level in every["level"]}
    bars["without a copy"] = {label: row["of"] - row["with_copy"] for label, row in by_class.items()}
    levels = listed([f"{level} {n}" for level, n in every["level"].items()])
    classes = listed([f"{row['with_copy']} of {row['of']} {label}" for label, row in by_class.items()])
    alt = (
        f"{every['with_copy']:,} of {every['of']:,} images of the data set's own test set have a copy in its training "
        f"set, by strictest level: {levels}. By class: {classes}."
    )
    title = "The data set's own test images with a copy in its training set, by strictest level"
    yield charts.stacked("copies", title, bars, alt)
    ways = [f"{n:,} {readable(way)}" for way, n in every["orientation"].items() if n]
    yield f"How the copies stand to the test images: {listed(ways)}."


def conflicts(groups: list[list[str]]) -> Iterator[Any]:
    """Groups of copies whose files have different labels."""
    if not groups:
        yield "No group of copies has files of two labels."
        return
    yield f"{len(groups):,} groups of copies have files of different labels, among them coarser ones."
    rows = [[str(len(group)), ", ".join(group[:4]) + (", …" if len(group) > 4 else "")] for group in groups[:SHOWN]]
    title = "Copies under different labels"
    first = f". The first {SHOWN} of them:" if len(groups) > SHOWN else ""
    yield More(title, [Table(title + first, ["files", "which"], rows, words=True)])


def pictures(study: Study) -> Iterator[Any]:
    """Resolutions, and of phantoms the steps of the crop."""
    crop = study.metrics.get("crop")
    sizes = f", {crop['raw_sizes']:,} different sizes" if crop else ""
    size = study.params.crop.size
    alt = f"Scatter of image width and height before and after the crop{sizes} as found; afterwards every image is "
    found = embed(study, "plots/resolutions.png", f"{alt}{size} by {size} pixels.", "Sizes before and after the crop")
    if not study.real:
        alt = "For one phantom of each class: the image, its largest contour, the box of its extreme points, the crop."
        found += embed(study, "plots/crop_steps.png", alt, "The steps of the crop")
    if found:
        yield More("Sizes" if study.real else "Sizes, and the crop in pictures", [Pictures(found)])
