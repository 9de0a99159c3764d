"""Pictures of a report, inside the page. Of real images, which show people, a page holds at most REAL."""

import base64
from collections.abc import Sequence
from pathlib import Path

import cv2

from brain_mri.errors import UserError
from brain_mri.report.blocks import Picture
from brain_mri.report.curves import predictions
from brain_mri.report.study import PIPELINES, Study

PHANTOMS, REAL = 24, 8  # pictures in a page; phantoms show nobody
QUALITY = 90  # of WebP, 1 to 100
DETAIL = 2  # a detail picture shows its image twice: outlined, and under the map


def embed(path: Path, alt: str, caption: str = "", wide: bool = False) -> Picture | None:
    """Return a picture as a part of the page, coded anew so that a page stays small; None where it is not there."""
    if not path.is_file():
        return None
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise UserError(f"{path}: damaged; remove it and run `dvc repro`")
    coded = cv2.imencode(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])[1].tobytes()
    return Picture("data:image/webp;base64," + base64.b64encode(coded).decode("ascii"), alt, caption, wide)


def errors(study: Study) -> list[Picture]:
    """The test images that a pipeline gets wrong most confidently, each once, as many as a page may hold."""
    limit = REAL - DETAIL if study.real else PHANTOMS
    rows = study.table("data/errors/errors.csv") or []
    wrong = sorted((row for row in rows if row["kind"] == "confident error"), key=lambda row: int(row["rank"]))
    said = {pipeline: _answers(study, pipeline) for pipeline in PIPELINES}
    found: list[Picture] = []
    for name in dict.fromkeys(row["image"] for row in wrong):
        answers = {pipeline: table[name] for pipeline, table in said.items() if name in table}
        file = study.folder / "data/cropped/images" / name
        if not answers or not file.resolve().is_relative_to((study.folder / "data").resolve()):
            continue
        label, part = next((row["label"], row["part"]) for row in answers.values())
        says = "; ".join(f"{p}: {row['predicted']} {float(row['confidence']):.2f}" for p, row in answers.items())
        alt = f"{_what(study)} of class {label}, {part} test image {Path(name).name}. {says}."
        picture = embed(file, alt, f"{label} ({part}). {says}")
        found += [picture] if picture else []
        if len(found) == limit:
            break
    return found


def _what(study: Study) -> str:
    return "Cropped brain MRI slice" if study.real else "Brain MRI phantom"


def _answers(study: Study, pipeline: str) -> dict[str, dict[str, str]]:
    """What a pipeline says of each test image, with its confidence after temperature scaling."""
    table = predictions(study, pipeline)
    if table is None:
        return {}
    classes = study.params.dataset.classes
    return {
        row["path"]: {**row, "predicted": classes[int(values.argmax())], "confidence": f"{values.max():.6f}"}
        for row, values in zip(table.rows, table.after, strict=True)
    }


def explanation(study: Study, pipeline: str, name: str, alt: str, caption: str = "") -> list[Picture]:
    """A picture of the explanations, wide; none where it is not there."""
    picture = embed(study.folder / f"plots/gradcam/{pipeline}/{name}.png", alt, caption, wide=True)
    return [picture] if picture else []


def existing(*pictures: Picture | None) -> Sequence[Picture]:
    """The pictures that are there."""
    return [picture for picture in pictures if picture]
