"""EfficientNet-Lite0: a body for small machines that was taught on ImageNet.

Tan & Le, ICML 2019, Table 1, in the variant for devices without squeeze-and-excitation and with ReLU6 (Google's
EfficientNet-Lite).
"""

from typing import Any, NamedTuple

from keras import layers


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
    """Return the last features at each stride of 2 to 32, (N, size / stride, size / stride, channels), sizes rounded
    up."""
    x = _activated(x, layers.Conv2D(32, 3, 2, "same", use_bias=False, name="stem"), momentum)
    stride, features = 2, {}
    for number, block in enumerate(BLOCKS):
        stride *= block.stride
        x = features[stride] = _inverted_residual(x, block, momentum, f"block{number}")
    return features


def efficientnet_lite0_head(x: Any, momentum: float) -> Any:
    """Return the 1,280 channels that the published network classifies by, from the features at stride 32."""
    return _activated(x, layers.Conv2D(1280, 1, use_bias=False, name="head"), momentum)


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
