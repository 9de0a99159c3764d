"""DICOM files of one frame to grey images."""

import warnings

import numpy as np

from brain_mri.images.badimage import BadImage, CountedReads, Limits, Reason, stretch

MOST_READS = 30_000  # a header of one frame takes some hundreds to thousands


def is_dicom(data: bytes, name: str = "") -> bool:
    """Whether a file calls itself DICOM, by its preamble or by its name (old files have no preamble)."""
    return data[128:132] == b"DICM" or name.lower().endswith((".dcm", ".dicom", ".ima"))


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
            dataset = pydicom.dcmread(CountedReads(data, MOST_READS), force=True)
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
