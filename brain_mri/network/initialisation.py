"""The weights that an untrained network starts from: drawn by NumPy, so that one seed gives every backend the same."""

import keras
import numpy as np


def draw_weights(model: keras.Model, seed: int) -> None:
    """Draw each kernel uniformly within sqrt(6 / (fan in + fan out)) (Glorot & Bengio 2010, eq. 16).

    These are the bounds of Keras's own initialiser; biases and batch statistics stay as they are."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        values = layer.get_weights()
        for place, value in enumerate(values):
            if value.ndim > 1:
                places = value.size // (value.shape[-2] * value.shape[-1])  # of a convolution's kernel; 1 of a matrix
                bound = np.sqrt(6 / (places * (value.shape[-2] + value.shape[-1])))
                values[place] = rng.uniform(-bound, bound, value.shape).astype(np.float32)
        if values:
            layer.set_weights(values)
