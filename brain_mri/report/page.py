"""Puts a study's report together and renders it: one HTML file that loads nothing from elsewhere."""

from collections.abc import Callable, Iterable
from typing import Any

from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]

from brain_mri.pages import templates
from brain_mri.report import behaviour, data, explaining, findings, making, metrics, mistakes, probing
from brain_mri.report.blocks import Section
from brain_mri.report.study import Study
from brain_mri.report.words import Glossary, cell

LIMIT = 10_000_000  # bytes of a page

# Anchor, title, the metrics without which there is nothing to show, what builds the section.
SECTIONS: tuple[tuple[str, str, str | None, Callable[[Study], Iterable[Any]]], ...] = (
    ("data", "The data and its problems", None, data.section),
    ("results", "Both pipelines side by side", None, metrics.section),
    ("published", "Beside the published tables", None, metrics.published),
    ("probes", "Is it the tumour? Shortcut probes and robustness", "probe", probing.section),
    ("learning", "Learning curves", None, behaviour.learning),
    ("confusion", "Confusion", None, behaviour.confusion),
    ("calibration", "Calibration", None, behaviour.calibrated),
    ("selective", "Handing unsure images to a person", None, behaviour.abstaining),
    ("sets", "Classes that cannot be excluded", None, behaviour.excluding),
    ("errors", "Errors", None, mistakes.section),
    ("explanations", "What the answers rest on: heat maps", "gradcam", explaining.section),
    ("parameters", "Parameters", None, making.parameters),
    ("versions", "Versions, machine and cost", None, making.versions),
    ("reproduce", "How to reproduce it", None, making.reproduce),
)


def render(study: Study) -> str:
    """Return the page."""
    environment = templates("brain_mri.report")
    glossary = Glossary()
    environment.filters |= {"pieces": glossary.pieces, "cell": cell}
    return environment.get_template("report.html.jinja").render(
        title=title(study),
        about=about(study),
        findings=findings.verdict(study),
        sections=sections(study),
        glossary=glossary,
        plotly=get_plotlyjs(),
    )


def sections(study: Study) -> list[Section]:
    """Return the sections that have something to show."""
    found = []
    for name, title, needed, build in SECTIONS:
        if needed is None or needed in study.metrics:
            blocks = list(build(study))
        else:
            blocks = [study.missing(f"metrics/{needed}.json is not there (stage {needed})")]
        found += [Section(name, title, blocks)] if blocks else []
    return found


def title(study: Study) -> str:
    """The study and what it ran on."""
    name = "The default study" if study.name == "." else study.name
    return f"{name}: {study.metrics['dataset']['dataset']['name']}" if "dataset" in study.metrics else name


def about(study: Study) -> list[str]:
    """What was run, in a line each."""
    model, dataset = study.params.model, study.params.dataset
    facts = [
        f"network {model.network}, {model.image_size} by {model.image_size} pixels",
        f"split {study.params.split.policy}{', by patient' if study.params.split.patients else ''}, "
        f"{study.sizes['all']:,} test images",
        f"classes {', '.join(dataset.classes)}",
    ]
    if study.commit:
        changed = ", changed since" if study.uncommitted else ""
        facts.append(f"results of commit {study.commit} ({study.date}){changed}")
    return facts
