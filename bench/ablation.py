"""Which lever makes a classifier see the tumour? Each alone, all together, all but one; small and short trainings.

    python bench/ablation.py queue      # one experiment a row and seed into DVC's queue: dvc exp run --queue -S ...
    dvc queue start -j 2                # trains them, two at a time; dvc queue status shows how far it is
    python bench/ablation.py table      # measures the finished ones

compact_lesion from random weights, at 96 pixels, 14 epochs, one thread: a tenth of the study's cost, so that all rows
fit into an hour or two on 2 cores; in the rows named efficientnet the study's own network, from random weights or from
ImageNet's. These rows can be compared with each other, not with the study; for that there is study-in-full, the study
itself with three seeds, each half an hour with nothing beside it. `table` reads an experiment's model from DVC's cache
and asks it about the study's grouped validation and test splits and the external tumours; it writes
studies/compact-robust/ablation.{json,md,png}. Both commands take the names of rows (default: all); rows that `table`
does not measure keep their place.
"""

import argparse
import functools
import operator
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import matplotlib
import numpy as np
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "stages"))
STUDY = "studies/compact-robust"

COST = {
    **{"model.image_size": 96, "train.epochs": 14, "train.threads": 1, "train.warmup_epochs": 1},
    "model.network": "compact_lesion",
    "model.weights": "none",
    "train.learning_rate": 0.003,
    "train.weight_decay": 0.01,
}
EFFICIENTNET = {"model.network": "efficientnet_lesion", "train.learning_rate": 0.001, "train.weight_decay": 0.02}
CALM = {"augment.plain.epochs": 4, "augment.plain.share": 0.5}  # as many of 14 epochs as the study's seven of 26
MIXTURE = {  # the study's as it was when the rows were chosen; its own mixture was then chosen by them
    "augment.phantoms": 0,
    "augment.plain.epochs": 0,
    "augment.counterfactual.remove": 0.2,
    "augment.counterfactual.insert": 0.3,
    "augment.counterfactual.sham": 0.15,
}
LEVERS = {  # what switches each off
    "standardise": {"model.standardise": "false"},
    "lesion_map": {"train.lesion_map": 0},
    "counterfactual": {f"augment.counterfactual.{name}": 0 for name in ("remove", "insert", "sham")},
    "appearance": {
        **{f"augment.appearance.{name}": 0 for name in ("invert", "gamma", "contrast", "brightness", "bias_field")},
        **{f"augment.appearance.{name}": 0 for name in ("blur", "sharpen", "rician_noise")},
        "augment.appearance.low_resolution": 1,
    },
}
PHANTOMS = {"augment.phantoms": 0.15}
VARIANTS = {  # of all levers, their strengths changed
    "all-milder-appearance": {
        f"augment.appearance.{name}": strength
        for name, strength in {
            "invert": 0.04,
            "gamma": 0.2,
            "contrast": 0.15,
            "brightness": 0.15,
            "bias_field": 0.25,
            "low_resolution": 1.5,
            "blur": 0.004,
            "sharpen": 0.5,
            "rician_noise": 0.02,
        }.items()
    },
    "all-fewer-counterfactuals": {
        f"augment.counterfactual.{name}": rate for name, rate in {"remove": 0.1, "insert": 0.2, "sham": 0.1}.items()
    },
    "all-more-inserted": {
        f"augment.counterfactual.{name}": rate for name, rate in {"remove": 0.1, "insert": 0.45, "sham": 0.15}.items()
    },
}
SEEDS = (1, 2, 3)
MEASURES = {  # name in the JSON -> heading
    "validation_accuracy": "val. accuracy",
    "accuracy": "test accuracy",
    "specificity": "specificity",
    "sensitivity": "sensitivity",
    "br35h_tumour": "br35h some tumour",
    "gbm_btp": "gbm some tumour",
    "gbm_glioma": "gbm glioma",
    "kept": "painted over, kept",
    "pointing": "map points at lesion",
}


def rows() -> dict[str, tuple[dict, tuple[int, ...]]]:
    """Each row's name, its overrides beside COST and MIXTURE, and its seeds: more for what others are compared with."""
    off = {name: value for switch in LEVERS.values() for name, value in switch.items()}
    table: dict[str, tuple[dict, tuple[int, ...]]] = {"none": (off, SEEDS)}
    for lever, switch in LEVERS.items():
        table[f"{lever}-alone"] = {name: value for name, value in off.items() if name not in switch}, SEEDS[:1]
    table["lesion_map-alone"] = table["lesion_map-alone"][0], SEEDS
    table["phantoms-alone"] = off | PHANTOMS, SEEDS[:1]
    table["all"] = {}, SEEDS
    for lever, switch in LEVERS.items():
        table[f"all-less-{lever}"] = switch, SEEDS[:1]
    for variant, changed in ({"all-and-phantoms": PHANTOMS} | VARIANTS).items():
        table[variant] = changed, SEEDS[:1]
    for weights in ("none", "imagenet"):
        table[f"all-efficientnet-{weights}"] = EFFICIENTNET | {"model.weights": weights}, SEEDS[:1]
    imagenet = EFFICIENTNET | {"model.weights": "imagenet"}
    table["imagenet-alone"] = off | imagenet, SEEDS[:1]
    table["all-efficientnet-imagenet-calm"] = imagenet | CALM, SEEDS[:1]
    table["study"] = imagenet | today(MIXTURE) | CALM, SEEDS
    table["study-in-full"] = today(COST | MIXTURE), SEEDS
    return table


def today(keys: Iterable[str]) -> dict:
    """What the study's params.yaml says of them."""
    params = yaml.safe_load((ROOT / STUDY / "params.yaml").read_text())
    return {name: functools.reduce(operator.getitem, name.split("."), params) for name in keys}


def queue(chosen: list[str]) -> None:
    for row, (overrides, seeds) in rows().items():
        for seed in seeds if row in chosen else ():
            settings = COST | MIXTURE | overrides | {"train.seed": seed}
            words = [word for name, value in settings.items() for word in ("-S", f"{STUDY}/params.yaml:{name}={value}")]
            command = ["dvc", "exp", "run", "--queue", "--name", f"{row}-{seed}", *words, f"{STUDY}/dvc.yaml:train_aug"]
            subprocess.run(command, check=True)


def table(chosen: list[str]) -> None:
    from brain_mri.files import read_json, write_json

    file = ROOT / STUDY / "ablation.json"
    known = read_json(file)["rows"] if file.exists() else {}
    for row, (overrides, seeds) in rows().items():
        if row not in chosen:
            continue
        data = load((COST | overrides)["model.image_size"])
        measured = [measure(f"{row}-{seed}", data) for seed in seeds]
        measured = [values for values in measured if values]
        if measured:
            known[row] = {name: [values[name] for values in measured] for name in MEASURES}
            print(line(row, known[row]), flush=True)
    found = {row: known[row] for row in rows() if row in known}
    if not found:
        sys.exit("ablation: no experiment of any row is finished; see `dvc queue status`")
    write_json(file, {"cost": COST, "mixture": MIXTURE, "rows": found})
    heading = f"| {' | '.join(['levers', 'seeds', *MEASURES.values()])} |\n|{' --- |' * (len(MEASURES) + 2)}\n"
    (ROOT / STUDY / "ablation.md").write_text(heading + "".join(f"{line(row, of)}\n" for row, of in found.items()))
    draw(found)


@functools.cache
def load(size: int) -> dict:
    """The study's splits at this size; the lesions of the test split; the external tumours and their sources."""
    from brain_mri.images.dataset import EXTERNAL, labels_of, load_images, load_masks, read_samples
    from brain_mri.params import load_params

    os.chdir(ROOT / STUDY)
    params = load_params()
    samples = {name: read_samples(f"data/split/{name}.csv") for name in ("val", "test", "external")}

    def split(name: str) -> tuple[np.ndarray, np.ndarray]:
        return load_images(samples[name], size), labels_of(samples[name], params.dataset.classes)

    return {
        "splits": {name: split(name) for name in ("val", "test")},
        "masks": load_masks(samples["test"], size),
        "external": load_images(samples["external"], size, EXTERNAL),
        "sources": np.array([sample.source for sample in samples["external"]]),
        "classes": params.dataset.classes,
        "negative": params.dataset.classes.index(params.dataset.negative),
    }


def measure(experiment: str, data: dict) -> dict[str, float] | None:
    """What the experiment's model says; None where the experiment is not there."""
    import dvc.api
    from dvc.exceptions import DvcException
    from dvc.scm import RevError

    from brain_mri.explanation.localisation import pointing_game
    from brain_mri.explanation.saliency import LESION_MAP, Explainer
    from brain_mri.network.batches import predict_logits
    from brain_mri.network.saved import load as load_model
    from brain_mri.probing.probes import cover_by_inpainting

    try:
        stored = dvc.api.read(f"{STUDY}/models/aug.keras", repo=str(ROOT), rev=experiment, mode="rb")
    except (RevError, DvcException):
        print(f"{experiment}: not there, left out")
        return None
    with tempfile.NamedTemporaryFile(suffix=".keras") as file:
        file.write(stored)
        file.flush()
        model, _ = load_model(file.name)

    def called(images: np.ndarray) -> np.ndarray:
        return predict_logits(model, images, 64).argmax(1)

    negative, (images, labels) = data["negative"], data["splits"]["test"]
    validation, validation_labels = data["splits"]["val"]
    calls, abroad = called(images), called(data["external"])
    gbm = abroad[data["sources"] == "gbm_btp"]
    lesions = data["masks"].any((1, 2)) & (labels != negative)
    right = lesions & (calls == labels)
    covered = cover_by_inpainting(images[right, :, :, 0], data["masks"][right])[..., None]
    maps = Explainer(model, None, negative).explain(images[lesions], calls[lesions], [LESION_MAP])[LESION_MAP]
    return {
        "validation_accuracy": float((called(validation) == validation_labels).mean()),
        "accuracy": float((calls == labels).mean()),
        "specificity": float((calls[labels == negative] == negative).mean()),
        "sensitivity": float((calls[labels != negative] != negative).mean()),
        "br35h_tumour": float((abroad[data["sources"] == "br35h_tumour"] != negative).mean()),
        "gbm_btp": float((gbm != negative).mean()),
        "gbm_glioma": float((gbm == data["classes"].index("glioma")).mean()),
        "kept": float((called(covered) == labels[right]).mean()),
        "pointing": float(pointing_game(maps, data["masks"][lesions]).mean()),
    }


def line(row: str, of: dict[str, list[float]]) -> str:
    """A row of the Markdown table: the mean over the seeds and, of several, the least and the most."""
    cells = [
        f"{np.mean(values):.2f}" + (f" ({min(values):.2f}-{max(values):.2f})" if len(values) > 1 else "")
        for values in of.values()
    ]
    return f"| {' | '.join([row, str(len(of['accuracy'])), *cells])} |"


def draw(found: dict[str, dict[str, list[float]]]) -> None:
    """Dots: a row of the table each, a panel a measure; every seed is a dot."""
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    shown = ("accuracy", "specificity", "br35h_tumour", "gbm_btp", "kept", "pointing")
    figure, axes = plt.subplots(1, len(shown), figsize=(13, 0.35 * len(found) + 1.2), sharey=True, layout="constrained")
    for axis, name in zip(axes, shown, strict=True):
        for place, of in enumerate(found.values()):
            axis.plot(of[name], [place] * len(of[name]), "o", color="#2a6f97", alpha=0.7)
        axis.set(xlim=(-0.03, 1.03), title=MEASURES[name])
        axis.grid(alpha=0.3)
    axes[0].set_yticks(range(len(found)), list(found))
    axes[0].invert_yaxis()
    figure.savefig(ROOT / STUDY / "ablation.png", dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["queue", "table"])
    parser.add_argument("rows", nargs="*", default=list(rows()), help="default: all")
    arguments = parser.parse_args()
    if unknown := set(arguments.rows) - set(rows()):
        parser.error(f"no row {', '.join(sorted(unknown))}; there are {', '.join(rows())}")
    {"queue": queue, "table": table}[arguments.command](arguments.rows)


if __name__ == "__main__":
    main()
