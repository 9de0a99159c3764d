"""DICOM files and NIfTI slices to grey images."""

import math
import warnings
import zlib
from io import BytesIO

import numpy as np

from brain_mri.images.badimage import BadImage, Limits, Reason, stretch

NIFTI_MAGIC = (b"n+1\0", b"n+2\0")
MOST_READS = 30_000  # a header of one frame takes some hundreds to thousands
GZIP_MAGIC = b"\x1f\x8b"


class _Counted(BytesIO):
    """A file that ends after so many reads: a header of millions of elements would be parsed for minutes."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        if self.reads > MOST_READS:
            raise BadImage(Reason.UNDECODABLE, "DICOM with a header without end")
        return super().read(size)


def is_dicom(data: bytes, name: str = "") -> bool:
    """Whether a file calls itself DICOM, by its preamble or by its name (old files have no preamble)."""
    return data[128:132] == b"DICM" or name.lower().endswith((".dcm", ".dicom", ".ima"))


def is_nifti(data: bytes, name: str = "") -> bool:
    """Whether a file calls itself NIfTI, by its magic or by its name (packed files show no magic)."""
    return data[344:348] == NIFTI_MAGIC[0] or data[4:8] == NIFTI_MAGIC[1] or name.lower().endswith((".nii", ".nii.gz"))


def decode_dicom(data: bytes, limits: Limits) -> np.ndarray:
    """One DICOM frame: uint8 (height, width), bright is bright whatever the photometric interpretation.

    Modality values (rescale slope and intercept or a lookup table), then the first window of the file as DICOM
    PS3.3 C.11.2.1.2 and C.11.2.1.3 define it, or, without one, from the lowest to the highest value. Raises BadImage.
    """
    import pydicom
    from pydicom.pixels import apply_modality_lut
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(_Counted(data), force=True)
            if "TransferSyntaxUID" not in dataset.file_meta:  # old files, without preamble and meta data
                implicit, little = dataset.original_encoding
                dataset.file_meta.TransferSyntaxUID = (
                    ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian if little else ExplicitVRBigEndian
                )
            _check_dicom(dataset, limits)
            stored = dataset.pixel_array
            if stored.shape != (dataset.Rows, dataset.Columns):
                raise BadImage(Reason.WRONG_SIZE, f"{stored.shape} for {dataset.Columns}x{dataset.Rows} px")
            grey = _windowed(dataset, np.asarray(apply_modality_lut(stored, dataset), np.float64))
            return 255 - grey if dataset.PhotometricInterpretation == "MONOCHROME1" else grey
    except BadImage:
        raise
    # A damaged file makes the parser fail in any way at all, and its messages may quote the file's contents.
    except Exception as error:
        raise BadImage(Reason.UNDECODABLE, f"DICOM, {type(error).__name__}") from None


def _check_dicom(dataset, limits: Limits) -> None:  # type: ignore[no-untyped-def]
    missing = [
        key
        for key in ("Rows", "Columns", "PixelData", "BitsAllocated", "PhotometricInterpretation")
        if key not in dataset
    ]
    if missing:
        truncated = "Rows" in dataset and missing[-1] == "PixelData"
        raise BadImage(Reason.TRUNCATED if truncated else Reason.NOT_AN_IMAGE, f"DICOM without {', '.join(missing)}")
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    limits.check_area(columns, rows)
    if int(dataset.get("NumberOfFrames") or 1) != 1:
        raise BadImage(Reason.SEVERAL_FRAMES, f"DICOM with {dataset.NumberOfFrames} frames")
    if dataset.PhotometricInterpretation not in ("MONOCHROME1", "MONOCHROME2"):
        raise BadImage(Reason.UNSUPPORTED, "DICOM that is neither MONOCHROME1 nor MONOCHROME2")
    expected, found = rows * columns * int(dataset.BitsAllocated) // 8, len(dataset.PixelData)
    compressed = dataset.file_meta.TransferSyntaxUID.is_compressed
    if found < expected and not compressed:
        raise BadImage(Reason.TRUNCATED, f"{found:,} of {expected:,} bytes of pixels")
    # No compression doubles its data, and the decoders in Python are slow.
    if found > (2 * expected + 65_536 if compressed else expected + expected % 2):
        raise BadImage(Reason.WRONG_SIZE, f"{found:,} bytes of pixels for {columns}x{rows}")


def _windowed(dataset, values: np.ndarray) -> np.ndarray:  # type: ignore[no-untyped-def]
    if not dataset.get("WindowCenter") or not dataset.get("WindowWidth"):
        return stretch(values)
    centre, width = (float(np.ravel(dataset[key].value)[0]) for key in ("WindowCenter", "WindowWidth"))
    function = dataset.get("VOILUTFunction", "LINEAR")
    if not np.isfinite([centre, width]).all() or width <= 0 or (function == "LINEAR" and width < 1):
        raise BadImage(Reason.UNDECODABLE, "DICOM window without width")
    if function == "SIGMOID":
        shares = 1 / (1 + np.exp(-4 * (values - centre) / width))
    elif function == "LINEAR_EXACT":
        shares = (values - centre) / width + 0.5
    else:
        shares = (values - (centre - 0.5)) / max(width - 1, np.finfo(float).eps) + 0.5
    return np.rint(np.nan_to_num(shares).clip(0, 1) * 255).astype(np.uint8)


def decode_nifti(data: bytes, limits: Limits, index: int | None = None) -> np.ndarray:
    """One slice of a NIfTI file: uint8 (height, width), stretched from its lowest to its highest value.

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
            return stretch(_plane(volume, _checked_shape(volume, data, limits), limits, index))
    except BadImage:
        raise
    # As above: any failure at all can come of a damaged file.
    except Exception as error:
        raise BadImage(Reason.UNDECODABLE, f"NIfTI, {type(error).__name__}") from None


def _unzipped(data: bytes, limits: Limits) -> bytes:
    if not data.startswith(GZIP_MAGIC):
        return data
    unpacker = zlib.decompressobj(wbits=31)
    unpacked = unpacker.decompress(data, limits.max_bytes)
    if unpacker.unconsumed_tail:
        raise BadImage(Reason.TOO_LARGE, f"unpacks to more than {limits.max_bytes:,} bytes")
    if not unpacker.eof:
        raise BadImage(Reason.TRUNCATED, "the gzip stream breaks off")
    return unpacked


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
    plane = np.asarray(volume.dataobj[tuple(at[: len(volume.shape)]) + (0,) * (len(volume.shape) - 3)])
    plane = plane if first < second else plane.T
    # Stored towards right, anterior, superior, both axes run against the columns and rows of the view.
    return plane[:: -direction[first], :: -direction[second]].T
