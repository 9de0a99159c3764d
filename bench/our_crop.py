"""Crop, resize and write a folder's images as stages/crop.py does: one function an image, in a pool of processes.

python -m bench.our_crop IMAGES FOLDER
"""

import sys
from functools import partial
from pathlib import Path

from bench.answering import serve
from brain_mri.decoding.decode import read_grey
from brain_mri.files import write_png
from brain_mri.images.badimage import Limits
from brain_mri.images.crop import cut_out, find_head
from brain_mri.params import Crop, load_params
from brain_mri.workers import workers


def crop_file(path: Path, settings: Crop, folder: Path) -> None:
    grey = read_grey(path, Limits(settings.min_side, settings.max_pixels))
    write_png(folder / f"{path.name}.png", cut_out(find_head(grey, settings), settings))


def crop_all(images: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    settings = load_params("studies/paper/params.yaml").crop  # resizes as the paper does
    with workers() as pool:
        list(pool.map(partial(crop_file, settings=settings, folder=folder), sorted(images.iterdir()), chunk=16))


if __name__ == "__main__":
    images, folder = map(Path, sys.argv[1:])
    serve(lambda: crop_all(images, folder))
