"""The sections on the data: what the study ran on, and what is wrong with it."""

from typing import Any

from brain_mri.report import charts
from brain_mri.report.blocks import Cell, Chart, Links, Missing, More, Pictures, Prose, Section, Table
from brain_mri.report.pictures import embed, existing
from brain_mri.report.study import Study
from brain_mri.report.words import count, listed, percent, spoken

SHOWN = 12  # label conflicts in the page


def section(study: Study) -> Section:
    """Origin, counts, unusable files, copies, conflicts."""
    blocks: list[Any] = []
    for name, build, stage in (
        ("dataset", origin, "fetch"),
        ("split", counts, "split"),
        ("crop", unusable, "crop"),
        ("split", copies, "split"),
    ):
        if name in study.metrics:
            blocks += build(study)
        else:
            missing = Missing(f"metrics/{name}.json is not there (stage {stage})", study.command)
            blocks += [missing] if missing not in blocks else []
    blocks += pictures(study)
    return Section("data", "The data and its problems", blocks)


def origin(study: Study) -> list[Any]:
    """Where the images come from, with licence and citation."""
    blocks: list[Any] = []
    for role, row in study.metrics["dataset"].items():
        if not isinstance(row, dict) or "name" not in row:
            continue
        what = "The study's own images" if role == "dataset" else f"The {role} images"
        facts = [[key.capitalize(), str(row[key])] for key in ("licence", "citation") if row.get(key)]
        blocks.append(Table(f"{what}: {row['name']}", ["", ""], facts, words=True))
        if row.get("url"):
            blocks.append(Links("Source", str(row["url"]).split(" | ")))
    return blocks


def counts(study: Study) -> list[Any]:
    """Images by split and class."""
    split = study.metrics["split"]
    tables = {name: row for name, row in split.items() if name != "audit" and row["images"]}
    labels = list(dict.fromkeys([*study.params.dataset.classes, *(k for row in tables.values() for k in row)]))
    labels = [label for label in labels if label not in ("images", "groups")]
    names = {"train": "training", "val": "validation", "test": "test", "external": "external"}
    rows: list[list[str | Cell]] = [
        [
            names.get(name, name),
            *(count(row.get(label, 0)) for label in labels),
            count(row["images"]),
            count(row["groups"]),
        ]
        for name, row in tables.items()
    ]
    policy = {
        "official": "The data set's own test set; its training images are divided into training and validation.",
        "leak_free": "The data set's own test set; training images with a copy in it are left out.",
        "grouped": "Drawn afresh from all images, so that no group of copies stands on two sides.",
    }[study.params.split.policy]
    return [
        Table("Images by split and class", ["", *labels, "all", "groups"], rows),
        Prose(
            f"{policy} A group holds the copies of one slice and, where patients are known, the slices of one patient."
        ),
    ]


def unusable(study: Study) -> list[Any]:
    """What the crop could not use."""
    crop = study.metrics["crop"]
    used, quarantined = count(crop["used"]), count(crop["quarantined"])
    text = f"Of {count(crop['found'])} images found {used} are used and {quarantined} quarantined"
    reasons = [f"{n} {spoken(reason)}" for reason, n in (crop.get("quarantined_by_reason") or {}).items()]
    text += f": {listed(reasons)}." if reasons else "."
    area = crop.get("area_kept")
    if area and area.get("median") is not None:
        text += (
            f" The crop keeps {percent(area['median'])} of an image's area (median; from {percent(area['min'])} to "
            f"{percent(area['max'])}); {count(crop.get('kept_whole', 0))} images are kept whole because no head was "
            "found."
        )
    rows = study.table("data/quarantine.csv")
    if not rows:
        return [Prose(text)]
    table = Table("Quarantined images", ["image", "reason"], [[row["path"], row["reason"]] for row in rows], words=True)
    return [Prose(text), More("The quarantined images", [table])]


def copies(study: Study) -> list[Any]:
    """Redundant files, test images with a copy in training, label conflicts."""
    audit = study.metrics["split"]["audit"]
    redundant, leaks = audit["redundant_files"], audit.get("test_images_with_a_copy_in_training")
    by_level = listed([f"{count(row['all'])} by {level}" for level, row in redundant.items()])
    largest = (
        f" The largest group of copies has {count(audit['largest_group'])} files." if audit["largest_group"] > 1 else ""
    )
    blocks: list[Any] = [
        Prose(
            "Copies are looked for at three levels: the same bytes, the same pixels, and near (the same slice encoded "
            "again, with another contrast, or mirrored). Redundant files are those that could go without a picture "
            f"being lost: {by_level}, each level "
            f"holding the one before.{largest}"
        ),
    ]
    if leaks and leaks["all"]["with_copy"]:
        blocks += [published_copies(leaks), turned(leaks)]
    elif leaks:
        blocks.append(
            Prose(
                f"None of the {count(leaks['all']['of'])} images of the data set's own test set has a copy in its "
                "training set."
            )
        )
    if redundant["near"]["all"]:
        rows = [[label, *(count(row[label]) for row in redundant.values())] for label in redundant["near"]]
        blocks.append(More("Redundant files by class", [Table("Redundant files", ["", *redundant], rows)]))
    left = audit.get("external_left_out", {}).get("images")
    if left:
        blocks.append(Prose(f"{count(left)} external images are left out because a copy of them trains or validates."))
    return blocks + conflicts(audit)


def published_copies(leaks: dict[str, Any]) -> Chart:
    """Test images as published, by what level of copy the training folder holds of them."""
    labels = [label for label in leaks if label != "all"]
    bars = {level: {label: leaks[label]["level"][level] for label in labels} for level in leaks["all"]["level"]}
    bars["without a copy"] = {label: leaks[label]["of"] - leaks[label]["with_copy"] for label in labels}
    every = leaks["all"]
    said = [f"{leaks[label]['with_copy']} of {leaks[label]['of']} {label}" for label in labels]
    alt = (
        f"{count(every['with_copy'])} of {count(every['of'])} images of the data set's own test set have a copy in "
        f"its training set, by strictest level: {listed([f'{level} {n}' for level, n in every['level'].items()])}. "
        f"By class: {listed(said)}."
    )
    return charts.stacked(
        "copies", "The data set's own test images with a copy in its training set, by strictest level", bars, alt
    )


def turned(leaks: dict[str, Any]) -> Prose:
    """How the copies are turned."""
    ways = [f"{count(n)} {spoken(way)}" for way, n in leaks["all"]["orientation"].items() if n]
    return Prose(f"How the copies stand to the test images: {listed(ways)}.")


def conflicts(audit: dict[str, Any]) -> list[Any]:
    """Groups of copies whose files have different labels."""
    found = audit.get("label_conflicts") or []
    if not found:
        return [Prose("No group of copies has files of two labels.")]
    rows = [[str(len(group)), ", ".join(group[:4]) + (", …" if len(group) > 4 else "")] for group in found[:SHOWN]]
    more = f" The first {SHOWN} of them:" if len(found) > SHOWN else ""
    table = Table(f"Copies under different labels.{more}", ["files", "which"], rows, words=True)
    text = f"{count(len(found))} groups of copies have files of different labels, among them coarser ones."
    return [Prose(text), More("Copies under different labels", [table])]


def pictures(study: Study) -> list[Any]:
    """Resolutions, and of phantoms the steps of the crop."""
    crop = study.metrics.get("crop", {})
    sizes = f", {count(crop['raw_sizes'])} different sizes" if crop.get("raw_sizes") else ""
    shown = [
        embed(
            study.folder / "plots/resolutions.png",
            f"Scatter of image width and height before and after the crop{sizes} as found; afterwards every image is "
            f"{study.params.crop.size} by {study.params.crop.size} pixels.",
            "Sizes before and after the crop",
            wide=True,
        )
    ]
    if not study.real:
        alt = "For one phantom of each class: the image, its largest contour, the box of its extreme points, the crop."
        shown.append(embed(study.folder / "plots/crop_steps.png", alt, "The steps of the crop", wide=True))
    there = existing(*shown)
    return [More("Sizes, and the crop in pictures" if not study.real else "Sizes", [Pictures(there)])] if there else []
