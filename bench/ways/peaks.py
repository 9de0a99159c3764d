"""What the machine can do at most, and what a network asks of it."""

import time

import keras
import numpy as np

SIDE = 4096


def matmul_gflops(dtype: str) -> float:
    """Return the rate of a large matrix product in Keras's backend, in GFLOP/s: the best of five."""
    one = keras.ops.cast(np.random.default_rng(0).standard_normal((SIDE, SIDE), np.float32), dtype)
    seconds = []
    for _ in range(6):  # the first is not counted: it compiles
        begin = time.perf_counter()
        keras.ops.convert_to_numpy(keras.ops.matmul(one, one)[:1, :1])
        seconds.append(time.perf_counter() - begin)
    return 2 * SIDE**3 / min(seconds[1:]) / 1e9


def forward_gflops(model: keras.Model) -> float:
    """Return what the convolutions and the dense layers of a forward pass of one image take, two FLOP a product."""
    total = 0
    for layer in model.layers:
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense)):
            places = np.prod(layer.output.shape[1:-1], dtype=int)
            total += 2 * int(np.prod(layer.kernel.shape)) * int(places)
    return total / 1e9
