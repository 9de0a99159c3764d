"""The sentences at the top of a report: what the study found, the bad news first. Each rests on the metrics alone."""

from collections.abc import Iterator

from brain_mri.probing.shortcuts import judge
from brain_mri.report.blocks import TONES, Finding
from brain_mri.report.study import Study
from brain_mri.report.words import listed, percent, share

RARE = 30  # images of a class: below it a part's figures hardly speak of the class
SEES_TONES = {"sees": "result", "partly": "caution", "ignores": "bad", "open": "unknown"}


def verdict(study: Study) -> list[Finding]:
    """Return the findings in the order in which they must be read."""
    found = [
        finding
        for find in (changes, accuracy, leaks, sees_the_tumour, external, difference, explanations)
        for finding in find(study)
    ]
    return sorted(found, key=lambda finding: finding.tone != TONES[0])


def changes(study: Study) -> Iterator[Finding]:
    """Code and parameters that the run had otherwise than they are now."""
    code = list(dict.fromkeys(change.stage for change in study.changes if change.kind == "code"))
    found = [f"stages whose code has changed since: {listed(code)}"] if code else []
    if params := [f"{key} {value}" for key, value in study.changed_params.items()]:
        found.append(f"parameters changed since, with the values of the run: {listed(params)}")
    if found:
        origin = f"results of commit {study.commit} ({study.date})" if study.commit else "older results"
        yield Finding("caution", f"These are {origin}; {'; '.join(found)}. `{study.command}` runs the study anew.")


def accuracy(study: Study) -> Iterator[Finding]:
    """Accuracy on the clean test images and on all of them."""
    n = study.sizes

    def right(part: str) -> str:
        first, second = study.order
        ends = share(study.rate(first, part, "accuracy")), share(study.rate(second, part, "accuracy"), "")
        return f"{first} is right on {ends[0]}, {second} on {ends[1]}"

    if not n["clean"]:
        yield Finding("bad", f"No test image is clean: all {n['all']:,} are leaked. There, {right('all')}.")
        return
    if not n["leaked"]:
        yield Finding("result", f"On the {n['all']:,} test images, all of them clean, {right('all')}.")
        return
    text = f"On the {n['clean']:,} clean test images {right('clean')}. On all {n['all']:,}, the leaked ones included, "
    yield Finding("result", f"{text}{right('all')}.")
    classes = study.metrics[study.params.pipeline]["test"]["clean"]["classes"]
    rare = [f"{row['support']} of {name}" for name, row in classes.items() if row["support"] < RARE]
    if rare:
        text = f"Among the clean images are only {listed(rare)}: of such a class they say little or nothing."
        yield Finding("caution", text)


def leaks(study: Study) -> Iterator[Finding]:
    """How many test images are leaked, and how many show a patient that training has seen."""
    n = study.sizes
    if n["leaked"]:
        text = f"{n['leaked']:,} of {n['all']:,} test images are leaked, so that accuracy on all of them is no "
        yield Finding("caution", f"{text}measure of how the classifier does on new patients.")
    audit = study.metrics["split"]["audit"] if "split" in study.metrics else {}
    shared = (audit.get("patients") or {}).get("test")  # older results have none
    if shared and shared["patient_known"]:
        seen, known = shared["patient_in_training"], shared["patient_known"]
        text = f"Of {known:,} test images whose patient is known {seen:,} show a patient that training has seen."
        yield Finding("bad" if seen else "result", text)


def sees_the_tumour(study: Study) -> Iterator[Finding]:
    """The probes' verdicts."""
    if "probe" not in study.metrics:
        text = f"Whether the classifier sees the tumour was not asked; `{study.command}` does it (stage probe)."
        yield Finding("unknown", text)
        return
    for pipeline in study.order:
        row = study.metrics["probe"][pipeline]
        covered = row["probes"]["inpainted"]
        yield Finding(SEES_TONES[judge(covered["kept"])] if covered["n"] else "unknown", row["verdict"])


def external(study: Study) -> Iterator[Finding]:
    """Of tumours from other collections, the share called any tumour; bad where it is below the study's own."""
    sources = study.metrics[study.params.pipeline]["external"]
    if not sources:
        yield Finding("unknown", "There are no external images: whether any of this generalises is not known.")
    part = study.own_part
    own = {pipeline: study.rate(pipeline, part, "tumour", "sensitivity") for pipeline in study.order}
    own_shares = [f"{name} {percent(rate['value'])}" for name, rate in own.items() if rate["value"] is not None]
    beside = f" Of the tumours among the study's own {part} test images: {listed(own_shares)}." if own_shares else ""
    for source, row in sources.items():
        if row.get("called_tumour") is None:
            what = "no image of it shows a tumour" if row["n"] else "none of its images is left, all are copies"
            yield Finding("unknown", f"Of the external images of {source}, {what}: it says nothing of sensitivity.")
            continue
        rates = {pipeline: study.rate(pipeline, "external", source, "called_tumour") for pipeline in study.order}
        below = [
            rate["interval"][1] < own[name]["interval"][0]
            for name, rate in rates.items()
            if rate["interval"] and own[name]["interval"]
        ]
        first, second = study.order
        text = f"Of {row['n_with_tumour']:,} external images with a tumour, from {source}, {first} calls "
        text += f"{share(rates[first])} any tumour and {second} calls {share(rates[second], '')} any tumour.{beside}"
        yield Finding("bad" if any(below) else "result", text)


def difference(study: Study) -> Iterator[Finding]:
    """The paired test's sentence, on the clean images where there are some."""
    text = study.metrics["comparison"][study.own_part]["verdict"]
    part = {"clean": "the clean", "all": "all"}[study.own_part]
    yield Finding("result", f"On {part} test images: {text[0].lower()}{text[1:]}")


def explanations(study: Study) -> Iterator[Finding]:
    """The pointing game of the map that the network offers, and the methods whose maps survive random weights."""
    metrics, pipeline = study.metrics.get("gradcam"), study.params.pipeline
    if not metrics or not metrics["lesion_images"]:
        return
    table, chance = metrics[pipeline], metrics["chance"]
    method, whose = ("lesion_map", "The lesion map's") if "lesion_map" in table else ("grad_cam", "Grad-CAM's")
    hits, usual = table[method]["pointing_game"], chance["mean_lesion"]["pointing_game"]
    text = (
        f"{whose} highest point lies in the outlined lesion in {share(hits)} of {hits['n']:,} lesion images of "
        f"{pipeline} (pointing game); a map fixed at the usual places has {percent(usual)}, noise "
        f"{percent(chance['random']['pointing_game'])}."
    )
    yield Finding("result" if hits["interval"][0] > usual else "caution", text)
    verdicts = table["sanity"]["verdicts"].values()
    if failing := [row["sentence"] for row in verdicts if not row["passes"]]:
        n = f"{len(failing)} of {len(verdicts)} explanation methods of {pipeline}"
        yield Finding("caution", f"{n} fail the test of randomised weights: {'; '.join(failing)}.")
