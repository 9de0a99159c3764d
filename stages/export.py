"""export: write each network as ONNX, for predictions and for programs that do not know Keras.

Reads   models/{noaug,aug}.keras, data/split/test.csv, data/cropped, params `dataset.classes`, `model.image_size`,
        `evaluate.mirrored`.
Writes  models/{noaug,aug}.onnx, after comparing their answers to Keras's on every test image; their metadata say how
        to crop an image, the classes and the temperature.
"""

import hashlib
import os
from pathlib import Path

# Whichever backend trained the network, one converter writes it, so that its outputs have their names everywhere.
os.environ["KERAS_BACKEND"] = "tensorflow"

import numpy as np

from brain_mri.errors import UserError, run
from brain_mri.files import progress
from brain_mri.images.dataset import load_images, read_samples
from brain_mri.network.machine import set_up
from brain_mri.network.saved import load_for
from brain_mri.params import PIPELINES, load_params
from brain_mri.prediction.exporting import export
from brain_mri.prediction.onnx_network import Network
from brain_mri.prediction.outputs import predict_batches, with_all_outputs

COMPARED = ("logits", "probabilities", "calibrated")
TOLERANCE = 1e-4  # of probabilities, and of logits as a share of the largest


def main() -> None:
    params = load_params()
    set_up(params.train.threads)
    images = load_images(read_samples("data/split/test.csv"), params.model.image_size)
    for pipeline in progress(PIPELINES, "export"):
        source, target = Path(f"models/{pipeline}.keras"), f"models/{pipeline}.onnx"
        model, card = load_for(params.dataset.classes, source)
        digest = hashlib.sha256(source.read_bytes()).hexdigest()
        export(model, target, card, digest, params.evaluate.mirrored)
        network = with_all_outputs(model, card["temperature"], params.evaluate.mirrored)
        exported = Network(target, digest, params.train.threads)
        worst = 0.0
        for batch, expected in predict_batches(network, images):
            found = exported.run(batch)
            worst = max(worst, *(difference(expected[name], found[name]) for name in COMPARED))
        if worst > TOLERANCE:
            Path(target).unlink()
            raise UserError(
                f"{target}: its answers differ from {source}'s by {worst:.2g}, at most {TOLERANCE:g} is expected; "
                "try other versions of tf2onnx and onnxruntime"
            )
        print(f"{pipeline}: ONNX and Keras differ by at most {worst:.1g} on {len(images)} test images")


def difference(expected: np.ndarray, found: np.ndarray) -> float:
    """The largest difference, of numbers beyond 1 as a share of the largest of them; infinite where any is NaN."""
    largest = np.abs(expected - found).max() / max(1.0, np.abs(expected).max())
    return float(largest) if np.isfinite(largest) else np.inf


if __name__ == "__main__":
    run(main)
