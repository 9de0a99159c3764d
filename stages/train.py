"""train: train the network of one pipeline, `noaug` or `aug`; they differ in augmentation alone.

    python stages/train.py noaug|aug

Reads   data/split/{train,val}.csv, data/cropped, params `model`, `train`, `dataset.classes`, and for aug `augment`.
Writes  models/<pipeline>.keras (the weights of the lowest validation loss; it takes raw grey images, 0 to 255),
        plots/history/<pipeline>.csv, dvclive/<pipeline> (live metrics).
"""

import argparse
import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from dvclive import Live

from core.evaluation.calibration import fit_temperature
from core.files import UserError, remove, run, write_csv
from core.images.dataset import labels_of, load_images, read_samples
from core.network.augmentation import Affine, augment
from core.network.model import build, save
from core.network.training import Examples, Recipe, Row, fit, predict_logits, set_up
from core.params import Params, load_params

RESUME = Path(".resume")  # git-ignored and no output of the stage: DVC removes a stage's outputs before it runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pipeline", choices=["noaug", "aug"])
    pipeline = parser.parse_args().pipeline
    params = load_params()
    with only_one(pipeline):
        train(pipeline, params)


def train(pipeline: str, params: Params) -> None:
    settings = params.model
    set_up(params.train.threads)
    splits = {name: load_split(name, params) for name in ("train", "val")}
    recipe = recipe_of(params)
    if recipe.batch_size > len(splits["train"].labels):
        raise UserError(
            f"train.batch_size = {recipe.batch_size}: the training split has {len(splits['train'].labels)} images; "
            "lower it"
        )
    model = build(
        settings.network,
        settings.image_size,
        len(params.dataset.classes),
        settings.dropout,
        settings.batch_norm_momentum,
        settings.weights,
        settings.weights_sha256,
        recipe.seed,
    )
    affine = Affine(**params.augment.model_dump())
    augmentation = partial(augment_for, affine, recipe.seed) if pipeline == "aug" else None

    state_file = RESUME / f"{pipeline}-{key(pipeline, params, splits)}.npz"
    remove(Path("dvclive") / pipeline)
    with Live(f"dvclive/{pipeline}", save_dvc_exp=False, dvcyaml=None, monitor_system=False) as live:
        outcome = fit(model, splits["train"], splits["val"], recipe, augmentation, state_file, partial(log, live))
    logits = predict_logits(model, splits["val"].images, recipe.batch_size)
    temperature = fit_temperature(splits["val"].labels, logits)
    save(model, Path(f"models/{pipeline}.keras"), card(pipeline, temperature, params))
    write_csv(f"plots/history/{pipeline}.csv", outcome.history, list(outcome.history[0]))
    for file in RESUME.glob(f"{pipeline}-*.npz"):
        file.unlink()
    print(f"{pipeline}: {len(outcome.history)} epochs, the best is epoch {outcome.best_epoch}")


def load_split(name: str, params: Params) -> Examples:
    samples = read_samples(f"data/split/{name}.csv")
    return Examples(load_images(samples, params.model.image_size), labels_of(samples, params.dataset.classes))


def recipe_of(params: Params) -> Recipe:
    settings = params.train.model_dump(exclude={"threads", "plateau"})
    return Recipe(**settings, **{f"plateau_{name}": value for name, value in params.train.plateau.model_dump().items()})


def augment_for(affine: Affine, seed: int, images, indices, epoch: int):  # type: ignore[no-untyped-def]
    return augment(images, indices, affine, seed, epoch)


def log(live: Live, row: Row) -> None:
    for name, value in row.items():
        if name != "epoch":
            live.log_metric(name, value)
    live.next_step()


def card(pipeline: str, temperature: float, params: Params) -> dict:
    """What the model file tells about itself: what a program needs to feed it and to read its answer."""
    return {
        "pipeline": pipeline,
        "classes": params.dataset.classes,
        "image_size": params.model.image_size,
        "crop": params.crop.model_dump(),
        "temperature": temperature,  # softmax(logits / temperature) is calibrated on validation
    }


def key(pipeline: str, params: Params, splits: dict[str, Examples]) -> str:
    """Return a digest of all that the training depends on: a state saved under another one must not be resumed."""
    digest = hashlib.sha256(repr((pipeline, params.model, params.train)).encode())
    if pipeline == "aug":
        digest.update(repr(params.augment).encode())
    for file in [Path(__file__), *sorted((Path(__file__).parent / "core" / "network").glob("*.py"))]:
        digest.update(file.read_bytes())
    for examples in splits.values():
        digest.update(examples.images)  # type: ignore[arg-type]
        digest.update(examples.labels)  # type: ignore[arg-type]
    return digest.hexdigest()[:16]


@contextmanager
def only_one(pipeline: str) -> Iterator[None]:
    """Hold this pipeline's lock: a killed `dvc` leaves its training running, and two must not write one model."""
    RESUME.mkdir(exist_ok=True)
    with (RESUME / f"{pipeline}.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            raise UserError(
                f"train {pipeline}: process {lock.read() or '?'} still trains it in this study; wait for it or stop it"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


if __name__ == "__main__":
    run(main)
