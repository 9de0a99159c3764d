"""What an inner layer of a network makes of images, beside its answer, in one pass."""

from collections.abc import Iterator

import core.network  # noqa: F401  (settings that must be made before Keras is loaded)

# isort: split
import keras
import numpy as np

# By network: textures and their places, no class yet.
LAYERS = {"compact": "block3_out", "compact_fine": "block3_out", "resnet50": "conv3_block4_out"}
BATCH = 64


def with_maps(model: keras.Model) -> keras.Model:
    """Return a network, sharing the weights, from images to (maps of the inner layer (N, h, w, C), logits)."""
    inner = model.get_layer(LAYERS[model.name]).output
    return keras.Model(model.input, [inner, model.get_layer("logits").output], name=f"{model.name}_with_maps")


def predict_maps(model: keras.Model, images: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield batches of images, uint8 (n, size, size, 1), and the inner layer's maps of them, float32 (n, h, w, C)."""
    network = with_maps(model)
    for start in range(0, len(images), BATCH):
        batch = images[start : start + BATCH]
        yield batch, np.asarray(network(batch.astype(np.float32), training=False)[0])
