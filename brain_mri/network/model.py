"""The networks: the paper's ResNet-50, three compact residual networks for CPUs, and two on EfficientNet-Lite0.

Each is one flat functional graph, so that each of their layers can be explained: input `image`, float32 (N, size,
size, 1) with grey values 0 to 255; a layer that scales to 0..1, and one that standardises where asked for; the
convolutions; global pooling, of averages or, in `compact_fine`, of quadratic means; dropout; `logits` (N, classes);
`probabilities`, their softmax. In those named `*_lesion` the logits are pooled from a map of them, `lesion_logits`.
"""

from typing import Any

import keras
from keras import layers

from brain_mri import params
from brain_mri.network.efficientnet import efficientnet_lite0, efficientnet_lite0_head
from brain_mri.network.lesion import lesion_head
from brain_mri.network.weights import set_weights


def build(settings: params.Model, classes: int, seed: int, negative: int | None = None) -> keras.Model:
    """Return an untrained or pre-trained network with every layer trainable.

    `negative`: the class that means "no tumour", which a network with a lesion map must know; the others do not ask.
    Raises UserError when the weights cannot be had or do not fit."""
    keras.utils.set_random_seed(seed)
    network, size, dropout = settings.network, settings.image_size, settings.dropout
    image = layers.Input((size, size, 1), name="image")
    x = layers.Rescaling(1 / 255, name="scale")(image)
    if settings.standardise:
        # Of each image over all its pixels; the epsilon keeps an image of one grey from becoming noise.
        x = layers.LayerNormalization((1, 2, 3), 4e-4, center=False, scale=False, name="standardise")(x)
    features = BODIES[network](x, settings.batch_norm_momentum)
    if settings.architecture.lesion_map:
        assert negative is not None
        features = layers.SpatialDropout2D(dropout, seed=seed, name="dropout")(features)
        logits = layers.Activation("linear", name="logits", dtype="float32")(lesion_head(features, classes, negative))
    else:
        pool = quadratic_mean if network == "compact_fine" else layers.GlobalAveragePooling2D(name="pooled")
        dropped = layers.Dropout(dropout, seed=seed, name="dropout")(pool(features))
        logits = layers.Dense(classes, name="logits", dtype="float32")(dropped)
    probabilities = layers.Activation("softmax", name="probabilities", dtype="float32")(logits)
    model = keras.Model(image, probabilities, name=network)
    for number, operation in enumerate(model.operations):
        if not isinstance(operation, layers.Layer):
            # Keras numbers operations over the whole process; the file must not tell what was built before.
            operation.name = f"{type(operation).__name__.lower()}_{number}"
    set_weights(model, settings.weights, settings.weights_sha256, seed)
    return model


def compact(x: Any, momentum: float) -> Any:
    """Return the features of a stem and four residual blocks (He et al. 2016, fig. 2) at an eighth of the size; 309,000
    parameters."""
    return _compact(x, momentum, [(16, 1, 3), (32, 2, 3), (64, 2, 3), (128, 1, 3)])[-1]


def compact_fine(x: Any, momentum: float) -> Any:
    """Return the features of the same at a quarter of the size, with other widths; 180,000 parameters.

    A unit of the last map sees 39x39 pixels and has 4x4 to itself, so that a map of the features can point at a small
    lesion; for the same reason the last block mixes channels alone (1x1 kernels)."""
    return _compact(x, momentum, [(16, 1, 3), (32, 2, 3), (64, 1, 3), (256, 1, 1)])[-1]


def compact_lesion(x: Any, momentum: float) -> Any:
    """Return features at a quarter of the size that have seen the whole head: four residual blocks down to a sixteenth,
    and up again with what the finer blocks saw; 980,000 parameters."""
    quarter, _, eighth, sixteenth = _compact(x, momentum, [(32, 2, 3), (64, 2, 3), (128, 1, 3), (160, 2, 3)])
    x = _up(sixteenth, eighth, 96, momentum, "up_to_eighth")
    return _up(x, quarter, 48, momentum, "up_to_quarter")


def efficientnet(x: Any, momentum: float) -> Any:
    """Return the features of EfficientNet-Lite0 at a 32nd of the size; 3.4 million parameters. The grey image is
    repeated in three channels and brought to the -1 to 1 that ImageNet's weights were taught with."""
    x = layers.Rescaling(2, -1, name="centre")(layers.Concatenate(name="grey_to_rgb")([x, x, x]))
    return efficientnet_lite0_head(efficientnet_lite0(x, momentum)[32], momentum)


def efficientnet_lesion(x: Any, momentum: float) -> Any:
    """Return features at a quarter of the size from EfficientNet-Lite0, down to a 32nd and up again; 3.3 million
    parameters. The grey image is repeated in three channels."""
    features = efficientnet_lite0(layers.Concatenate(name="grey_to_rgb")([x, x, x]), momentum)
    x = _up(features[32], features[16], 96, momentum, "up_to_sixteenth")
    x = _up(x, features[8], 64, momentum, "up_to_eighth")
    return _up(x, features[4], 48, momentum, "up_to_quarter")


def _up(coarse: Any, fine: Any, filters: int, momentum: float, name: str) -> Any:
    """Return coarse features at the size of the fine ones, with what these saw (Lin et al. 2017, fig. 3; here
    concatenated)."""
    narrow = _conv_bn_relu(coarse, filters, 1, 1, momentum, f"{name}_coarse")
    both = [
        layers.UpSampling2D(name=f"{name}_up")(narrow),
        _conv_bn_relu(fine, filters, 1, 1, momentum, f"{name}_fine"),
    ]
    return _conv_bn_relu(layers.Concatenate(name=f"{name}_both")(both), filters, 3, 1, momentum, name)


def _compact(x: Any, momentum: float, blocks: list[tuple[int, int, int]]) -> list[Any]:
    """Return the features after a stem and after each block of (filters, stride, kernel)."""
    x = _conv_bn_relu(x, 16, 3, 2, momentum, "stem")
    features = []
    for block, (filters, stride, kernel) in enumerate(blocks, start=1):
        x = _residual_block(x, filters, stride, kernel, momentum, f"block{block}")
        features.append(x)
    return features


def _conv_bn_relu(x: Any, filters: int, kernel: int, stride: int, momentum: float, name: str) -> Any:
    x = layers.Conv2D(filters, kernel, strides=stride, padding="same", use_bias=False, name=name)(x)
    return layers.ReLU(name=f"{name}_relu")(layers.BatchNormalization(momentum=momentum, name=f"{name}_bn")(x))


def _residual_block(x: Any, filters: int, stride: int, kernel: int, momentum: float, name: str) -> Any:
    def conv(x: Any, part: str, kernel: int, stride: int) -> Any:
        x = layers.Conv2D(filters, kernel, strides=stride, padding="same", use_bias=False, name=f"{name}_{part}")(x)
        return layers.BatchNormalization(momentum=momentum, name=f"{name}_{part}_bn")(x)

    y = layers.ReLU(name=f"{name}_a_relu")(conv(x, "a", kernel, stride))
    y = conv(y, "b", kernel, 1)
    shortcut = x if x.shape[-1] == filters and stride == 1 else conv(x, "shortcut", 1, stride)
    return layers.ReLU(name=f"{name}_out")(layers.Add(name=f"{name}_add")([y, shortcut]))


def quadratic_mean(features: Any) -> Any:
    """Pool features (N, h, w, C) to the root of their mean square, (N, C) (Radenovic et al. 2019, eq. 3, with p = 2).

    A lesion fills few of the h x w places; a plain average hands it little gradient, and Grad-CAM then points anywhere.
    """
    squares = layers.Multiply(name="squares")([features, features])
    mean = layers.GlobalAveragePooling2D(name="pooled")(squares)
    return keras.ops.sqrt(mean + 1e-6)  # the root's slope at 0 is infinite


def resnet50(x: Any, momentum: float) -> Any:
    """The paper's body: Keras's ResNet-50 without top (He et al. 2016), the grey image repeated in three channels."""
    x = layers.Concatenate(name="grey_to_rgb")([x, x, x])
    backbone = keras.applications.ResNet50(include_top=False, weights=None, input_tensor=x)
    for layer in backbone.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = momentum
    return backbone.output


BODIES = {
    body.__name__: body for body in (compact, compact_fine, compact_lesion, efficientnet, efficientnet_lesion, resnet50)
}
