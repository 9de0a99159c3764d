"""Which lever makes a classifier see the tumour? Each alone, all together, all but one; small and short trainings.

    python -m bench.ablation queue      # one experiment a row and seed into DVC's queue: dvc exp run --queue -S ...
    dvc queue start -j 2                # trains them, two at a time; dvc queue status shows how far it is
    python -m bench.ablation table      # measures the finished ones

compact_lesion from random weights, at 96 pixels, 14 epochs, one thread: a tenth of the study's cost, so that all rows
fit into an hour or two on 2 cores. These rows can be compared with each other, not with the study; for that there is
study-in-full, the study itself with three seeds, each half an hour with nothing beside it. `table` reads an
experiment's model from DVC's cache and asks it about the study's grouped validation and test splits and the external
tumours; it writes studies/compact-robust/ablation.{json,md}. Both commands take the names of rows (default: all); rows
that `table` does not measure keep their place.
"""

import argparse
import functools
import operator
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable

import numpy as np

from bench.turns import ROOT
from brain_mri.files import read_json, read_yaml, write_json

STUDY = "studies/compact-robust"
COST = {
    **{"model.image_size": 96, "train.epochs": 14, "train.threads": 1, "train.warmup_epochs": 1},
    **{"model.network": "compact_lesion", "model.weights": "none"},
    **{"train.learning_rate": 0.003, "train.weight_decay": 0.01},
}
COUNTERFACTUAL = {"remove": 0.2, "insert": 0.3, "sham": 0.15}
MIXTURE = {  # the study's as it was when the rows were chosen; its own mixture was then chosen by them
    **{"augment.phantoms": 0, "augment.plain.epochs": 0},
    **{f"augment.counterfactual.{name}": rate for name, rate in COUNTERFACTUAL.items()},
}
APPEARANCE = ("invert", "gamma", "contrast", "brightness", "bias_field", "blur", "sharpen", "rician_noise")
LEVERS = {  # what switches each off
    "standardise": {"model.standardise": "false"},
    "lesion_map": {"train.lesion_map": 0},
    "counterfactual": {f"augment.counterfactual.{name}": 0 for name in COUNTERFACTUAL},
    "appearance": {f"augment.appearance.{name}": 0 for name in APPEARANCE} | {"augment.appearance.low_resolution": 1},
}
PHANTOMS = {"augment.phantoms": 0.15}
EFFICIENTNET = {
    **{"model.network": "efficientnet_lesion", "model.weights": "imagenet"},
    **{"train.learning_rate": 0.001, "train.weight_decay": 0.02},
}
CALM = {"augment.plain.epochs": 4, "augment.plain.share": 0.5}  # as many of 14 epochs as the study's seven of 26
SEEDS = (1, 2, 3)
MEASURES = {  # name in the JSON -> heading
    "validation_accuracy": "val. accuracy",
    "accuracy": "test accuracy",
    "specificity": "specificity",
    "sensitivity": "sensitivity",
    "br35h_tumour": "br35h any tumour",
    "gbm_btp": "gbm any tumour",
    "gbm_glioma": "gbm glioma",
    "kept": "painted over, kept",
    "pointing": "map points at lesion",
}


def rows() -> dict[str, tuple[dict, tuple[int, ...]]]:
    """Each row's name, its overrides beside COST and MIXTURE, and its seeds: more for what others are compared with."""
    off = {name: value for switch in LEVERS.values() for name, value in switch.items()}
    table: dict[str, tuple[dict, tuple[int, ...]]] = {"none": (off, SEEDS)}
    for lever, switch in LEVERS.items():
        alone = {name: value for name, value in off.items() if name not in switch}
        table[f"{lever}-alone"] = alone, SEEDS if lever == "lesion_map" else SEEDS[:1]
    table["phantoms-alone"] = off | PHANTOMS, SEEDS[:1]
    table["all"] = {}, SEEDS
    for lever, switch in LEVERS.items():
        table[f"all-less-{lever}"] = switch, SEEDS[:1]
    table["all-and-phantoms"] = PHANTOMS, SEEDS[:1]
    table["study"] = EFFICIENTNET | today(MIXTURE) | CALM, SEEDS
    table["study-in-full"] = today(COST | MIXTURE), SEEDS
    return table


def today(keys: Iterable[str]) -> dict:
    """What the study's params.yaml says of them."""
    params = read_yaml(ROOT / STUDY / "params.yaml")
    return {name: functools.reduce(operator.getitem, name.split("."), params) for name in keys}


def queue(chosen: list[str]) -> None:
    for row in chosen:
        overrides, seeds = rows()[row]
        for seed in seeds:
            settings = COST | MIXTURE | overrides | {"train.seed": seed}
            words = [word for name, value in settings.items() for word in ("-S", f"{STUDY}/params.yaml:{name}={value}")]
            command = ["dvc", "exp", "run", "--queue", "--name", f"{row}-{seed}", *words, f"{STUDY}/dvc.yaml:train_aug"]
            subprocess.run(command, check=True)


def table(chosen: list[str]) -> None:
    file = ROOT / STUDY / "ablation.json"
    known = read_json(file)["rows"] if file.exists() else {}
    for row in chosen:
        overrides, seeds = rows()[row]
        data = load((COST | overrides)["model.image_size"])
        if measured := [values for seed in seeds if (values := measure(f"{row}-{seed}", data))]:
            known[row] = {name: [values[name] for values in measured] for name in MEASURES}
            print(line(row, known[row]), flush=True)
    if not known:
        sys.exit("ablation: no experiment of any row is finished; see `dvc queue status`")
    write_json(file, {"cost": COST, "mixture": MIXTURE, "rows": known})
    lines = [f"| {' | '.join(['levers', 'seeds', *MEASURES.values()])} |", f"|{' --- |' * (len(MEASURES) + 2)}"]
    lines += [line(row, values) for row, values in known.items()]
    (ROOT / STUDY / "ablation.md").write_text("\n".join(lines) + "\n")


def line(row: str, values: dict[str, list[float]]) -> str:
    """A row of the Markdown table: the mean over the seeds and, of several, the least and the most."""
    cells = [
        f"{np.mean(each):.2f}" + (f" ({min(each):.2f}-{max(each):.2f})" if len(each) > 1 else "")
        for each in values.values()
    ]
    return f"| {' | '.join([row, str(len(values['accuracy'])), *cells])} |"


@functools.cache
def load(size: int) -> dict:
    """The study's splits at this size; the lesions of the test split; the external tumours and their sources."""
    from brain_mri.images.dataset import EXTERNAL, labels_of, load_images, load_masks, read_samples
    from brain_mri.params import load_params

    os.chdir(ROOT / STUDY)
    dataset = load_params().dataset
    samples = {name: read_samples(f"data/split/{name}.csv") for name in ("val", "test", "external")}
    return {
        "splits": {
            name: (load_images(samples[name], size), labels_of(samples[name], dataset.classes))
            for name in ("val", "test")
        },
        "masks": load_masks(samples["test"], size),
        "external": load_images(samples["external"], size, EXTERNAL),
        "sources": np.array([sample.source for sample in samples["external"]]),
        "glioma": dataset.classes.index("glioma"),
        "negative": dataset.negative_class,
    }


def measure(experiment: str, data: dict) -> dict[str, float] | None:
    """What the experiment's model answers; None where the experiment is not there."""
    import dvc.api
    from dvc.exceptions import DvcException
    from dvc.scm import RevError

    from brain_mri.explanation.localisation import pointing_game
    from brain_mri.explanation.maps import LESION_MAP
    from brain_mri.explanation.saliency import Explainer
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
    calls, external = called(images), called(data["external"])
    gbm = external[data["sources"] == "gbm_btp"]
    lesions = data["masks"].any((1, 2)) & (labels != negative)
    right = lesions & (calls == labels)
    covered = cover_by_inpainting(images[right, :, :, 0], data["masks"][right])[..., None]
    maps = Explainer(model, None, negative).explain(images[lesions], calls[lesions], [LESION_MAP])[LESION_MAP]
    shares = {
        "validation_accuracy": called(validation) == validation_labels,
        "accuracy": calls == labels,
        "specificity": calls[labels == negative] == negative,
        "sensitivity": calls[labels != negative] != negative,
        "br35h_tumour": external[data["sources"] == "br35h_tumour"] != negative,
        "gbm_btp": gbm != negative,
        "gbm_glioma": gbm == data["glioma"],
        "kept": called(covered) == labels[right],
        "pointing": pointing_game(maps, data["masks"][lesions]),
    }
    return {name: float(share.mean()) for name, share in shares.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["queue", "table"])
    parser.add_argument("rows", nargs="*", help="default: all")
    arguments = parser.parse_args()
    chosen = arguments.rows or list(rows())
    if unknown := set(chosen) - set(rows()):
        parser.error(f"no row {', '.join(sorted(unknown))}; there are {', '.join(rows())}")
    {"queue": queue, "table": table}[arguments.command](chosen)


if __name__ == "__main__":
    main()
