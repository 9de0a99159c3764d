"""The section on errors: as pictures, as pairs of classes, as suspected labels."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from brain_mri.report.blocks import More, Picture, Pictures, Table
from brain_mri.report.pictures import DETAIL, PHANTOMS, REAL, embed
from brain_mri.report.study import PIPELINES, Study
from brain_mri.report.words import percent


def section(study: Study) -> Iterator[Any]:
    """Errors as pictures, the pairs that are confused, the labels that may be wrong."""
    rows = study.table("data/errors/errors.csv")
    if rows is None:
        yield study.missing("data/errors is not there (stage evaluate): no pictures of errors")
    elif shown := pictures(study, rows):
        people = "These are images of people: the page holds no more than eight such pictures in all."
        yield (
            f"The {len(shown)} test images that a pipeline gets wrong with the highest confidence. Below each its "
            "class, what each pipeline answers, and with what confidence (after dividing by the temperature). "
            f"{people if study.real else ''}"
        )
        yield Pictures(shown)
    else:
        yield study.missing("data/cropped or data/predictions is not there: no pictures of errors")
    counts = {pipeline: study.metrics[pipeline]["errors"]["all"] for pipeline in PIPELINES}
    yield " ".join(
        f"{pipeline} gets {row['n']:,} test images wrong; {row['wrong_in_both']:,} of them the other pipeline gets "
        f"wrong too, {row['same_wrong_class']:,} with the same answer."
        for pipeline, row in counts.items()
    )
    tables = []
    for pipeline in PIPELINES:
        if pairs := study.table(f"data/errors/confused_{pipeline}.csv"):
            body = [[f"{p['label']} called {p['predicted']}", p["n"], percent(float(p["share"]))] for p in pairs]
            caption = f"{pipeline}: what is taken for what, all test images"
            tables.append(Table(caption, ["", "images", "share of the class"], body))
    if tables:
        yield More("What is taken for what", tables)
    yield from suspects(study)


def pictures(study: Study, rows: list[dict[str, str]]) -> list[Picture]:
    """The test images that a pipeline gets wrong most confidently, each once, as many as a page may hold."""
    limit, kind = (REAL - DETAIL, "Cropped brain MRI slice") if study.real else (PHANTOMS, "Brain MRI phantom")
    classes = study.params.dataset.classes
    answers: dict[str, dict[str, str]] = {}  # path, pipeline -> class and confidence after temperature scaling
    facts = {}
    for pipeline in PIPELINES:
        if predictions := study.predictions(pipeline):
            for row, shares in zip(predictions.rows, predictions.after, strict=True):
                answers.setdefault(row["path"], {})[pipeline] = f"{classes[int(shares.argmax())]} {shares.max():.2f}"
                facts[row["path"]] = row["label"], row["part"]
    wrong = sorted((row for row in rows if row["kind"] == "confident error"), key=lambda row: int(row["rank"]))
    root = (study.folder / "data").resolve()
    found: list[Picture] = []
    for path in dict.fromkeys(row["image"] for row in wrong):
        file = f"data/cropped/images/{path}"
        if path in answers and (study.folder / file).resolve().is_relative_to(root) and len(found) < limit:
            label, part = facts[path]
            both = "; ".join(f"{pipeline}: {answer}" for pipeline, answer in answers[path].items())
            alt = f"{kind} of class {label}, {part} test image {Path(path).name}. {both}."
            found += embed(study, file, alt, f"{label} ({part}). {both}", wide=False)
    return found


def suspects(study: Study) -> Iterator[Any]:
    """Labels that may be the mistake."""
    rows = study.table("data/errors/label_suspects.csv")
    if rows == []:
        yield "Confident learning suspects no label of the validation and test images."
    if rows:
        yield (
            f"Confident learning, on both pipelines' mean, suspects the label of {len(rows):,} validation and test "
            "images. A suspicion is no proof: a person who can read such images has to check."
        )
        body = [[r["image"], r["label"], r["predicted"], f"{float(r['probability_of_label']):.3f}"] for r in rows]
        head = ["image", "label", "both predict", "probability of the label"]
        yield More("The suspected labels", [Table("Suspected labels, worst first", head, body, words=True)])
