"""Grad-CAM maps a second, batch 28, against the report's way of one image at a time and against a forward pass.

    python bench/gradcam.py --network compact --size 128 --images 280
    python bench/gradcam.py --network resnet50 --size 200 --images 28
    python bench/gradcam.py --backends tensorflow torch     (one table each)

tf-keras-vis has a row on TensorFlow and pytorch-grad-cam on torch, where they are installed (bench/requirements.txt).
Every way gets the same raw images and the same layer, is called once before the clock runs, and takes turns with the
others; the best of the repeats counts.
"""

import argparse
import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "stages"))

from brain_mri.explanation.saliency import Explainer
from brain_mri.network.batches import logits_of
from brain_mri.network.model import build

BATCH = 28
Way = Callable[[np.ndarray, np.ndarray], Any]  # images, classes


def forward(model: keras.Model) -> Way:
    """Predict only: what no explanation can be faster than."""
    # XLA is off on TensorFlow: on CPUs it is slower, and the comparison would be too easy.
    model.compile(jit_compile=keras.backend.backend() == "jax")
    return lambda images, _: [
        model.predict_on_batch(images[start : start + BATCH].astype(np.float32))
        for start in range(0, len(images), BATCH)
    ]


def ours(explainer: Explainer, *methods: str) -> Way:
    """This project's batched maps."""
    return lambda images, classes: explainer.explain(images, classes, methods, BATCH)


def per_image(model: keras.Model, layer: str) -> Way:
    """The report's way: an eager GradientTape over one image, then the next; the two-output model is built once."""
    import tensorflow as tf

    two_outputs = keras.Model(model.input, [model.get_layer(layer).output, model.get_layer("logits").output])

    def one(image: np.ndarray, label: int) -> np.ndarray:
        with tf.GradientTape() as tape:
            activations, logits = two_outputs(image[None].astype(np.float32), training=False)
            score = logits[:, label]
        weights = tf.reduce_mean(tape.gradient(score, activations), axis=(0, 1, 2))
        small = tf.nn.relu(tf.reduce_sum(activations[0] * weights, axis=-1)).numpy()
        return cv2.resize(small, image.shape[1::-1])

    return lambda images, classes: [one(image, int(label)) for image, label in zip(images, classes, strict=True)]


def tf_keras_vis(model: keras.Model, layer: str) -> Way:
    """tf-keras-vis, the same layer, logits and batch."""
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.utils.scores import CategoricalScore

    cam = Gradcam(logits_of(model), clone=False)
    return lambda images, classes: [
        cam(
            CategoricalScore(classes[start : start + BATCH].tolist()),
            images[start : start + BATCH].astype(np.float32),
            penultimate_layer=layer,
            seek_penultimate_conv_layer=False,
        )
        for start in range(0, len(images), BATCH)
    ]


def pytorch_grad_cam(model: keras.Model, layer: str) -> Way:
    """pytorch-grad-cam on the same network, which is a torch module; it expects channels first."""
    import torch
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    # A copy, because the library hooks into the layer, and Keras calls the layers of `model` to build other models.
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())

    class ChannelsFirst(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = logits_of(copy)

        def forward(self, images: Any) -> Any:
            return self.model(images.permute(0, 2, 3, 1), training=False)

    cam = GradCAM(ChannelsFirst(), [copy.get_layer(layer)], reshape_transform=lambda x: x.permute(0, 3, 1, 2))
    return lambda images, classes: [
        cam(
            torch.from_numpy(images[start : start + BATCH].transpose(0, 3, 1, 2).astype(np.float32)),
            [ClassifierOutputTarget(int(label)) for label in classes[start : start + BATCH]],
        )
        for start in range(0, len(images), BATCH)
    ]


def ways(model: keras.Model) -> dict[str, Way]:
    """All ways that this machine and backend have."""
    explainer, backend = Explainer(model), keras.backend.backend()
    found = {
        "forward pass": forward(model),
        "grad_cam": ours(explainer, "grad_cam"),
        "gradient + grad_cam + grad_cam_pp": ours(explainer, "gradient", "grad_cam", "grad_cam_pp"),
        "guided_grad_cam": ours(explainer, "guided_grad_cam"),
    }
    if backend == "tensorflow":
        found["report: one image at a time"] = per_image(model, explainer.layer)
        if importlib.util.find_spec("tf_keras_vis"):
            found["tf-keras-vis"] = tf_keras_vis(model, explainer.layer)
    if backend == "torch" and importlib.util.find_spec("pytorch_grad_cam"):
        found["pytorch-grad-cam"] = pytorch_grad_cam(model, explainer.layer)
    return found


def main() -> None:
    """Time every way and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=["compact", "resnet50"], default="compact")
    parser.add_argument("--size", type=int, default=128, help="height and width in pixels")
    parser.add_argument("--images", type=int, default=280)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--backends", nargs="+", default=[], help="default: the one of $KERAS_BACKEND or Keras's own")
    arguments = parser.parse_args()
    if arguments.backends:
        first, last = sys.argv.index("--backends"), len(arguments.backends)
        others = sys.argv[1:first] + sys.argv[first + 1 + last :]
        for backend in arguments.backends:  # a process loads one backend
            command = [sys.executable, __file__, *others]
            subprocess.run(command, env=os.environ | {"KERAS_BACKEND": backend}, check=True)
        return
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (arguments.images, arguments.size, arguments.size, 1)).astype(np.uint8)
    classes = rng.integers(0, 4, arguments.images)
    model = build(arguments.network, arguments.size, 4, 0.4, 0.9, "none", None, seed=0)
    timed = ways(model)
    best = dict.fromkeys(timed, np.inf)
    for repeat in range(arguments.repeats + 1):
        for name, way in timed.items():
            start = time.perf_counter()
            way(images, classes)
            best[name] = min(best[name], time.perf_counter() - start if repeat else np.inf)
    print(
        f"{arguments.network}, {arguments.size} px, {arguments.images} images, batch {BATCH}, "
        f"{keras.backend.backend()}\n\n| way | maps a second | time / forward pass |\n|---|---|---|"
    )
    for name, seconds in best.items():
        print(f"| {name} | {arguments.images / seconds:.1f} | {seconds / best['forward pass']:.2f} |")


if __name__ == "__main__":
    main()
