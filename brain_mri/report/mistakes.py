"""The sections on errors: as pictures, as pairs of classes, as suspected labels."""

from typing import Any

from brain_mri.report import pictures
from brain_mri.report.blocks import Cell, Missing, More, Pictures, Prose, Section, Table
from brain_mri.report.study import PIPELINES, Study
from brain_mri.report.words import count, number, percent


def errors(study: Study) -> Section:
    """Errors as pictures, the pairs that are confused, the labels that may be wrong."""
    blocks: list[Any] = []
    shown = pictures.errors(study)
    if study.table("data/errors/errors.csv") is None:
        blocks.append(
            Missing("data/errors is not there (stage evaluate): no pictures of errors", f"dvc pull, or {study.command}")
        )
    elif not shown:
        blocks.append(
            Missing(
                "data/cropped or data/predictions is not there: no pictures of errors", f"dvc pull, or {study.command}"
            )
        )
    else:
        few = (
            " These are images of people: the page holds no more than eight such pictures in all." if study.real else ""
        )
        blocks.append(
            Prose(
                f"The {len(shown)} test images that a pipeline gets wrong with the highest confidence. Below each "
                "its class, what each pipeline says, and with what confidence (after dividing by the "
                f"temperature).{few}"
            )
        )
        blocks.append(Pictures(shown))
    blocks += counted(study)
    tables = []
    for pipeline in PIPELINES:
        pairs = study.table(f"data/errors/confused_{pipeline}.csv")
        if pairs:
            rows: list[list[str | Cell]] = [
                [f"{row['label']} called {row['predicted']}", row["n"], percent(float(row["share"]))] for row in pairs
            ]
            tables.append(
                Table(
                    f"{pipeline}: what is taken for what, all test images", ["", "images", "share of the class"], rows
                )
            )
    if tables:
        blocks.append(More("What is taken for what", tables))
    return Section("errors", "Errors", blocks + suspects(study))


def counted(study: Study) -> list[Any]:
    """How many test images each pipeline gets wrong, and how many of them the other one does too."""
    sentences = []
    for pipeline in PIPELINES:
        row = (study.metrics[pipeline].get("errors") or {}).get("all")
        if row:
            sentences.append(
                f"{pipeline} gets {count(row['n'])} test images wrong; {count(row['wrong_in_both'])} of them the other "
                f"pipeline gets wrong too, {count(row['same_wrong_class'])} with the same answer."
            )
    return [Prose(" ".join(sentences))] if sentences else []


def suspects(study: Study) -> list[Any]:
    """Labels that may be the mistake."""
    rows = study.table("data/errors/label_suspects.csv")
    if rows is None:
        return []
    if not rows:
        return [Prose("Confident learning suspects no label of the validation and test images.")]
    head = ["image", "label", "both say", "probability of the label"]
    body = [
        [
            r["image"],
            r["label"],
            r.get("predicted") or r.get("suggested") or "",
            number(float(r["probability_of_label"])),
        ]
        for r in rows
    ]
    text = (
        f"Confident learning, on both pipelines' mean, suspects the label of {count(len(rows))} validation and test "
        "images. A suspicion is no proof: someone who reads such images has to look."
    )
    return [Prose(text), More("The suspected labels", [Table("Suspected labels, worst first", head, body, words=True)])]
