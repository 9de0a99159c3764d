"""predict: ask both networks about every split, so that evaluating again needs no network.

Reads   models/{noaug,aug}.keras, data/split/{val,test,external}.csv, data/cropped, data/external, params `model`.
Writes  data/logits/{noaug,aug}.npz: the logits, float32 (N, classes), of `val`, `test` and `external` in the order of
        their tables, and the `temperature` that was fitted on validation.
"""

import numpy as np

from brain_mri.errors import run
from brain_mri.files import progress, replacing, write_arrays
from brain_mri.images.dataset import EXTERNAL, OWN, load_images, read_samples
from brain_mri.network.batches import predict_logits
from brain_mri.network.machine import set_up
from brain_mri.network.saved import load_for
from brain_mri.params import PIPELINES, load_params

SPLITS = {"val": OWN, "test": OWN, "external": EXTERNAL}


def main() -> None:
    params = load_params()
    set_up(params.train.threads)
    classes, size, asked = params.dataset.classes, params.model.image_size, params.evaluate
    images = {
        name: load_images(read_samples(f"data/split/{name}.csv"), size, folder) for name, folder in SPLITS.items()
    }
    with replacing("data/logits") as folder:
        folder.mkdir()
        for pipeline in progress(PIPELINES, "predict"):
            model, card = load_for(classes, f"models/{pipeline}.keras")
            no_logits = np.empty((0, len(classes)), np.float32)
            logits = {
                name: predict_logits(model, array, asked.batch_size, asked.mirrored) if len(array) else no_logits
                for name, array in images.items()
            }
            write_arrays(folder / f"{pipeline}.npz", {**logits, "temperature": np.array(card["temperature"])})


if __name__ == "__main__":
    run(main)
