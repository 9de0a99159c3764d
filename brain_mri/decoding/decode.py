"""One image file to one grey image, or the reason why not: nothing else in the project opens images from outside.

What is handled, and how:

| file | becomes |
|---|---|
| 8-bit PNG, JPEG, BMP, TIFF, GIF, WebP | `cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2GRAY)`, pixel for pixel |
| grey, palette, CMYK, grey stored as RGB | the same; where R = G = B the grey value is exactly that value |
| RGBA, grey with alpha | the same: alpha is left out and the colour beneath is kept, in a TIFF too |
| EXIF or TIFF orientation | turned upright, as `cv2.imread` does |
| 16 and 32 bit, floating point | an 8-bit picture where it is one, else stretched (see `levels`); luma of colours |
| TIFF with WhiteIsZero | inverted, whatever its type |
| DICOM, one frame, MONOCHROME1 or 2 | by its first window that shows the image, else as above; padding black |
| NIfTI, two or three axes | one slice in the radiological view, as above; what is no number black |

An animated image, a TIFF of several pages and a DICOM file of several frames are refused: choosing one is a guess.
The name of a file says nothing about its format, but for DICOM and NIfTI files that do not show what they are.
"""

import stat
from pathlib import Path
from typing import Literal

import numpy as np

from brain_mri.decoding.dicom import decode_dicom, is_dicom
from brain_mri.decoding.kinds import other_kinds_named
from brain_mri.decoding.nifti import decode_nifti, is_nifti
from brain_mri.decoding.picture import decode_picture, is_picture, picture_shape
from brain_mri.images.badimage import BadImage, Limits, Reason


def read_grey(path: Path, limits: Limits) -> np.ndarray:
    """Read one image file as grey: uint8 (height, width). Raises BadImage."""
    return decode_grey(read_file(path, limits), limits, path.name)


def read_file(path: Path, limits: Limits) -> bytes:
    """The bytes of a file that passes `check_file`. Raises BadImage."""
    check_file(path, limits)
    return path.read_bytes()


def check_file(path: Path, limits: Limits) -> None:
    """Raise BadImage for what must not be opened: pipes and devices, links to nothing, files above the limit."""
    try:
        str(path).encode()
        status = path.stat()
    except UnicodeEncodeError:
        raise BadImage(Reason.NAME) from None
    except (OSError, RuntimeError):
        raise BadImage(Reason.NOT_AN_IMAGE, "no such file, or a link that leads nowhere") from None
    if not stat.S_ISREG(status.st_mode):
        raise BadImage(Reason.NOT_AN_IMAGE, "not an ordinary file")
    if status.st_size > limits.max_bytes:
        raise BadImage(Reason.TOO_LARGE, f"{status.st_size:,} bytes, the limit is {limits.max_bytes:,}")


def decode_grey(data: bytes, limits: Limits, name: str = "", slice: int | None = None) -> np.ndarray:
    """As `read_grey`, from the bytes of a file.

    `slice` counts the slices of a NIfTI volume from 0 (default: the middle one); other formats have none. Raises
    BadImage.
    """
    with other_kinds_named(data, name):
        grey = _decode(data, limits, name, slice)
    if min(grey.shape) < limits.min_side:
        raise BadImage(Reason.TOO_SMALL, f"{grey.shape[1]}x{grey.shape[0]} px, the least is {limits.min_side}")
    if grey.min() == grey.max():
        raise BadImage(Reason.ONE_VALUE)
    return grey


def decode_mask(data: bytes, limits: Limits) -> np.ndarray:
    """A mask stored as any image (0 and 1, 0 and 255, lossy): uint8 (height, width) of 0 and 255. Raises BadImage.

    Inside is what is brighter than half of the brightest value; an empty mask is all 0.
    """
    grey = _decode(data, limits, "", None)
    return np.where(grey > grey.max() / 2, np.uint8(255), np.uint8(0))


def image_shape(data: bytes, limits: Limits, name: str = "") -> tuple[int, int]:
    """(height, width) that `decode_grey` would give; from the header alone where the format allows. Raises BadImage."""
    if data and file_kind(data, name) == "picture":
        return picture_shape(data, limits)
    height, width = _decode(data, limits, name, None).shape
    return height, width


def file_kind(data: bytes, name: str = "") -> Literal["picture", "DICOM", "NIfTI"]:
    """What a file is by its content, or, where that does not show it, by its name."""
    if is_dicom(data):  # first, because a DICOM file's preamble may make it a TIFF too
        return "DICOM"
    if is_picture(data):
        return "picture"
    name = name.lower()
    if is_nifti(data) or name.endswith((".nii", ".nii.gz")):
        return "NIfTI"
    return "DICOM" if name.endswith((".dcm", ".dicom", ".ima")) else "picture"


def _decode(data: bytes, limits: Limits, name: str, slice: int | None) -> np.ndarray:
    if not data:
        raise BadImage(Reason.EMPTY)
    if len(data) > limits.max_bytes:
        raise BadImage(Reason.TOO_LARGE, f"{len(data):,} bytes, the limit is {limits.max_bytes:,}")
    kind = file_kind(data, name)
    if kind == "NIfTI":
        return decode_nifti(data, limits, slice)
    if slice is not None:
        raise BadImage(Reason.UNSUPPORTED, "a slice was asked for, and only NIfTI volumes have slices")
    return decode_dicom(data, limits) if kind == "DICOM" else decode_picture(data, limits)
