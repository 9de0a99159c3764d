"""Does the classifier see the tumour, or where the image came from? Rates of the shortcut probes, and a verdict.

`probe_rates` and `transplant_rates` compare predictions before and after a probe of brain_mri/probing/probes.py, each
beside the value of a classifier that ignores lesions. Labels, predictions, sources and groups are int (N,); every rate
is {`value`, `interval`}, its 95 % interval drawn by group.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from brain_mri.statistics.comparison import mcnemar
from brain_mri.statistics.intervals import RESAMPLES, intervals, mean_intervals
from brain_mri.statistics.metrics import Floats, Ints, classification_metrics

# Bounds of the share of right tumour calls that stay when the lesion is covered. There is no published one: below the
# first, at most one call in four rests on something else; above the second, most calls do.
SEES, IGNORES = 0.25, 0.5
WORDS = {
    "sees": "sees the tumour",
    "partly": "needs the tumour in part of the images",
    "ignores": "does not need the tumour",
    "open": "saw too few images to tell whether it needs the tumour",
}


def probe_rates(
    labels: Ints,
    before: Ints,
    after: Ints,
    groups: Ints,
    negative: int | None,
    lesion_shown: bool,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Any]:
    """What becomes of right tumour predictions when a probe hides the lesion, or shows it alone (`lesion_shown`).

    before, after: predictions; counted are images with a tumour (not of the class `negative`) that was called by its
    class before. Returns `n` and the rates `kept`, `called_negative` (without a negative class there is none) and
    `called_other`; `kept` also has `chance` (both predictions drawn independently) and `if_lesion_ignored`: the value
    of a classifier that takes the class from what the probe leaves besides the lesion, which is 1, or chance where
    nothing is left.
    """
    chosen = (before == labels) & (labels != (-1 if negative is None else negative))
    before, after, groups = before[chosen], after[chosen], groups[chosen]
    events = {"kept": after == before}
    if negative is not None:
        events["called_negative"] = after == negative
    events["called_other"] = ~np.any(list(events.values()), axis=0)
    found = mean_intervals(events, groups, resamples, seed)
    chance = float(sum((before == c).mean() * (after == c).mean() for c in np.unique(before))) if len(before) else None
    found["kept"].update(chance=chance, if_lesion_ignored=chance if lesion_shown else 1.0)
    return {"n": len(before), **found}


def transplant_rates(
    donor_labels: Ints,
    recipient_labels: Ints,
    before: Ints,
    after: Ints,
    sham: Ints,
    groups: Ints,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Any]:
    """How often a moved lesion turns a right prediction into the donor's class, and how often a sham patch does.

    before, after, sham: predictions of the recipients as they are, with lesion, with sham; counted are recipients that
    were called right and are of another class than the donor. Returns `n`, the rates `lesion` and `sham` of calls of
    the donor's class (a classifier that ignores lesions has the sham's rate for both) and `p_value` of their difference
    (exact McNemar test).
    """
    chosen = (before == recipient_labels) & (donor_labels != recipient_labels)
    target, after, sham = donor_labels[chosen], after[chosen], sham[chosen]
    found = mean_intervals({"lesion": after == target, "sham": sham == target}, groups[chosen], resamples, seed)
    p_value = mcnemar(target, sham, after)["p_value"] if len(target) else None
    return {"n": len(target), **found, "p_value": p_value}


def source_probe(
    features: Floats, sources: Ints, groups: Ints, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Any]:
    """Can a linear model tell from frozen features, within one class, which source an image is from?

    features: float (N, D). Logistic regression on standardised features, 5-fold cross-validation with whole groups held
    out. Returns `n`, `sources`, `chance` (1 / sources) and `balanced_accuracy` with its `interval`; both None where
    fewer than two sources have five groups each (smaller sources are left out).
    """
    pairs = np.unique(np.stack([sources, groups], 1), axis=0)
    names, counts = np.unique(pairs[:, 0], return_counts=True)
    kept = np.isin(sources, names[counts >= 5])
    features, groups = np.asarray(features, float)[kept], groups[kept]
    names, sources = np.unique(sources[kept], return_inverse=True)
    found: dict[str, Any] = {"n": len(sources), "sources": len(names), "chance": 1 / max(len(names), 1)}
    if len(names) < 2:
        return {**found, "balanced_accuracy": None, "interval": None}
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=seed)
    predictions = np.eye(len(names))[cross_val_predict(model, features, sources, groups=groups, cv=folds)]
    numbers = [str(name) for name in names]
    metrics = classification_metrics(sources, predictions, numbers, None)
    bounds = intervals(sources, predictions, groups, numbers, None, resamples, seed)
    return {**found, "balanced_accuracy": metrics["balanced_accuracy"], "interval": bounds["balanced_accuracy"]}


def judge(kept: Mapping[str, Any]) -> str:
    """A key of WORDS for a rate `kept` of covered lesions: its value against SEES and IGNORES; "open" where the
    interval reaches from one to the other."""
    low, high = kept["interval"]
    if low <= SEES and high >= IGNORES:
        return "open"
    return "sees" if kept["value"] <= SEES else "ignores" if kept["value"] >= IGNORES else "partly"


def verdict(pipeline: str, covered: Mapping[str, Any], moved: Mapping[str, Any], negative: str | None) -> str:
    """The sentences that say whether a pipeline sees the tumour.

    covered: `probe_rates` of covered lesions, with `by_class` of the same by class; moved: `transplant_rates`; both
    {`n`: 0, `reason`} where there are none. The verdict is that of `judge`, and the classes with another one are named.
    """
    if not covered["n"]:
        return f"Whether {pipeline} sees the tumour cannot be told: {covered['reason']}."
    overall = judge(covered["kept"])
    low, high = (_percent(bound) for bound in covered["kept"]["interval"])
    text = (
        f"{pipeline} {WORDS[overall]}: with the lesion inpainted, {_percent(covered['kept']['value'])} % "
        f"(95 % interval {low} to {high} %) of {covered['n']} right tumour calls stay"
    )
    if negative is not None:
        text += f" and {_percent(covered['called_negative']['value'])} % become {negative!r}"
    text += "; of a classifier that ignores the lesion 100 % stay."
    others = []
    for name, row in covered["by_class"].items():
        if row["n"] and (judged := judge(row["kept"])) not in (overall, "open"):
            others.append(f"for {name} it {WORDS[judged]} ({_percent(row['kept']['value'])} % of {row['n']} stay)")
    if others:
        text += f" But {', '.join(others)}."
    if moved["n"]:
        lesion, sham = (_percent(moved[kind]["value"]) for kind in ("lesion", "sham"))
        text += (
            f" Moved into heads of {negative!r}, the lesion turns {lesion} % of {moved['n']} right calls into its "
            f"class, a patch without lesion {sham} %."
        )
    return text


def _percent(share: float) -> str:
    return f"{100 * share:.0f}"
