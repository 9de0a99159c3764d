"""Answer a folder's images as `brain-mri predict` does, or run its network alone on crops that are ready.

python -m bench.our_predict whole IMAGES
python -m bench.our_predict network IMAGES
"""

import argparse
import contextlib
import os
import sys
from pathlib import Path

import numpy as np

from bench.answering import serve
from brain_mri.cli import predict
from brain_mri.images.badimage import Limits
from brain_mri.images.crop import to_network
from brain_mri.prediction.inputs import list_inputs
from brain_mri.prediction.onnx_network import Network
from brain_mri.prediction.study import Card, open_study


def whole(images: Path) -> None:
    parser = argparse.ArgumentParser()
    predict.add_arguments(parser)
    with Path(os.devnull).open("w") as nothing, contextlib.redirect_stdout(nothing):
        predict.main(parser.parse_args([str(images), "--json"]))


def ready(images: Path, card: Card) -> list[np.ndarray]:
    with list_inputs([images], None, Limits()) as (listed, bad):
        return [to_network(crops, card.image_size) for _, crops in predict.batches(listed, card.crop, None, bad)]


def run_all(network: Network, batches: list[np.ndarray]) -> None:
    for batch in batches:
        network.run(batch)


if __name__ == "__main__":
    part, images = sys.argv[1], Path(sys.argv[2])
    if part == "whole":
        serve(lambda: whole(images))
    else:
        study = open_study()
        assert study.onnx
        batches, network = ready(images, study.card), Network(study.onnx, study.digest)
        serve(lambda: run_all(network, batches))
