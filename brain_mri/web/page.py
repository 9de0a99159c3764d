"""The page: what it tells of the study whose network answers; what was not measured is left out."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from brain_mri import results
from brain_mri.errors import UserError
from brain_mri.images.badimage import BadImage, Limits, Reason
from brain_mri.pages import templates
from brain_mri.prediction.study import Study
from brain_mri.web.samples import Sample
from brain_mri.web.words import READS, experience, meaning, methods_of, name_of, refusal

R = TypeVar("R", bound=results.Result)


def render(study: Study, samples: Mapping[str, Sample], limits: Limits, most_bytes: int, local: bool) -> str:
    """Return the page; the limits are of an image, `local`: the page is for this computer alone."""
    folder, pipeline = study.folder, study.pipeline
    dataset = read_if_there(folder / "metrics/dataset.json", results.Dataset)
    evaluation = read_if_there(folder / f"metrics/{pipeline}.json", results.Evaluation)
    gradcam = read_if_there(folder / "metrics/gradcam.json", results.Gradcam)
    explained = getattr(gradcam, pipeline) if gradcam else None
    return (
        templates("brain_mri.web")
        .get_template("page.html.jinja")
        .render(
            local=local,
            reads=READS,
            bytes=most_bytes,
            pixels=limits.max_pixels,
            too_large=refusal(BadImage(Reason.TOO_LARGE), limits, most_bytes),
            dataset=dataset and dataset.dataset.name,
            phantoms=study.params.dataset.source == "phantom",
            accuracy=evaluation and evaluation.test.all.accuracy,
            tested=evaluation and evaluation.test.all.n,
            threshold=study.threshold,
            guard=study.guard is not None,
            classes=[_choice(name, name_of(name), meaning(name)) for name in study.card.classes],
            methods=[
                _choice(method, words["name"], f"{words['about']} {experience(method, explained)}".strip())
                for method, words in methods_of(study).items()
            ],
            samples=[_choice(address, name_of(sample.label)) for address, sample in samples.items()],
        )
    )


def _choice(value: str, words: str, about: str = "") -> dict[str, str]:
    """An entry of a list to choose from."""
    return {"value": value, "words": words, "about": about}


def read_if_there(path: Path, schema: type[R]) -> R | None:
    try:
        return results.read(path, schema)
    except UserError:
        return None
