"""What the predictions' tables say: labels, parts, and probabilities before and after temperature scaling."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from brain_mri.errors import UserError
from brain_mri.evaluation.calibration import apply_temperature, to_logits
from brain_mri.files import read_csv
from brain_mri.report.study import Study
from brain_mri.statistics.metrics import confusion_matrix


@dataclass(frozen=True)
class Predictions:
    """Of N test images: the table's rows, labels int (N,), whether each is clean, probabilities float (N, C)."""

    rows: list[dict[str, str]]
    labels: np.ndarray
    clean: np.ndarray
    before: np.ndarray
    after: np.ndarray


def predictions(study: Study, pipeline: str) -> Predictions | None:
    """Return what a pipeline says of the test images; None where the table is not there."""
    path = study.folder / f"data/predictions/{pipeline}_test.csv"
    if not path.is_file():
        return None
    temperature = study.metrics[pipeline]["calibration"]["temperature"]
    return _read(path.resolve(), tuple(study.params.dataset.classes), temperature)


@lru_cache(maxsize=4)
def _read(path: Path, classes: tuple[str, ...], temperature: float) -> Predictions:
    rows = read_csv(path)
    try:
        labels = np.array([classes.index(row["label"]) for row in rows], np.int64)
        before = np.array([[float(row[f"p_{name}"]) for name in classes] for row in rows]).reshape(-1, len(classes))
        clean = np.array([row["part"] == "clean" for row in rows], bool)
    except (KeyError, ValueError, TypeError):
        raise UserError(f"{path}: not the predictions of these classes; remove it and run `dvc repro`") from None
    return Predictions(rows, labels, clean, before, apply_temperature(to_logits(before), temperature))


def matrices(study: Study, pipeline: str) -> dict[str, np.ndarray]:
    """Confusion matrices, int (C, C), by part: all, and clean where that is another set."""
    classes = study.params.dataset.classes
    said = predictions(study, pipeline)
    if said is None:
        rows = study.table(f"plots/confusion/{pipeline}.csv") or []
        pairs = [(classes.index(row["actual"]), classes.index(row["predicted"])) for row in rows]
        actual, predicted = np.array(pairs, np.int64).reshape(-1, 2).T
        return {"all": confusion_matrix(actual, predicted, len(classes))} if rows else {}
    parts = {"clean": said.clean, "all": np.ones(len(said.labels), bool)}
    if not 0 < said.clean.sum() < len(said.clean):
        del parts["clean"]
    called = said.before.argmax(1)
    return {name: confusion_matrix(said.labels[at], called[at], len(classes)) for name, at in parts.items()}
