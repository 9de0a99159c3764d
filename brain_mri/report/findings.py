"""The sentences at the top of a report: what the study found, the bad news first. Each rests on the metrics alone."""

from typing import Any

from brain_mri.report.blocks import TONES, Finding
from brain_mri.report.study import PIPELINES, Study
from brain_mri.report.words import count, listed, share, short_share

FEW = 30  # images of a class: below it a part's figures hardly speak of the class
SEES_TONES = {"sees": "result", "partly": "caution", "ignores": "bad", "open": "unknown"}


def verdict(study: Study) -> list[Finding]:
    """Return the findings in the order in which they must be read."""
    found = [
        *stale(study),
        *accuracy(study),
        *leaks(study),
        *sees_the_tumour(study),
        *elsewhere(study),
        *difference(study),
        *explanations(study),
    ]
    return sorted(found, key=lambda finding: finding.tone != TONES[0])


def stale(study: Study) -> list[Finding]:
    """Parameters that the run had otherwise than params.yaml has them now."""
    changed = [f"{row.key} {row.run_with}" for row in study.parameters if row.run_with is not None]
    if not changed:
        return []
    text = f"params.yaml was changed since: these results were made with {listed(changed)}. "
    text += f"`{study.command}` runs it anew."
    return [Finding("caution", text)]


def order(study: Study) -> list[str]:
    """The pipelines, the study's own first."""
    return sorted(PIPELINES, key=lambda pipeline: pipeline != study.params.pipeline)


def _both(study: Study, part: str) -> str:
    rows = [
        (
            pipeline,
            study.metrics[pipeline]["test"][part]["accuracy"],
            study.metrics["intervals"][pipeline][part]["accuracy"],
        )
        for pipeline in order(study)
    ]
    (first, *values), (second, *others) = rows
    return f"{first} is right on {share(*values)}, {second} on {short_share(*others)}"


def accuracy(study: Study) -> list[Finding]:
    """Accuracy on the clean test images and on all of them."""
    n = {part: study.metrics[study.params.pipeline]["test"][part]["n"] for part in ("all", "clean", "leaked")}
    if not n["clean"]:
        return [
            Finding("bad", f"No test image is clean: all {count(n['all'])} are leaked. There, {_both(study, 'all')}.")
        ]
    if not n["leaked"]:
        return [Finding("result", f"On the {count(n['all'])} test images, all of them clean, {_both(study, 'all')}.")]
    text = (
        f"On the {count(n['clean'])} clean test images {_both(study, 'clean')}. On all {count(n['all'])}, the leaked "
        f"ones included, {_both(study, 'all')}."
    )
    found = [Finding("result", text)]
    classes = study.metrics[study.params.pipeline]["test"]["clean"]["classes"]
    rare = [f"{row['support']} of {name}" for name, row in classes.items() if row["support"] < FEW]
    if rare:
        found.append(
            Finding(
                "caution",
                f"Among the clean images are only {listed(rare)}: of such a class they say little or nothing.",
            )
        )
    return found


def sees_the_tumour(study: Study) -> list[Finding]:
    """The probes' verdicts."""
    if "probe" not in study.metrics:
        return [
            Finding(
                "unknown",
                f"Whether the classifier sees the tumour was not asked; `{study.command}` does it (stage probe).",
            )
        ]
    from brain_mri.probing.shortcuts import judge  # brings scikit-learn in, which takes seconds

    found = []
    for pipeline in order(study):
        row = study.metrics["probe"][pipeline]
        covered = row["probes"]["inpainted"]
        tone = SEES_TONES[judge(covered["kept"])] if covered["n"] else "unknown"
        found.append(Finding(tone, row["verdict"]))
    return found


def elsewhere(study: Study) -> list[Finding]:
    """Of tumours from other collections, the share called some tumour; bad where it is below the study's own."""
    sources = study.metrics[study.params.pipeline].get("external") or {}
    if not sources:
        return [Finding("unknown", "There are no external images: whether any of this holds elsewhere is not known.")]
    return [finding for source in sources for finding in _source(study, source)]


def _source(study: Study, source: str) -> list[Finding]:
    rows = {pipeline: study.metrics[pipeline]["external"][source] for pipeline in order(study)}
    first = next(iter(rows.values()))
    if first.get("called_tumour") is None:
        what = "no image of it shows a tumour" if first["n"] else "none of its images is left, all are copies"
        return [Finding("unknown", f"Of the external images of {source}, {what}: it says nothing of sensitivity.")]
    part = own_part(study)
    said: list[str] = []
    tone = "result"
    for pipeline, row in rows.items():
        interval = study.metrics["intervals"][pipeline]["external"][source]["called_tumour"]
        own = study.metrics["intervals"][pipeline][part]["tumour"]["sensitivity"]
        tone = "bad" if own and interval and interval[1] < own[0] else tone
        said.append(
            f"{pipeline} calls " + (share if not said else short_share)(row["called_tumour"], interval) + " some tumour"
        )
    own_values = [
        f"{pipeline} {100 * study.metrics[pipeline]['test'][part]['tumour']['sensitivity']:.1f} %"
        for pipeline in rows
        if study.metrics[pipeline]["test"][part]["tumour"]["sensitivity"] is not None
    ]
    beside = f" Of the tumours among the study's own {part} test images: {listed(own_values)}." if own_values else ""
    n = count(first.get("n_with_tumour", first["n"]))
    return [Finding(tone, f"Of {n} external images with a tumour, from {source}, {listed(said)}.{beside}")]


def own_part(study: Study) -> str:
    """The part of the test set that stands for the study: the clean one where there is one."""
    return "clean" if study.metrics[study.params.pipeline]["test"]["clean"]["n"] else "all"


def leaks(study: Study) -> list[Finding]:
    """How many test images are leaked."""
    n = {part: study.metrics[study.params.pipeline]["test"][part]["n"] for part in ("all", "leaked")}
    if not n["leaked"]:
        return []
    text = (
        f"{count(n['leaked'])} of {count(n['all'])} test images are leaked, so that accuracy on all of them is no "
        "measure of how the classifier does on new patients."
    )
    return [Finding("caution", text)]


def difference(study: Study) -> list[Finding]:
    """The paired test's sentence, on the clean images where there are some."""
    part = own_part(study)
    row = study.metrics["comparison"][part]
    where = {"clean": "On the clean test images: ", "all": "On all test images: "}[part]
    text = row["verdict"]
    return [Finding("result", where + text[0].lower() + text[1:])]


def explanations(study: Study) -> list[Finding]:
    """The pointing game of the map that the network offers, and the methods whose maps survive random weights."""
    metrics: dict[str, Any] | None = study.metrics.get("gradcam")
    pipeline = study.params.pipeline
    if not metrics or not metrics[pipeline]["grad_cam"]["pointing_game"]["n"]:
        return []
    method = "lesion_map" if "lesion_map" in metrics[pipeline] else "grad_cam"
    hits, usual = metrics[pipeline][method]["pointing_game"], metrics["chance"]["mean_lesion"]["pointing_game"]
    whose = {"grad_cam": "Grad-CAM's", "lesion_map": "The lesion map's"}[method]
    text = (
        f"{whose} highest point lies in the outlined lesion in {share(hits['value'], hits['interval'])} of "
        f"{count(hits['n'])} lesion images of {pipeline} (pointing game); a map fixed at the usual places has "
        f"{100 * usual:.1f} %, noise {100 * metrics['chance']['random']['pointing_game']:.1f} %."
    )
    found = [Finding("result" if hits["interval"][0] > usual else "caution", text)]
    verdicts = metrics[pipeline].get("sanity", {}).get("verdicts", {})
    failing = [row["sentence"] for row in verdicts.values() if not row["passes"]]
    if failing:
        n = f"{len(failing)} of {len(verdicts)} explanation methods of {pipeline}"
        text = f"{n} fail the test of randomised weights: {'; '.join(failing)}."
        found.append(Finding("caution", text))
    return found
