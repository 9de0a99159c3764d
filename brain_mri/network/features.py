"""A network's predictions and its features before the last layer, from which other models can learn."""

from collections.abc import Mapping

import keras
import numpy as np

from brain_mri.images.examples import Examples
from brain_mri.network.batches import in_order, predict_logits

Arrays = dict[str, np.ndarray]


def predict_with_features(
    model: keras.Model, shown: Mapping[str, np.ndarray], batch_size: int, mirrored: bool = False
) -> tuple[Arrays, Arrays]:
    """Return by name the predicted classes, int64 (...,), and the frozen features, float32 (N, D), of images, uint8
    (..., size, size): N of them over all leading axes. `mirrored`: the classes as in `predict_logits`.

    Frozen features are what enters the layer `logits`: the pooled features, since dropout does nothing here. All images
    are taken in one pass, because each pass of Keras begins with seconds of tracing."""
    last, size = model.get_layer("logits"), model.input.shape[1]
    network = keras.Model(model.input, [last.input, last.output], name=f"{model.name}_features")
    shapes = [images.shape[:-2] for images in shown.values()]
    flat = np.concatenate([images.reshape(-1, size, size, 1) for images in shown.values()])
    labels = np.zeros(len(flat), int)  # examples have some
    batches = in_order(Examples(flat, labels), model.output.shape[-1], batch_size)
    features, logits = network.predict(batches, verbose=0)
    if mirrored:
        logits = (logits + predict_logits(model, flat[:, :, ::-1], batch_size)) / 2
    ends = np.cumsum([np.prod(shape, dtype=int) for shape in shapes])[:-1]
    predictions = zip(shown, np.split(logits.argmax(1), ends), shapes, strict=True)
    classes = {name: part.reshape(shape) for name, part, shape in predictions}
    return classes, dict(zip(shown, np.split(features, ends), strict=True))
