"""What a network gives of images, with the maps of its inner layers, in one pass.

Networks are asked through `predict_on_batch`: called like a function, Keras holds the output of every layer to the end,
9 GiB for a batch of ResNet-50.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import keras
import numpy as np

from brain_mri.architectures import ARCHITECTURES
from brain_mri.network.lesion import MAP, has_lesion_map

BATCH = 64


def with_all_outputs(model: keras.Model, temperature: float, mirrored: bool = False) -> keras.Model:
    """Return a network, sharing the weights, from images, float32 (N, size, size, 1), 0 to 255, to a dictionary.

    In it are, float32: the network's own outputs by name, such as `probabilities` (N, classes); `logits` and
    `calibrated`, their softmax at the temperature (N, classes); `inner_0`, ..., maps of inner layers (N, h, w, C); of a
    network with a lesion head `lesion_logits`, its map (N, h, w, classes). `mirrored`: logits, what follows from them
    and the map are the mean of those of the image and, turned back, of its mirror image."""
    outputs = dict(zip(model.output_names, model.outputs, strict=True))
    outputs["logits"] = model.get_layer("logits").output
    for place, name in enumerate(ARCHITECTURES[model.name].inner_layers):
        outputs[f"inner_{place}"] = model.get_layer(name).output
    if has_lesion_map(model):
        outputs[MAP] = model.get_layer(MAP).output
    # Layers, because Keras numbers operations over the whole process and refuses a number that the network has too.
    softmax = partial(keras.layers.Activation, "softmax", dtype="float32")
    if mirrored:
        outputs = _with_mirror_images(model.input, outputs)
        outputs["probabilities"] = softmax(name="mean_probabilities")(outputs["logits"])
    outputs["calibrated"] = softmax(name="calibrated")(outputs["logits"] / temperature)
    return keras.Model(model.input, outputs, name=f"{model.name}_with_all_outputs")


def _with_mirror_images(images: Any, outputs: dict[str, Any]) -> dict[str, Any]:
    """Return the outputs of a network's images, logits and map averaged with those of their mirror images.

    Both go through the network in one batch: as a second branch, ONNX runtime would compute it in other roundings."""
    both = keras.Model(images, outputs)(keras.ops.concatenate([images, keras.ops.flip(images, axis=2)]))
    halves = {name: keras.ops.split(values, 2) for name, values in both.items()}
    found = {name: own for name, (own, _) in halves.items()}
    found["logits"] = sum(halves["logits"]) / 2
    if MAP in halves:
        own, other = halves[MAP]
        found[MAP] = (own + keras.ops.flip(other, axis=2)) / 2
    return found


def predict_all(network: keras.Model, images: np.ndarray) -> dict[str, np.ndarray]:
    """Return what `with_all_outputs` gives of a batch of images, uint8 (N, size, size, 1)."""
    return network.predict_on_batch(images.astype(np.float32))


def predict_batches(network: keras.Model, images: np.ndarray) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Yield batches of images, uint8 (n, size, size, 1), each with what `predict_all` gives of it."""
    for start in range(0, len(images), BATCH):
        batch = images[start : start + BATCH]
        yield batch, predict_all(network, batch)
