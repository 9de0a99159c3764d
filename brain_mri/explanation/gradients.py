"""Gradients of class scores on TensorFlow and JAX: a network is cut at a layer and differentiated there.

The score is always the logit of a class, not its probability: a probability's gradient vanishes where the network is
sure (Simonyan 2014, section 3). A batch is differentiated at once: in inference the images do not see each other, so
the gradient of the sum of their scores holds each image's own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from brain_mri.errors import UserError
from brain_mri.network import keras  # loaded without TensorFlow's messages

LOGITS = "logits"
SIGN_KEEPING = (  # of maps that are not negative they make one that is not
    keras.layers.Add,
    keras.layers.AveragePooling2D,
    keras.layers.Concatenate,
    keras.layers.Dropout,
    keras.layers.MaxPooling2D,
    keras.layers.Multiply,
    keras.layers.SpatialDropout2D,
    keras.layers.UpSampling2D,
)


class Gradients(NamedTuple):
    """What one pass gives, as the backend's float32 tensors; `d_` is the derivative of the chosen logit by that."""

    logits: Any  # (n, classes)
    activations: Any  # (n, h, w, channels), at the layer of the cut
    d_activations: Any  # (n, h, w, channels)
    d_image: Any  # (n, H, W, C), by grey level; None where it was not asked for


@dataclass(frozen=True)
class Cut:
    """A network in two parts that share its weights: later changes of the weights show in both."""

    layer: str
    trunk: keras.Model  # image -> activations of `layer`
    head: keras.Model  # activations, or (activations, image) where a path leads around the layer -> logits

    @property
    def bypassed(self) -> bool:
        """Whether a path leads from image to logits around the layer, as inside a residual block."""
        return len(self.head.inputs) == 2


def spatial_layers(model: keras.Model) -> dict[str, tuple[int, int]]:
    """The layers whose output is a map of more than one place, in network order, with its (height, width)."""
    sizes: dict[str, tuple[int, int]] = {}
    for layer in model.layers:
        shape: tuple[int, ...] = getattr(layer.output, "shape", ())
        if len(shape) == 4 and shape[1] * shape[2] > 1 and not isinstance(layer, keras.layers.InputLayer):
            sizes[layer.name] = (shape[1], shape[2])
    return sizes


def default_layer(model: keras.Model) -> str:
    """The last convolution's activation: the last layer of the same height and width as the last convolution's output.

    So normalisation, a residual sum and the ReLU behind the convolution are included, as in Selvaraju 2017, in
    `compact_fine` also the squares that its pooling averages; the pooling is not. Raises UserError where no convolution
    has a spatial map.
    """
    maps = spatial_layers(model)
    convolutions = [layer.name for layer in model.layers if "Conv" in type(layer).__name__ and layer.name in maps]
    if not convolutions:
        raise UserError(
            f"model {model.name}: no convolution with a spatial map, so Grad-CAM has nothing to show; "
            "choose a convolutional network"
        )
    return [name for name, size in maps.items() if size == maps[convolutions[-1]]][-1]


def rectified_layer(model: keras.Model, layer: str) -> str:
    """`layer` or, where its map may be negative, the last layer before it whose map cannot be.

    Not negative is what a ReLU gives, and what SIGN_KEEPING layers make of such maps alone: of networks with a lesion
    map that is not the map of logits but the features below it. Raises UserError where there is none.
    """
    maps, rectified = spatial_layers(model), []
    sure: set[str] = set()
    for entry in model.layers[: model.layers.index(model.get_layer(layer)) + 1]:
        sources = {tensor._keras_history.operation.name for tensor in keras.tree.flatten(entry.input)}
        if _is_relu(entry) or (isinstance(entry, SIGN_KEEPING) and sources <= sure):
            sure.add(entry.name)
            rectified += [entry.name] if entry.name in maps else []
    if not rectified:
        raise UserError(
            f"model {model.name}: no ReLU up to layer {layer!r}, and Grad-CAM++ is defined by it; "
            "leave out grad_cam_pp, or choose a network with ReLU"
        )
    return rectified[-1]


def cut(model: keras.Model, layer: str | None = None, guided: bool = False) -> Cut:
    """Cut a flat functional classifier at the named layer, or at `default_layer`.

    The model ends in a linear layer named "logits" and a softmax. With `guided`, every ReLU lets only positive
    gradients back (Springenberg 2015, section 3.4, "guided backpropagation"). The model itself is left as it was.
    Raises UserError for a layer that is missing or has no spatial map, for a model without logits, and with `guided`
    for one without ReLU.
    """
    maps = spatial_layers(model)
    layer = layer or default_layer(model)
    if layer not in maps:
        found = "has no spatial map" if layer in {entry.name for entry in model.layers} else "is not in the model"
        raise UserError(f"layer {layer!r} {found}; those with a spatial map are {', '.join(maps)}")
    if LOGITS not in {entry.name for entry in model.layers}:
        raise UserError(
            f"model {model.name}: no layer named {LOGITS!r}, whose output is explained; found "
            f"{model.layers[-1].name!r} last; give the linear layer before the softmax that name"
        )
    image, tensors = _retrace(model, guided)
    trunk = keras.Model(image, tensors[layer])
    try:
        head = keras.Model(tensors[layer], tensors[LOGITS])
    except ValueError:  # A path leads around the layer: the head then needs the image too.
        head = keras.Model([tensors[layer], image], tensors[LOGITS])
    return Cut(layer, trunk, head)


def _retrace(model: keras.Model, guided: bool) -> tuple[Any, dict[str, Any]]:
    """Call the model's own layers on a new input; cutting the model's own graph would break its saving."""
    tensors = {}
    relus = {layer.name for layer in model.layers if _is_relu(layer)} if guided else set()
    if guided and not relus:
        raise UserError(
            f"model {model.name}: no ReLU, and guided backpropagation is defined by it; "
            "leave out guided_backpropagation and guided_grad_cam, or choose a network with ReLU"
        )

    def call(layer: keras.layers.Layer, *args: Any, **kwargs: Any) -> Any:
        output = layer(*args, **kwargs)
        tensors[layer.name] = PositiveGradient()(output) if layer.name in relus else output
        return tensors[layer.name]

    plain = keras.Model(model.inputs, model.outputs)  # a clone would take over the loss and optimizer of `model`
    shared = keras.models.clone_model(plain, clone_function=lambda layer: layer, call_function=call)
    return shared.inputs[0], tensors


def _is_relu(layer: keras.layers.Layer) -> bool:
    if isinstance(layer, keras.layers.ReLU):
        return not layer.negative_slope
    return getattr(layer, "activation", None) in (keras.activations.relu, keras.activations.relu6)


class PositiveGradient(keras.layers.Layer):
    """The identity, whose gradient lets only positive values back: behind a ReLU the two are the guided ReLU."""

    def call(self, inputs: Any) -> Any:
        """Return `inputs`, of any shape."""
        return _positive_gradient(inputs)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return `input_shape`."""
        return input_shape


@keras.ops.custom_gradient
def _positive_gradient(inputs: Any) -> Any:
    return inputs * 1.0, keras.ops.relu


def differentiate(parts: Cut, to_image: bool) -> Callable[[np.ndarray, np.ndarray], Gradients]:
    """Compile (images (n, H, W, C) of raw grey levels, classes (n,) of class numbers) -> Gradients.

    Without `to_image` only the head is differentiated, which for the default layer is pooling and one matrix.
    Call it with batches of one size: JAX compiles anew for each, TensorFlow does not.
    """
    compiled = {"tensorflow": _tensorflow, "jax": _jax}[keras.backend.backend()](parts, to_image)
    return lambda images, classes: compiled(np.asarray(images, np.float32), np.asarray(classes, np.int32))


def _tensorflow(parts: Cut, to_image: bool) -> Callable[..., Gradients]:
    import tensorflow as tf

    signature = [tf.TensorSpec((None, *parts.trunk.input.shape[1:]), tf.float32), tf.TensorSpec((None,), tf.int32)]

    @tf.function(input_signature=signature)
    def run(images: Any, classes: Any) -> Gradients:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            if to_image:
                tape.watch(images)
            activations = tf.cast(parts.trunk(images, training=False), tf.float32)
            tape.watch(activations)
            logits = parts.head([activations, images] if parts.bypassed else activations, training=False)
            score = tf.reduce_sum(tf.gather(tf.cast(logits, tf.float32), classes, batch_dims=1))
        gradients = tape.gradient(score, [activations, images] if to_image else [activations])
        return Gradients(logits, activations, gradients[0], gradients[1] if to_image else None)

    return run


def _jax(parts: Cut, to_image: bool) -> Callable[..., Gradients]:
    import jax

    def forward(part: keras.Model, weights: Any, inputs: Any) -> Any:
        # Weights are arguments, not constants of the compiled code: randomising them must not need a new one.
        return part.stateless_call(*weights, inputs, training=False)[0].astype("float32")

    @jax.jit
    def run(trunk: Any, head: Any, images: Any, classes: Any) -> Gradients:
        def score(activations: Any, images: Any) -> tuple[Any, Any]:
            logits = forward(parts.head, head, [activations, images] if parts.bypassed else activations)
            return jax.numpy.take_along_axis(logits, classes[:, None], axis=1).sum(), logits

        activations, backward = jax.vjp(lambda images: forward(parts.trunk, trunk, images), images)
        (d_activations, around), logits = jax.grad(score, argnums=(0, 1), has_aux=True)(activations, images)
        d_image = around + backward(d_activations)[0] if to_image else None
        return Gradients(logits, activations, d_activations, d_image)

    def weights(part: keras.Model) -> Any:
        groups = (part.trainable_variables, part.non_trainable_variables)
        return [[variable.value for variable in group] for group in groups]

    return lambda images, classes: run(weights(parts.trunk), weights(parts.head), images, classes)
