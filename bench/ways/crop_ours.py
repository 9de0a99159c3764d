"""Crop, resize and write a folder's images as stages/crop.py does: one function an image, in a pool of processes.

    crop_ours.py IMAGES FOLDER [--stage]    (IMAGES: a folder data/raw/Training/any below the working directory)

Without --stage, what the report's loop does too: read, crop, resize, write. With it, the stage's own function, which
also takes the digest of each file and describes each image for the audit for copies."""

import serving  # isort: skip  # it takes stdout before anything prints

import argparse
import os
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "stages"))

import crop

from brain_mri.files import write_png
from brain_mri.images.badimage import Limits
from brain_mri.images.crop import cut_out, find_head
from brain_mri.images.dataset import ImageRecord
from brain_mri.images.decode import read_grey
from brain_mri.params import Crop, load_params
from brain_mri.workers import workers

ROOT = Path(__file__).resolve().parents[2]


def crop_file(path: Path, settings: Crop, folder: Path) -> None:
    grey = read_grey(path, Limits(settings.min_side, settings.max_pixels))
    write_png(folder / f"{path.name}.png", cut_out(grey, find_head(grey, settings), settings))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--stage", action="store_true")
    options = parser.parse_args()
    settings = load_params(ROOT / "studies/paper/params.yaml").crop  # resizes as the report does
    files = sorted(options.images.iterdir())
    os.chdir(options.images.parents[3])
    records = [ImageRecord(f"Training/any/{file.name}", "any", "Training") for file in files]
    folder = options.folder
    for part in ("images/Training/any", "masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)

    def work() -> None:
        with workers() as pool:
            if options.stage:
                one = partial(crop.crop_one, settings=settings, own=folder, external=folder)
                list(pool.map(one, records, chunksize=16))
            else:
                list(pool.map(partial(crop_file, settings=settings, folder=folder), files, chunksize=16))

    serving.serve(work)


if __name__ == "__main__":
    main()
