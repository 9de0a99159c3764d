"""Saliency maps: how much each pixel counts for the logit of a class.

Every map is float32 of the image's height and width, not normalised. Where papers differ, here:

| method | sign | what the value is |
|---|---|---|
| gradient | signed | d logit / d grey level (Simonyan 2014, section 3), before the paper's absolute value |
| guided_backpropagation | signed | the same, negative gradients stopped at each ReLU (Springenberg 2015, section 3.4) |
| grad_cam | >= 0 | Selvaraju 2017, eq. 1-2: ReLU at the layer's resolution, then bilinear upsampling |
| grad_cam_pp | >= 0 | Chattopadhay 2018, eq. 10-14, of the exponential of the logit, at the last ReLU's output |
| guided_grad_cam | signed | guided backpropagation times upsampled Grad-CAM (Selvaraju 2017, section 3.2) |
| integrated_gradients | signed | Sundararajan 2017, eq. 1, from a black image; the sum is logit(image) - logit(black) |
| lesion_map | 0 to 1 | of a network with a lesion head (brain_mri/network/lesion.py): its map's softmax |
| sobel | >= 0 | length of the image's Sobel gradient: knows nothing of the model |
| random | 0 to 1 | uniform noise: knows nothing of model or image |

Of the class that means "no tumour" the lesion map is the share of all others: where a lesion was nearest to being seen.
Upsampling aligns pixel areas and repeats the border (OpenCV's bilinear `resize`). Channels of the image are added up.
`importance` turns any of them into the non-negative maps that the scores compare, `displayed` into what is shown.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from brain_mri.errors import UserError
from brain_mri.explanation.gradients import Gradients, cut, differentiate, rectified_layer
from brain_mri.explanation.maps import LESION_MAP, lesion_map, sobel, upsample
from brain_mri.network import keras  # loaded without TensorFlow's messages
from brain_mri.network.lesion import MAP, has_lesion_map

CAMS = ("grad_cam", "grad_cam_pp")
METHODS = ("gradient", "guided_backpropagation", *CAMS, "guided_grad_cam", "integrated_gradients", "sobel", "random")
IG_STEPS = 16  # Gauss-Legendre nodes; the known-answer test shows how complete they are


class Explainer:
    """Maps of one model at one layer, compiled at first use and then reused; it follows changes of the weights."""

    def __init__(self, model: keras.Model, layer: str | None = None, negative: int | None = None):
        """Cut `model` at `layer`, or at the last convolution's activation; raises UserError as `gradients.cut`.

        `negative`: the class that means "no tumour", where there is one; the lesion map asks."""
        self.model, self.negative = model, negative
        self.parts = cut(model, layer)
        self.layer = self.parts.layer
        self.methods = (LESION_MAP, *METHODS) if has_lesion_map(model) else METHODS
        self._compiled: dict[str, Callable[..., Gradients]] = {}
        self._to_map: keras.Model | None = None

    def explain(
        self,
        images: np.ndarray,
        classes: np.ndarray,
        methods: Sequence[str] | None = None,
        batch_size: int = 28,
        seed: int = 0,
    ) -> dict[str, np.ndarray]:
        """Map each method's name to float32 maps (N, H, W).

        `images`: (N, H, W, C) of raw grey levels 0-255, uint8 or float32; `classes`: (N,) of class numbers; `methods`:
        some of `self.methods`, all of them where none are named. Methods share passes: one forward and backward for
        gradient, Grad-CAM and Grad-CAM++, one for those with guided ReLU, and 16 for integrated gradients. Besides the
        maps, memory holds one batch. Raises UserError for an unknown method.
        """
        methods = self.methods if methods is None else methods
        unknown = [method for method in methods if method not in self.methods]
        if unknown:
            raise UserError(f"explanation: {', '.join(unknown)} unknown; choose among {', '.join(self.methods)}")
        if images.ndim != 4 or len(classes) != len(images):
            raise ValueError(f"expected images (N, H, W, C) and N classes, found {images.shape} and {len(classes)}")
        maps = {method: np.empty(images.shape[:3], np.float32) for method in methods}
        for start in range(0, len(images), batch_size):
            part = slice(start, start + batch_size)
            batch = np.asarray(images[part], np.float32)
            for method, values in self._explain_batch(batch, np.asarray(classes[part]), methods).items():
                maps[method][part] = values
            if "random" in maps:
                for index in range(start, start + len(batch)):
                    maps["random"][index] = np.random.default_rng((seed, index)).random(images.shape[1:3], np.float32)
        return maps

    def _explain_batch(self, images: np.ndarray, classes: np.ndarray, methods: Sequence[str]) -> dict[str, np.ndarray]:
        wanted = set(methods)
        maps: dict[str, np.ndarray] = {}
        size, given = (images.shape[1], images.shape[2]), (images, classes)
        if wanted & {"gradient", "guided_grad_cam", *CAMS}:
            shared = self._run("to_image" if "gradient" in wanted else "to_layer", *given)
            if "gradient" in wanted:
                maps["gradient"] = _channel_sum(shared.d_image)
            if wanted & {"grad_cam", "guided_grad_cam"}:
                maps["grad_cam"] = upsample(grad_cam(shared.activations, shared.d_activations), size)
            if "grad_cam_pp" in wanted:
                at = shared if rectified_layer(self.model, self.layer) == self.layer else self._run("rectified", *given)
                maps["grad_cam_pp"] = upsample(grad_cam_pp(at.activations, at.d_activations), size)
        if wanted & {"guided_backpropagation", "guided_grad_cam"}:
            guided = _channel_sum(self._run("guided", *given).d_image)
            maps["guided_backpropagation"] = guided
            if "guided_grad_cam" in wanted:
                maps["guided_grad_cam"] = guided * maps["grad_cam"]
        if "integrated_gradients" in wanted:
            maps["integrated_gradients"] = self._integrated_gradients(images, classes)
        if LESION_MAP in wanted:
            maps[LESION_MAP] = upsample(self._lesion_map(images, classes), size)
        if "sobel" in wanted:
            maps["sobel"] = sobel(images)
        return {method: values for method, values in maps.items() if method in wanted}

    def _integrated_gradients(self, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
        nodes, weights = np.polynomial.legendre.leggauss(IG_STEPS)
        mean = np.zeros(images.shape[:3], np.float32)
        for node, weight in zip(nodes, weights, strict=True):
            along = self._run("to_image", images * np.float32((node + 1) / 2), classes).d_image
            mean += np.float32(weight / 2) * _channel_sum(keras.ops.convert_to_numpy(along) * images)
        return mean

    def _lesion_map(self, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
        if self._to_map is None:
            self._to_map = keras.Model(self.model.input, self.model.get_layer(MAP).output)
        logits = keras.ops.convert_to_numpy(self._to_map(images, training=False))
        return lesion_map(logits, classes, self.negative)

    def _run(self, kind: str, images: np.ndarray, classes: np.ndarray) -> Gradients:
        if kind not in self._compiled:
            parts = self.parts
            if kind == "guided":
                parts = cut(self.model, guided=True)
            elif kind == "rectified":
                parts = cut(self.model, rectified_layer(self.model, self.layer))
            self._compiled[kind] = differentiate(parts, to_image=kind in ("to_image", "guided"))
        return self._compiled[kind](images, classes)


def grad_cam(activations: Any, d_activations: Any) -> np.ndarray:
    """Grad-CAM at the layer's resolution, (n, h, w) >= 0, from tensors (n, h, w, channels); Selvaraju 2017, eq. 1-2."""
    return _weighted_sum(activations, keras.ops.mean(d_activations, axis=(1, 2)))


def grad_cam_pp(activations: Any, d_activations: Any) -> np.ndarray:
    """Grad-CAM++ at the layer's resolution, (n, h, w) >= 0, from tensors (n, h, w, channels); Chattopadhay 2018.

    Of the exponential of the logit the second and third derivatives are powers of the gradient g (its eq. 15-16), and
    alpha (eq. 10) becomes 1 / (2 + g * sum of the activations) wherever g is not 0. The weights (eq. 6) then leave out
    the factor exp(logit), which is the same over an image. The formula holds for activations that are not negative.
    """
    positive = keras.ops.relu(d_activations)
    alpha = 1 / (2 + positive * keras.ops.sum(activations, axis=(1, 2), keepdims=True))
    return _weighted_sum(activations, keras.ops.sum(alpha * positive, axis=(1, 2)))


def _weighted_sum(activations: Any, weights: Any) -> np.ndarray:
    n, height, width, channels = activations.shape
    places = keras.ops.reshape(activations, (n, height * width, channels))
    maps = keras.ops.relu(keras.ops.matmul(places, weights[:, :, None]))
    return keras.ops.convert_to_numpy(keras.ops.reshape(maps, (n, height, width)))


def _channel_sum(tensor: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(tensor).sum(axis=-1)
