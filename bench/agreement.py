"""How alike the explanations of two models are, such as one pipeline trained from two seeds.

    cd studies/compact; python ../../bench/agreement.py models/aug.keras /elsewhere/aug.keras

Run it in a study's folder: the maps are those of its test images, of their actual class, as many as `gradcam.images`.
Beside each mean and its interval stands the likeness to another image's map, which is what chance gives. A model of
another seed: `dvc exp run -S train.seed=2`, then `dvc get . models/aug.keras --rev <experiment> -o other.keras`.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "stages"))

from brain_mri.errors import run
from brain_mri.explanation import summary
from brain_mri.explanation.saliency import Explainer
from brain_mri.explanation.sanity import MEASURES
from brain_mri.images.dataset import groups_of, labels_of, load_images, load_masks, read_samples
from brain_mri.network.machine import set_up
from brain_mri.network.saved import load_for
from brain_mri.params import load_params


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs=2, help="a .keras file of the study's classes")
    files = parser.parse_args().model
    params = load_params()
    set_up(params.train.threads)
    classes = params.dataset.classes
    samples = read_samples("data/split/test.csv")
    labels = labels_of(samples, classes)
    outlined = np.array([bool(sample.mask) for sample in samples])
    few = [samples[place] for place in summary.evenly(labels, outlined, params.gradcam.images)]
    images, masks = (load(few, params.model.image_size) for load in (load_images, load_masks))
    cases = summary.Cases(images, masks, labels_of(few, classes), groups_of(few), labels_of(few, classes))
    layer = params.gradcam.named_layer
    explainers = [Explainer(load_for(classes, file)[0], layer, params.dataset.negative_class) for file in files]
    methods = summary.without([m for m in explainers[0].methods if m in explainers[1].methods], summary.CONTROLS)
    batch_size = params.evaluate.batch_size
    one, other = (explainer.explain(images, cases.targets, methods, batch_size) for explainer in explainers)
    print(f"{len(few)} images; mean [95 % interval], of another image")
    for method, row in summary.agree(one, other, cases, params).items():
        numbers = (
            f"{row[measure]['value']:.2f} [{row[measure]['interval'][0]:.2f}, {row[measure]['interval'][1]:.2f}], "
            f"{row['other_image'][measure]:.2f}"
            for measure in MEASURES
        )
        cells = "   ".join(f"{name}: {value}" for name, value in zip(MEASURES, numbers, strict=True))
        print(f"{method:24}{cells}")


if __name__ == "__main__":
    run(main)
