"""Cheng's brain tumour data set: T1 contrast-enhanced slices in MATLAB 7.3 files, with masks and patient numbers."""

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from io import BytesIO
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from brain_mri.errors import UserError
from brain_mri.images.badimage import BadImage, Limits, Reason, Refused
from brain_mri.sources.container import Entry, opened
from brain_mri.sources.raw import Fetched, Offer, mask_png, write_raw

LABELS = {1: "meningioma", 2: "glioma", 3: "pituitary"}

SOURCE = {
    "name": "figshare brain tumor dataset",
    "licence": "CC BY 4.0",
    "citation": "Cheng, Jun (2017). brain tumor dataset. figshare. Dataset. doi:10.6084/m9.figshare.1512427; "
    "Cheng J. et al. (2015). Enhanced Performance of Brain Tumor Classification via Tumor Region "
    "Augmentation and Partition. PLoS ONE 10(10): e0140381",
    "url": "https://doi.org/10.6084/m9.figshare.1512427",
}
HINT = f"get its four zips from {SOURCE['url']}"


def unpack(source: Path, data: Path, classes: Sequence[str], limits: Limits) -> Fetched:
    """Write Cheng's slices to `data/raw/<class>/<number>.png` (16 bit, lossless) with their masks; no published split.

    `source` is a folder (of `.mat` files at any depth, or of the four zips as they come) or a zip of `.mat` files.
    Files that cannot be read are refused. Raises UserError for a class of the study that the data set does not have and
    where no slice is found.
    """
    if unknown := sorted(set(classes) - set(LABELS.values())):
        raise UserError(
            f"dataset.classes: {unknown[0]!r} is not in {SOURCE['name']}, which has {', '.join(LABELS.values())}"
        )
    with ExitStack() as stack:
        zips = sorted(source.rglob("*.zip")) if source.is_dir() else []
        containers = [stack.enter_context(opened(place, limits)) for place in zips or [source]]
        refused = [file for container in containers for file in container.refused]
        ignored = sum(container.ignored for container in containers)
        offers = []
        for entry in (entry for container in containers for entry in container.entries):
            if not entry.path.endswith(".mat") or entry.path.endswith("cvind.mat"):
                ignored += 1
                continue
            content = entry.read()
            try:
                _, _, label, patient = read_slice(content, limits)
            except BadImage as error:
                refused.append(Refused(entry.path, str(error), len(content)))
                continue
            if label not in classes:
                ignored += 1
                continue
            name = f"{PurePosixPath(entry.path).stem}.png"
            image, mask = partial(_image_png, entry, limits), partial(_mask_png, entry, limits)
            offers.append(Offer(name, label, "", image, mask, patient, "figshare"))
        if not offers:
            raise UserError(f"{source}: no slice in it; unpack {SOURCE['url']} there (1.mat, 2.mat, ...)")
        return Fetched(write_raw(offers, data, limits), refused, ignored)


def read_slice(data: bytes, limits: Limits) -> tuple[np.ndarray, np.ndarray, str, str]:
    """A MATLAB 7.3 file: image (height, width) of its own integer type, mask (height, width) bool, label, patient.

    MATLAB stores arrays by columns, so HDF5 sees each of them transposed. Raises BadImage.
    """
    import h5py

    try:
        with h5py.File(BytesIO(data)) as file:
            group = file["cjdata"]
            limits.check_area(*group["image"].shape)
            if group["tumorMask"].shape != group["image"].shape:
                raise BadImage(Reason.WRONG_SIZE, "mask and image differ in size")
            image, mask = np.asarray(group["image"]).T, np.asarray(group["tumorMask"]).T != 0
            label = LABELS[int(np.ravel(group["label"])[0])]
            patient = "".join(chr(code) for code in np.ravel(group["PID"]))
    except BadImage:
        raise
    # HDF5 raises whatever its C library finds wrong in a damaged file.
    except Exception as error:
        raise BadImage(Reason.UNDECODABLE, f"MATLAB 7.3, {type(error).__name__}") from None
    return image, mask, label, patient


def _image_png(entry: Entry, limits: Limits) -> bytes:
    image = read_slice(entry.read(), limits)[0].astype(np.int64)
    shifted = image - min(0, int(image.min()))
    return cv2.imencode(".png", shifted.clip(0, 65535).astype(np.uint16))[1].tobytes()


def _mask_png(entry: Entry, limits: Limits) -> bytes:
    return mask_png(read_slice(entry.read(), limits)[1] * np.uint8(255))
