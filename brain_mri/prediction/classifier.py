"""A study's model, ready to classify images from outside: the training's crop, calibrated answers, explanations.

Answers come from the ONNX file, where the study has one, because loading TensorFlow takes seconds; explanations need
gradients, and for them Keras is loaded when the first is asked for.
"""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from brain_mri.errors import UserError, reason
from brain_mri.images.crop import to_network
from brain_mri.prediction import novelty
from brain_mri.prediction.study import Study

if TYPE_CHECKING:
    import keras

    from brain_mri.explanation.saliency import Explainer

WARNING = "looks like no brain MRI"
MAP = "lesion_logits"  # as in brain_mri.network.lesion, whose import would load Keras


@dataclass(frozen=True)
class Answer:
    """The answer for one image: the likeliest class, the calibrated probability of each, and three reservations."""

    predicted: str
    probabilities: dict[str, float]
    not_excluded: list[str]  # the other classes that may be true, likeliest first
    abstain: bool  # the confidence is below the study's threshold: for a person to decide
    warning: str | None


class Classifier:
    """A study's network with its crop, its temperature, its threshold and its detector of what is no brain MRI."""

    def __init__(self, study: Study):
        """Load the network; raises UserError for a file that cannot be read or belongs to another model."""
        self.study, self.classes = study, study.card.classes
        if study.onnx:
            from brain_mri.prediction.onnx_network import Network

            self._predict = Network(study.onnx, study.digest).run
        else:
            from brain_mri.prediction.outputs import predict_all, with_all_outputs

            mirrored = study.params.evaluate.mirrored
            network = with_all_outputs(load_keras(study), study.card.temperature, mirrored)
            self._predict = partial(predict_all, network)
        self.detector = novelty.load(study.guard) if study.guard else None
        self._explainer: Explainer | None = None

    def classify(self, crops: np.ndarray) -> list[Answer]:
        """Classify crops, uint8 (N, size, size), N at least 1."""
        images = to_network(crops, self.study.card.image_size)
        outputs = self._predict(images)
        is_novel = np.zeros(len(images), bool)
        if self.detector:
            is_novel = self.detector.flags(novelty.describe(images, outputs))
        threshold = self.study.threshold or 0.0
        least = np.array([(self.study.excluded_below or {}).get(name, np.inf) for name in self.classes])
        return [
            Answer(
                self.classes[int(row.argmax())],
                dict(zip(self.classes, row.tolist(), strict=True)),
                [self.classes[place] for place in np.argsort(-row)[1:] if row[place] >= least[place]],
                bool(row.max() < threshold),
                WARNING if novel else None,
            )
            for row, novel in zip(outputs["calibrated"], is_novel, strict=True)
        ]

    def explain(self, crops: np.ndarray, classes: list[str], method: str | None = None) -> np.ndarray:
        """Maps of what speaks for a class in each crop, float32 (N, size, size), 0 to 1 as `maps.displayed` has it.

        `method`: one of the network's (brain_mri.explanation.saliency), None the one that the study offers. A lesion
        map is an output of the ONNX file; the others need Keras. Raises UserError for a release without it."""
        from brain_mri.explanation.maps import LESION_MAP, displayed, lesion_map, upsample

        method = method or self.study.offered
        images = to_network(crops, self.study.card.image_size)
        targets = np.array([self.classes.index(name) for name in classes])
        negative = self.study.params.dataset.negative_class
        if method == LESION_MAP and MAP in (outputs := self._predict(images)):
            maps = lesion_map(outputs[MAP], targets, negative)
        else:
            if self._explainer is None:
                from brain_mri.explanation.saliency import Explainer

                self._explainer = Explainer(load_keras(self.study), self.study.params.gradcam.named_layer, negative)
            maps = self._explainer.explain(images, targets, [method])[method]
        return displayed(method, upsample(np.abs(maps), crops.shape[1:]))


def load_keras(study: Study) -> "keras.Model":
    """Load the study's Keras file; raises UserError where there is none or it cannot be read."""
    from brain_mri.network.saved import load_for

    if study.keras is None:
        raise UserError(
            f"{study.folder}: a release has no Keras file, which maps other than {study.offered} need; name a study "
            "that was run (--study)"
        )
    try:
        return load_for(study.card.classes, study.keras)[0]
    except TypeError as error:  # how Keras refuses a layer or an argument of a layer that it does not know
        what = f"not a network that this Keras knows ({reason(error)})"
        raise UserError(f"{study.keras}: {what}; train it again") from None
