"""A study's model, ready to classify images from outside: the training's crop, calibrated answers, explanations."""

from dataclasses import dataclass

import numpy as np

from core.evaluation import novelty
from core.evaluation.calibration import apply_temperature
from core.explanation.saliency import Explainer, normalise, upsample
from core.files import UserError
from core.images.cropping import to_network
from core.network.model import load_for
from core.prediction.inner import with_maps
from core.prediction.study import Study

WARNING = "looks like no brain MRI"


@dataclass(frozen=True)
class Answer:
    """What is said of one image: the likeliest class, the calibrated probability of each, and two reservations."""

    predicted: str
    probabilities: dict[str, float]
    abstain: bool  # the confidence is below the study's threshold: for a person to decide
    warning: str | None


class Classifier:
    """A study's network with its crop, its temperature, its threshold and its detector of what is no brain MRI."""

    def __init__(self, study: Study):
        """Load the network; raises UserError for a file that Keras cannot read."""
        self.study, self.classes = study, study.card.classes
        try:
            self.model, _ = load_for(self.classes, study.model)
        except UserError:
            raise
        # A file of another version of Keras fails in any way at all.
        except Exception as error:
            said = " ".join(str(error).split())[:160]
            raise UserError(f"{study.model}: made by another version of Keras ({said}); train it again") from None
        self.network = with_maps(self.model)
        self.detector = novelty.load(study.guard) if study.guard else None
        self._explainer: Explainer | None = None

    def classify(self, crops: np.ndarray) -> list[Answer]:
        """Classify crops, uint8 (N, size, size), N at least 1."""
        images = to_network(crops, self.study.card.image_size)
        maps, logits = (np.asarray(output) for output in self.network(images.astype(np.float32), training=False))
        strange = self.detector.flags(novelty.describe(images, maps)) if self.detector else np.zeros(len(images), bool)
        threshold = self.study.threshold or 0.0
        return [
            Answer(
                self.classes[int(row.argmax())],
                dict(zip(self.classes, row.tolist(), strict=True)),
                bool(row.max() < threshold),
                WARNING if odd else None,
            )
            for row, odd in zip(apply_temperature(logits, self.study.card.temperature), strange, strict=True)
        ]

    def explain(self, crops: np.ndarray, classes: list[str], method: str = "grad_cam") -> np.ndarray:
        """Maps of what speaks for a class in each crop, float32 (N, size, size), each 0 to 1; its maximum is 1."""
        if self._explainer is None:
            layer = self.study.params.gradcam.layer
            self._explainer = Explainer(self.model, None if layer == "last" else layer)
        targets = np.array([self.classes.index(name) for name in classes])
        maps = self._explainer.explain(to_network(crops, self.study.card.image_size), targets, [method])[method]
        return normalise(upsample(np.abs(maps), crops.shape[1:]))
