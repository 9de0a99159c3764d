"""Puts a study's report together and renders it: one HTML file that loads nothing from elsewhere."""

from collections.abc import Callable
from typing import Any

from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]

from brain_mri.errors import UserError
from brain_mri.pages import templates
from brain_mri.report import behaviour, data, explaining, findings, making, mistakes, probing, results
from brain_mri.report.blocks import Finding, Missing, Section
from brain_mri.report.study import Study
from brain_mri.report.words import Glossary, count

LIMIT = 10_000_000  # bytes of a page

SECTIONS: dict[str, Callable[[Study], Section | None]] = {
    "The data and its problems": data.section,
    "Both pipelines side by side": results.section,
    "Beside the published tables": results.published,
    "Is it the tumour?": probing.section,
    "Learning curves": behaviour.learning,
    "Confusion": behaviour.confusion,
    "Calibration": behaviour.calibrated,
    "Handing unsure images to a person": behaviour.abstaining,
    "Errors": mistakes.errors,
    "Heat maps": explaining.section,
    "Parameters": making.parameters,
    "Versions, machine and cost": making.versions,
    "How to reproduce it": making.reproduce,
}


def render(study: Study) -> str:
    """Return the page."""
    environment = templates("brain_mri.report")
    glossary = Glossary()
    environment.filters["pieces"] = glossary.pieces
    return environment.get_template("report.html.jinja").render(
        study=study,
        title=title(study),
        about=about(study),
        findings=verdict(study),
        sections=sections(study),
        glossary=glossary,
        plotly=get_plotlyjs(),
    )


def verdict(study: Study) -> list[Finding]:
    """Return the sentences at the top; UserError where the metrics that they need are of another version."""
    try:
        return findings.verdict(study)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        what = f"{type(error).__name__}: {error}"
        raise UserError(
            f"{study.folder}/metrics: of another version of the project ({what}); run `{study.command}`"
        ) from None


def sections(study: Study) -> list[Section]:
    """Return the sections that there are; one whose files are of another version says so."""
    found = []
    for number, (name, build) in enumerate(SECTIONS.items()):
        try:
            section = build(study)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            what = f"a file behind this section is of another version of the project ({type(error).__name__}: {error})"
            section = Section(f"section-{number}", name, [Missing(what, study.command)])
        if section:
            found.append(section)
    return found


def title(study: Study) -> str:
    """The study and what it ran on."""
    name = "The default study" if study.name == "." else study.name
    own = study.metrics.get("dataset", {}).get("dataset", {})
    return f"{name}: {own['name']}" if own.get("name") else name


def about(study: Study) -> list[str]:
    """What was run, in a few words."""
    params: Any = study.params
    test = study.metrics[params.pipeline]["test"]["all"]["n"]
    said = [
        f"network {params.model.network}, {params.model.image_size} by {params.model.image_size} pixels",
        f"split {params.split.policy}, {count(test)} test images",
        f"classes {', '.join(params.dataset.classes)}",
    ]
    if study.commit:
        said.append(
            f"commit {study.commit.number[:7]} of {study.commit.date}"
            + (", changed since" if study.commit.changed else "")
        )
    return said
