"""probe: ask both pipelines whether it is the tumour that they see, and what noise, motion and the like do to them.

Reads   models/{noaug,aug}.keras, data/split/{test,external}.csv, data/cropped, data/external, params `probe`,
        `evaluate`.
Writes  metrics/probe.json (by pipeline: a verdict in words, the rates of the shortcut probes, the source probe,
        accuracy under corruptions), plots/robustness.csv (mean accuracy over the corruptions, by strength),
        data/probed/examples.npz (a lesion of each class as the probes change it, and what each pipeline calls it).

At most `probe.images` test images are changed for each question, spread evenly over the table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from brain_mri import results
from brain_mri.augmentation.corruptions import CORRUPTIONS, corrupt
from brain_mri.errors import run
from brain_mri.files import progress, write_arrays, write_csv
from brain_mri.images.dataset import EXTERNAL, Sample, groups_of, labels_of, load_images, load_masks, read_samples
from brain_mri.images.groups import merge_groups
from brain_mri.network.features import predict_with_features
from brain_mri.network.machine import set_up
from brain_mri.network.saved import load_for
from brain_mri.params import PIPELINES, Params, load_params
from brain_mri.probing import probes, shortcuts
from brain_mri.probing.robustness import accuracies

LEVELS = (1, 2, 3)
LESION_SHOWN = {"inpainted": False, "mirrored": False, "box_only": True, "border_only": False, "histogram_only": False}
NO_LESION = "no test image has an outlined lesion"


@dataclass(frozen=True)
class Subject:
    """The test images that are asked about, once each, and the places among them that each question takes."""

    images: np.ndarray  # uint8 (N, size, size)
    labels: np.ndarray
    groups: np.ndarray
    lesions: np.ndarray  # places of the tumours with a mask
    masks: np.ndarray  # bool (len(lesions), size, size)
    recipients: np.ndarray  # for each lesion, the place of the head without one that it moves to; or empty
    others: np.ndarray  # for each lesion, the place of another such head, the donor of the sham patch
    robust: np.ndarray  # places of the images that are corrupted


def main() -> None:
    params = load_params()
    set_up(params.train.threads)
    subject = load_subject(read_samples("data/split/test.csv"), params)
    changed, clear = change(subject, params.evaluate.seed)
    corrupted = {
        name: np.stack([corrupt(subject.images[subject.robust], name, level, params.evaluate.seed) for level in LEVELS])
        for name in progress(CORRUPTIONS, "corruptions")
    }
    by_source, origins = load_sources(params)
    shown = {"clean": subject.images, **changed, **corrupted, **by_source}
    measured: dict[str, dict] = {}
    said = {}
    asked = params.evaluate
    for pipeline in progress(PIPELINES, "probe"):
        model, _ = load_for(params.dataset.classes, f"models/{pipeline}.keras")
        said[pipeline], features = predict_with_features(model, shown, asked.batch_size, asked.mirrored)
        rates, moved = probe_rates(subject, clear, said[pipeline], params), transplants(subject, said[pipeline], params)
        measured[pipeline] = {
            "verdict": shortcuts.verdict(pipeline, rates["inpainted"], moved, params.dataset.negative),
            "probes": rates,
            "transplant": moved,
            "source": probe_sources(features, origins, params),
            "robustness": robustness(subject, said[pipeline], params),
        }
    counts = {"lesion_images": len(subject.lesions), "robustness_images": len(subject.robust)}
    results.write("metrics/probe.json", {**counts, **measured})
    robust = {pipeline: table["robustness"] for pipeline, table in measured.items()}
    write_means(robust)
    write_arrays("data/probed/examples.npz", examples(subject, changed, clear, said, params.dataset.classes))


def spread(places: np.ndarray, limit: int) -> np.ndarray:
    """Return at most `limit` of the places, spread evenly over them."""
    count = min(limit, len(places))
    return places[np.arange(count) * len(places) // max(count, 1)]


def load_subject(samples: Sequence[Sample], params: Params) -> Subject:
    """Choose the test images and read them; a mask without any pixel is none."""
    limit, size, negative = params.probe.images, params.model.image_size, params.dataset.negative
    masked = [place for place, sample in enumerate(samples) if sample.mask and sample.label != negative]
    lesions = spread(np.array(masked, int), limit)
    masks = load_masks([samples[place] for place in lesions], size)
    outlined = masks.any((1, 2))
    lesions, masks = lesions[outlined], masks[outlined]
    healthy = np.flatnonzero([sample.label == negative for sample in samples])
    rng = np.random.default_rng(params.evaluate.seed)
    heads = rng.permutation(spread(healthy, len(lesions)))
    robust = spread(np.arange(len(samples)), limit)

    used = np.unique(np.concatenate([lesions, heads, robust]))
    chosen = [samples[place] for place in used]
    recipients, others = (np.resize(order, len(lesions) if len(heads) else 0) for order in (heads, np.roll(heads, 1)))
    return Subject(
        load_images(chosen, size)[..., 0],
        labels_of(chosen, params.dataset.classes),
        groups_of(chosen),
        np.searchsorted(used, lesions),
        masks,
        np.searchsorted(used, recipients),
        np.searchsorted(used, others),
        np.searchsorted(used, robust),
    )


def change(subject: Subject, seed: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the images that each probe makes, uint8 (len(lesions), size, size), and for which of them mirroring
    covers the whole lesion."""
    images, masks = subject.images[subject.lesions], subject.masks
    mirrored, clear = probes.cover_by_mirroring(images, masks)
    changed = {
        "inpainted": probes.cover_by_inpainting(images, masks),
        "mirrored": mirrored,
        "box_only": probes.keep_box(images, masks),
        "border_only": probes.border_only(images),
        "histogram_only": probes.shuffle_pixels(images, seed),
    }
    if len(subject.recipients):
        heads, others = subject.images[subject.recipients], subject.images[subject.others]
        changed["transplanted"] = probes.transplant(images, masks, heads)
        changed["sham"] = probes.transplant(others, masks, heads)
    return changed, clear


def probe_rates(subject: Subject, clear: np.ndarray, said: Mapping[str, np.ndarray], params: Params) -> dict:
    """Return the rates of each probe, all and by class."""
    classes, settings = params.dataset.classes, params.evaluate
    negative = params.dataset.negative_class
    labels, before, groups = (array[subject.lesions] for array in (subject.labels, said["clean"], subject.groups))

    def rates(name: str, at: np.ndarray) -> dict:
        answers = labels[at], before[at], said[name][at], groups[at]
        found = shortcuts.probe_rates(*answers, negative, LESION_SHOWN[name], settings.resamples, settings.seed)
        reason = NO_LESION if not len(labels) else "no lesion image is called by its class"
        return found if found["n"] else {"n": 0, "reason": reason}

    table = {}
    for name in LESION_SHOWN:
        usable = clear if name == "mirrored" else np.ones(len(labels), bool)
        left_out = {"left_out": int((~clear).sum())} if name == "mirrored" else {}
        by_class = {
            label: rates(name, usable & (labels == place)) for place, label in enumerate(classes) if place != negative
        }
        table[name] = {**rates(name, usable), **left_out, "by_class": by_class}
    return table


def transplants(subject: Subject, said: Mapping[str, np.ndarray], params: Params) -> dict:
    """Return the rates of the moved lesions. Images of a donor's or a recipient's group are drawn together."""
    if params.dataset.negative is None:
        return {"n": 0, "reason": "dataset.negative is null, so no class is known to be without a lesion"}
    if not len(subject.recipients):
        return {"n": 0, "reason": NO_LESION}
    donors, heads = subject.lesions, subject.recipients
    numbers = np.unique(subject.groups[heads], return_inverse=True)[1]
    found = shortcuts.transplant_rates(
        subject.labels[donors],
        subject.labels[heads],
        said["clean"][heads],
        said["transplanted"],
        said["sham"],
        merge_groups(numbers, subject.groups[donors].astype(str)),
        params.evaluate.resamples,
        params.evaluate.seed,
    )
    return found if found["n"] else {"n": 0, "reason": f"no image of {params.dataset.negative} is called by its class"}


def load_sources(params: Params) -> tuple[dict[str, np.ndarray], dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Return the images, and their sources and groups, of each class that has test and external images from two sources
    or more."""
    own, outside = read_samples("data/split/test.csv"), read_samples("data/split/external.csv")
    limit, size = params.probe.images, params.model.image_size
    images, origins = {}, {}
    for label in params.dataset.classes:
        parts = [[sample for sample in table if sample.label == label] for table in (own, outside)]
        parts = [[part[place] for place in spread(np.arange(len(part)), limit)] for part in parts]
        sources = np.array([sample.source or "the study's own" for part in parts for sample in part])
        if len(np.unique(sources)) > 1:
            images[label] = np.concatenate([load_images(parts[0], size), load_images(parts[1], size, EXTERNAL)])[..., 0]
            origins[label] = sources, groups_of(parts[0] + parts[1])
    return images, origins


def probe_sources(
    features: Mapping[str, np.ndarray], origins: Mapping[str, tuple[np.ndarray, np.ndarray]], params: Params
) -> dict:
    """Return what a linear model on the frozen features says of the source, by class."""
    if not origins:
        return {"n": 0, "reason": "no class has test or external images of two known sources"}
    table = {}
    for label, (sources, groups) in origins.items():
        names, numbers = np.unique(sources, return_inverse=True)
        draws = params.evaluate.resamples, params.evaluate.seed
        table[label] = shortcuts.source_probe(features[label], numbers, groups, *draws)
        table[label]["images"] = {name: int((sources == name).sum()) for name in names}
        if table[label]["balanced_accuracy"] is None:
            table[label]["reason"] = "fewer than two sources have five groups each"
    return table


def robustness(subject: Subject, said: Mapping[str, np.ndarray], params: Params) -> dict:
    """Return the accuracy on clean images, under each corruption, and their mean, by strength."""
    at = subject.robust
    corrupted = {name: said[name] for name in CORRUPTIONS}
    draws = params.evaluate.resamples, params.evaluate.seed
    return accuracies(subject.labels[at], said["clean"][at], corrupted, subject.groups[at], *draws)


def write_means(robust: Mapping[str, dict]) -> None:
    """Write the mean accuracy over the corruptions for DVC: a row a strength, a column a pipeline."""
    strengths = {name: [table["clean"], *table["mean"].values()] for name, table in robust.items()}
    curves = {name: [f"{row['value']:.6f}" for row in rows] for name, rows in strengths.items()}
    rows = [{"strength": level} | {name: values[level] for name, values in curves.items()} for level in (0, *LEVELS)]
    write_csv("plots/robustness.csv", rows, ["strength", *PIPELINES])


def examples(
    subject: Subject,
    changed: Mapping[str, np.ndarray],
    clear: np.ndarray,
    said: Mapping[str, Mapping[str, np.ndarray]],
    classes: Sequence[str],
) -> dict[str, np.ndarray]:
    """Choose a lesion of each class, at most four, one that mirroring covers if there is.

    Returns `labels` (n,), the class; `masks`, bool (n, size, size); `probes` (P,), their names, the unchanged image as
    `original` first; `images`, uint8 (n, P, size, size); `calls` (n, P, 2), what noaug and aug call them."""
    labels = subject.labels[subject.lesions]
    chosen = [max(np.flatnonzero(labels == label), key=lambda at: clear[at]) for label in np.unique(labels)[:4]]
    places = subject.lesions[np.array(chosen, int)]
    shown = {"original": subject.images[places], **{name: images[chosen] for name, images in changed.items()}}
    calls = [
        [said[pipeline]["clean"][places] if name == "original" else said[pipeline][name][chosen] for name in shown]
        for pipeline in PIPELINES
    ]
    return {
        "labels": np.array(classes)[labels[chosen]],
        "masks": subject.masks[chosen],
        "probes": np.array(list(shown)),
        "images": np.stack(list(shown.values()), axis=1),
        "calls": np.array(classes)[np.transpose(calls, (2, 1, 0))],
    }


if __name__ == "__main__":
    run(main)
