"""NIfTI volumes to one grey slice."""

import math
import warnings
import zlib

import numpy as np

from brain_mri.images.badimage import BadImage, Limits, Reason
from brain_mri.images.levels import to_grey

NIFTI_MAGIC = (b"n+1\0", b"n+2\0")
GZIP_MAGIC = b"\x1f\x8b"
HEADER = 352  # bytes: the part of either version that holds its magic
PIECE = 65_536  # packed bytes that are read at once: the longest member of bgzip


def is_nifti(data: bytes) -> bool:
    """Whether a file is NIfTI, packed or not, by its magic."""
    if data.startswith(GZIP_MAGIC):
        try:
            data = zlib.decompressobj(wbits=31).decompress(data[:4096], HEADER)
        except zlib.error:
            return False
    return data[344:348] == NIFTI_MAGIC[0] or data[4:8] == NIFTI_MAGIC[1]


def decode_nifti(data: bytes, limits: Limits, index: int | None = None) -> np.ndarray:
    """One slice of a NIfTI file: uint8 (height, width), its stored values as `levels.to_grey` has them.

    A scale factor changes no picture and is left out, but for a negative one, which inverts it.
    Slices lie along the axis of length 1 where there is one, else along the axis nearest to feet-head; `index` counts
    from the patient's feet (left, back), and the default is the middle one. The view is the radiological one: anterior
    (or superior) up, the patient's right (anterior in a sagittal slice) to the left. Raises BadImage.
    """
    import nibabel

    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            data = _unzipped(data, limits)
            kind = nibabel.Nifti2Image if data[4:8] == NIFTI_MAGIC[1] else nibabel.Nifti1Image
            volume = kind.from_bytes(data)
            return to_grey(_plane(volume, _checked_shape(volume, data, limits), limits, index))
    except BadImage:
        raise
    # A damaged file makes the parser fail in any way at all.
    except Exception as error:
        raise BadImage(Reason.UNDECODABLE, f"NIfTI, {type(error).__name__}") from None


def _unzipped(data: bytes, limits: Limits) -> bytes:
    """The contents of all gzip members, one behind the other (RFC 1952, 2.2); what follows them is passed over, as gzip
    does. A file that is not packed comes back as it is. Raises BadImage."""
    if not data.startswith(GZIP_MAGIC):
        return data
    unpacked, at = bytearray(), 0
    unpacker = zlib.decompressobj(wbits=31)
    while at < len(data):
        # In pieces: at the end of each member the unpacker copies all that it was given and did not use.
        piece = data[at : at + PIECE]
        unpacked += unpacker.decompress(piece, limits.max_bytes + 1 - len(unpacked))
        if len(unpacked) > limits.max_bytes:
            raise BadImage(Reason.TOO_LARGE, f"unpacks to more than {limits.max_bytes:,} bytes")
        at += len(piece) - len(unpacker.unused_data)
        if unpacker.eof:
            if not data.startswith(GZIP_MAGIC, at):
                break
            unpacker = zlib.decompressobj(wbits=31)
    if not unpacker.eof:
        raise BadImage(Reason.TRUNCATED, "the gzip stream breaks off")
    return bytes(unpacked)


def _checked_shape(volume, data: bytes, limits: Limits) -> tuple[int, int, int]:  # type: ignore[no-untyped-def]
    shape, kind = tuple(volume.shape), volume.get_data_dtype()
    if any(length > 1 for length in shape[3:]):
        raise BadImage(Reason.SEVERAL_FRAMES, f"NIfTI of shape {shape}")
    if len(shape) < 2 or kind.kind not in "iuf":
        raise BadImage(Reason.UNSUPPORTED, f"NIfTI of shape {shape} and type {kind}")
    expected = int(volume.dataobj.offset) + math.prod(shape) * kind.itemsize
    if min(shape) < 1 or len(data) < expected:
        raise BadImage(Reason.TRUNCATED, f"{len(data):,} of {expected:,} bytes")
    height, width, depth = (*shape, 1)[:3]
    return height, width, depth


def _plane(volume, shape: tuple[int, int, int], limits: Limits, index: int | None) -> np.ndarray:  # type: ignore[no-untyped-def]
    from nibabel.arrayproxy import ArrayProxy
    from nibabel.orientations import io_orientation

    orientation = io_orientation(volume.affine)
    if np.isnan(orientation).any():
        orientation = np.array([[0, 1], [1, 1], [2, 1]])
    world, direction = orientation[:, 0].astype(int), orientation[:, 1].astype(int)
    axis = shape.index(1) if 1 in shape else int(np.flatnonzero(world == 2)[0])
    index = shape[axis] // 2 if index is None else index
    if not 0 <= index < shape[axis]:
        raise BadImage(Reason.UNSUPPORTED, f"slice {index} asked for, the volume has 0 to {shape[axis] - 1}")
    first, second = sorted({0, 1, 2} - {axis}, key=lambda other: world[other])
    limits.check_area(shape[first], shape[second])
    at: list[slice | int] = [slice(None)] * 3
    at[axis] = index if direction[axis] > 0 else shape[axis] - 1 - index
    scaled = volume.dataobj
    sign = np.copysign(1.0, scaled.slope)
    stored = ArrayProxy(scaled.file_like, (scaled.shape, scaled.dtype, scaled.offset, sign, 0.0))
    plane = np.asarray(stored[tuple(at[: len(volume.shape)]) + (0,) * (len(volume.shape) - 3)])
    plane = plane if first < second else plane.T
    # Stored towards right, anterior, superior, both axes run against the columns and rows of the view.
    return plane[:: -direction[first], :: -direction[second]].T
