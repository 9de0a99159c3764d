"""guard: learn what the training images look like, so that a prediction can warn of what is no brain MRI; measure it.

Reads   models/{noaug,aug}.keras, data/split, data/cropped, data/external, params `crop`, `model.image_size`.
Writes  models/{noaug,aug}-guard.npz (the detector), metrics/guard.json: by pipeline the share of images that it flags
        though they are brain MRI (`false_alarms`: validation, on which its threshold is set; test; external) and the
        share of other pictures that it flags (`hits`: `choosing`, from which it has learned, drawn afresh, and
        `measuring`, kinds of pictures that it has not seen; each also by kind).
"""

from collections.abc import Sequence

import numpy as np

from brain_mri import results
from brain_mri.errors import run
from brain_mri.files import progress
from brain_mri.images.crop import crop, to_network
from brain_mri.images.dataset import EXTERNAL, load_images, read_samples
from brain_mri.network.machine import set_up
from brain_mri.network.saved import load_for
from brain_mri.params import PIPELINES, Params, load_params
from brain_mri.prediction import novelty, other_pictures
from brain_mri.prediction.outputs import predict_batches, with_all_outputs

FALSE_ALARMS = 0.005  # share of the validation images beyond the threshold
EACH = 25  # pictures of each kind
# Drawn with these seeds: the pictures that teach are not those that measure.
DRAWN = {
    "teaching": (other_pictures.CHOOSING, 0),
    "choosing": (other_pictures.CHOOSING, 1),
    "measuring": (other_pictures.MEASURING, 0),
}


def main() -> None:
    params = load_params()
    set_up(params.train.threads)
    size = params.model.image_size
    own = {name: load_images(read_samples(f"data/split/{name}.csv"), size) for name in ("train", "val", "test")}
    own["external"] = load_images(read_samples("data/split/external.csv"), size, EXTERNAL)
    drawn = {name: other_pictures.draw(kinds, EACH, seed) for name, (kinds, seed) in DRAWN.items()}
    images = own | {name: as_inputs(pictures, params) for name, (pictures, _) in drawn.items()}
    table = {}
    for pipeline in progress(PIPELINES, "guard"):
        model, card = load_for(params.dataset.classes, f"models/{pipeline}.keras")
        network = with_all_outputs(model, card["temperature"])
        described = {
            name: np.concatenate([novelty.describe(*batch) for batch in predict_batches(network, part)])
            for name, part in images.items()
            if len(part)
        }
        detector = novelty.fit(described["train"], described["val"], FALSE_ALARMS, described["teaching"])
        detector.save(f"models/{pipeline}-guard.npz")
        flagged = {name: detector.flags(part) for name, part in described.items()}
        table[pipeline] = {
            "false_alarms": {name: rate(flagged[name]) for name in ("val", "test", "external") if name in flagged},
            "hits": {name: by_kind(flagged[name], drawn[name][1]) for name in ("choosing", "measuring")},
        }
    results.write("metrics/guard.json", table)


def as_inputs(pictures: Sequence[np.ndarray], params: Params) -> np.ndarray:
    """Take pictures, uint8 (H, W), the way of every image: the crop, then the network's size; uint8 (N, s, s, 1)."""
    return to_network(np.stack([crop(picture, params.crop) for picture in pictures]), params.model.image_size)


def rate(flagged: np.ndarray) -> dict:
    return {"n": len(flagged), "rate": float(flagged.mean())}


def by_kind(flagged: np.ndarray, kinds: Sequence[str]) -> dict:
    names = np.array(kinds)
    return rate(flagged) | {"kinds": {kind: float(flagged[names == kind].mean()) for kind in dict.fromkeys(kinds)}}


if __name__ == "__main__":
    run(main)
