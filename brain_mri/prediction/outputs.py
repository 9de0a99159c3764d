"""What a network gives of images, with the maps of its inner layers, in one pass.

Networks are asked through `predict_on_batch`: called like a function, Keras holds the output of every layer to the end,
9 GiB for a batch of ResNet-50.
"""

from collections.abc import Iterator
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
    averaged = {name: model.get_layer(name).output for name in ("logits", *([MAP] if has_lesion_map(model) else []))}
    if mirrored:
        of_mirror_image = keras.Model(model.input, averaged)(flip(model.input))
        if MAP in averaged:
            of_mirror_image[MAP] = flip(of_mirror_image[MAP])
        averaged = {
            name: keras.layers.Average(dtype="float32", name=f"mean_{name}")([own, of_mirror_image[name]])
            for name, own in averaged.items()
        }
        softmax = keras.layers.Activation("softmax", dtype="float32", name="mean_probabilities")
        outputs["probabilities"] = softmax(averaged["logits"])
    logits = averaged["logits"]
    # A layer, because Keras numbers operations over the whole process and refuses a number that the network has too.
    calibrated = keras.layers.Activation("softmax", dtype="float32", name="calibrated")(logits / temperature)
    outputs |= averaged | {"calibrated": calibrated}
    for place, name in enumerate(ARCHITECTURES[model.name].inner_layers):
        outputs[f"inner_{place}"] = model.get_layer(name).output
    return keras.Model(model.input, outputs, name=f"{model.name}_with_all_outputs")


def flip(images: Any) -> Any:
    """Return the mirror images of (N, H, W, C), left and right exchanged."""
    return keras.ops.flip(images, axis=2)


def predict_all(network: keras.Model, images: np.ndarray) -> dict[str, np.ndarray]:
    """Return what `with_all_outputs` gives of a batch of images, uint8 (N, size, size, 1)."""
    return network.predict_on_batch(images.astype(np.float32))


def predict_batches(network: keras.Model, images: np.ndarray) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Yield batches of images, uint8 (n, size, size, 1), each with what `predict_all` gives of it."""
    for start in range(0, len(images), BATCH):
        batch = images[start : start + BATCH]
        yield batch, predict_all(network, batch)
