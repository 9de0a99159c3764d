"""What the page tells of the study whose network answers; what was not measured is left out."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brain_mri.errors import UserError
from brain_mri.files import read_json
from brain_mri.prediction.study import Study
from brain_mri.web.samples import Sample
from brain_mri.web.words import experience, meaning, methods_of, spoken


@dataclass(frozen=True)
class Choice:
    """An entry of a list to choose from: its value, its words, and what it means."""

    value: str
    words: str
    about: str


def facts(study: Study, samples: Mapping[str, Sample]) -> dict[str, Any]:
    """The values of the template."""
    folder, pipeline = study.model.parent.parent, study.model.stem
    tested = measured(folder / "metrics" / f"{pipeline}.json", "test", "all")
    known = measured(folder / "metrics/gradcam.json", pipeline)
    return {
        "dataset": measured(folder / "metrics/dataset.json", "dataset").get("name"),
        "phantoms": study.params.dataset.source == "phantom",
        "accuracy": tested.get("accuracy"),
        "tested": tested.get("n"),
        "threshold": study.threshold,
        "guard": study.guard is not None,
        "classes": [Choice(name, spoken(name), meaning(name)) for name in study.card.classes],
        "methods": [
            Choice(name, words, " ".join(filter(None, [about, experience(name, known)])))
            for name, (words, about) in methods_of(study).items()
        ],
        "samples": [Choice(name, spoken(sample.label), sample.label) for name, sample in samples.items()],
    }


def measured(path: Path, *keys: str) -> dict[str, Any]:
    """A part of a file of metrics; empty where the file or the part is not there."""
    try:
        part = read_json(path)
    except UserError:
        return {}
    for key in keys:
        part = part.get(key) if isinstance(part, dict) else None
    return part if isinstance(part, dict) else {}
