"""The lesion head: a map that says at each place which lesion is there, or none, and the answer pooled from it.

The map is taught by the lesions' outlines, and the image's answer is the map's own where it sees most of a tumour: a
network that must say where the lesion is cannot answer by where the image came from. (Supervision of attention by
outlines: Ross et al., IJCAI 2017; pooling by attention: Ilse et al., ICML 2018, eq. 7-8.)

The map's logits are float32 (N, h, w, classes); the class `negative` means "no lesion here".
"""

from typing import Any

import keras
from keras import layers, ops

MAP = "lesion_logits"


def lesion_head(features: Any, classes: int, negative: int) -> Any:
    """Return the image's logits (N, classes) from features (N, h, w, C), through the map `lesion_logits`.

    Attention is the softmax over all places of the odds of any lesion, so what is pooled is the map at the places that
    look most like one, or, where none does, at the most doubtful places."""
    places = features.shape[1] * features.shape[2]
    logits = layers.Conv2D(classes, 1, name=MAP, dtype="float32")(features)
    attention = ops.softmax(ops.reshape(tumour_log_odds(logits, negative), (-1, places, 1)), axis=1)
    return ops.sum(attention * ops.reshape(logits, (-1, places, classes)), axis=1)


def tumour_log_odds(logits: Any, negative: int) -> Any:
    """Return the log odds of any lesion against none at each place, (N, h, w), from logits (N, h, w, classes)."""
    others = [place for place in range(logits.shape[-1]) if place != negative]
    return ops.logsumexp(ops.take(logits, others, axis=-1), axis=-1) - logits[..., negative]


def has_lesion_map(model: keras.Model) -> bool:
    """Whether the network has a lesion head."""
    return any(layer.name == MAP for layer in model.layers)


def map_loss(classes: int, negative: int, lesion_weight: float) -> Any:
    """Return the loss of the map: cross-entropy at each place, its mean over places; lesions count `lesion_weight`
    times as much, because they fill few places.

    It takes the class of each pixel, (N, H, W), -1 where nobody knows it, and the logits (N, h, w, classes); the map's
    place should say what share of its pixels each class has."""

    def loss(targets: Any, logits: Any) -> Any:
        step = targets.shape[1] // logits.shape[1]
        pixels = ops.one_hot(ops.cast(targets, "int32"), classes)  # all 0 where unknown: no loss there
        shares = ops.average_pool(pixels, step, step, data_format="channels_last")
        entropy = -ops.sum(shares * ops.log_softmax(logits, axis=-1), axis=-1)
        lesion = ops.sum(shares, axis=-1) - shares[..., negative]
        return ops.mean((1 + (lesion_weight - 1) * lesion) * entropy, axis=(1, 2))

    return loss
