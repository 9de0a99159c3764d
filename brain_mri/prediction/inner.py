"""What inner layers of a network make of images, beside its answers, in one pass.

Networks are asked through `predict_on_batch`: called like a function, Keras holds the output of every layer to the end,
9 GiB for a batch of ResNet-50.
"""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

# By network, from textures to what is nearly a class.
BLOCKS = ("block1_out", "block2_out", "block3_out", "block4_out")
LAYERS = {
    "compact": BLOCKS,
    "compact_fine": BLOCKS,
    "compact_lesion": BLOCKS,
    "efficientnet_lesion": ("block2_add", "block4_add", "block10_add", "block15_project_bn"),
    "resnet50": ("conv2_block3_out", "conv3_block4_out", "conv4_block6_out", "conv5_block3_out"),
}
BATCH = 64


def with_all_outputs(model: keras.Model, temperature: float) -> keras.Model:
    """Return a network, sharing the weights, from images, float32 (N, size, size, 1), 0 to 255, to a dictionary.

    In it are, float32: the network's own outputs by name, such as `probabilities` (N, classes); `logits` and
    `calibrated`, their softmax at the temperature (N, classes); `inner_0`, ..., maps of inner layers (N, h, w, C)."""
    logits = model.get_layer("logits").output
    outputs = dict(zip(model.output_names, model.outputs, strict=True))
    outputs |= {"logits": logits, "calibrated": keras.ops.softmax(logits / temperature)}
    outputs |= {f"inner_{place}": output for place, output in enumerate(inner_outputs(model))}
    return keras.Model(model.input, outputs, name=f"{model.name}_with_all_outputs")


def inner_outputs(model: keras.Model) -> list[Any]:
    """Return the outputs of the inner layers, symbolic (N, h, w, C)."""
    return [model.get_layer(name).output for name in LAYERS[model.name]]


def predict_all(network: keras.Model, images: np.ndarray) -> dict[str, np.ndarray]:
    """Return what `with_all_outputs` gives of a batch of images, uint8 (N, size, size, 1)."""
    return network.predict_on_batch(images.astype(np.float32))


def with_inner_outputs(model: keras.Model) -> keras.Model:
    """Return a network, sharing the weights, from images as `with_all_outputs` takes them to the inner layers' maps."""
    return keras.Model(model.input, inner_outputs(model), name=f"{model.name}_with_inner_outputs")


def predict_maps(network: keras.Model, images: np.ndarray) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
    """Yield batches of images, uint8 (n, size, size, 1), and what `with_inner_outputs` gives: float32 (n, h, w, C)."""
    for start in range(0, len(images), BATCH):
        batch = images[start : start + BATCH]
        yield batch, network.predict_on_batch(batch.astype(np.float32))
