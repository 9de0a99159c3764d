"""DICOM files of one frame to grey images."""

import re
import warnings

import numpy as np

from brain_mri.images.badimage import BadImage, CountedReads, Limits, Reason
from brain_mri.images.levels import stretch, to_grey

MOST_READS = 30_000  # a header of one frame takes some hundreds to thousands
# Old files have no preamble: they begin with an element of the group 2 or 8, its value type or a small length.
BARE = re.compile(rb"[\x02\x08]\x00[\x00-\x7f]\x00([A-Z]{2}[^\x00]?\x00|[^\x00]?\x00\x00\x00)", re.DOTALL)
FAINT = 25  # grey level: what a stretch shows brighter is the image, the rest its background
MOST_LOST = 0.75  # share of the image that a window may make all white or all black


def is_dicom(data: bytes) -> bool:
    """Whether a file is DICOM, by its preamble or, where it has none, by its first element."""
    return data[128:132] == b"DICM" or BARE.match(data) is not None


def decode_dicom(data: bytes, limits: Limits) -> np.ndarray:
    """One DICOM frame: uint8 (height, width), bright is bright whatever the photometric interpretation.

    Padding (PS3.3 C.7.5.1.1.2) counts for nothing and becomes black. Modality values (rescale slope and intercept or a
    lookup table) are seen through the first window (C.11.2.1.2 and C.11.2.1.3) that loses no more than `MOST_LOST` of
    the image; without one the stored values become grey as `levels.to_grey` has it. Raises BadImage.
    """
    import pydicom
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
            _take_from_groups(dataset)
            _check_dicom(dataset, limits)
            stored = _pixels(dataset)
            if stored.shape != (dataset.Rows, dataset.Columns):
                raise BadImage(Reason.WRONG_SIZE, f"{stored.shape} for {dataset.Columns}x{dataset.Rows} px")
            return _grey(dataset, stored)
    except BadImage:
        raise
    # A damaged file makes the parser fail in any way at all, and its messages may quote the file's contents.
    except Exception as error:
        raise BadImage(Reason.UNDECODABLE, f"DICOM, {type(error).__name__}") from None


def _take_from_groups(dataset) -> None:  # type: ignore[no-untyped-def]
    """Give the dataset what enhanced files keep of their one frame in functional groups (PS3.3 C.7.6.16): rescaling,
    windows."""
    for groups in ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"):
        for name in ("PixelValueTransformationSequence", "FrameVOILUTSequence"):
            item = _first(_first(dataset, groups), name)
            dataset.update({element.tag: element for element in item if element.tag not in dataset})


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
    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_transfer_syntax:
        raise BadImage(Reason.UNSUPPORTED, "DICOM of an unknown transfer syntax")
    compressed = syntax.is_compressed
    if found < expected and not compressed:
        raise BadImage(Reason.TRUNCATED, f"{found:,} of {expected:,} bytes of pixels")
    # No compression doubles its data, and the decoders in Python are slow.
    if found > (2 * expected + 65_536 if compressed else expected + expected % 2):
        raise BadImage(Reason.WRONG_SIZE, f"{found:,} bytes of pixels for {columns}x{rows}")
    shift = _shift(dataset)
    # A codec may have moved the values to bit 0 or not: the file does not say.
    if shift < 0 or (shift and (compressed or shift + dataset.BitsStored > dataset.BitsAllocated)):
        raise BadImage(
            Reason.UNSUPPORTED,
            f"{'compressed ' if compressed else ''}DICOM with HighBit {dataset.HighBit} and BitsStored "
            f"{dataset.BitsStored}: export it anew, with HighBit {dataset.BitsStored - 1}",
        )


def _shift(dataset) -> int:  # type: ignore[no-untyped-def]
    """How many bits lie below the values in their cells (PS3.5, 8.1.1): some in files made after ACR-NEMA, a negative
    number in wrong ones."""
    high = dataset.get("HighBit")
    return 0 if high is None else int(high) + 1 - int(dataset.BitsStored)


def _pixels(dataset) -> np.ndarray:  # type: ignore[no-untyped-def]
    """The stored values; a BadImage names the compression that cannot be undone, and the remedy."""
    from pydicom.pixels import get_decoder

    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_compressed:
        shift = _shift(dataset)
        dataset.BitsStored += shift  # pydicom takes the values to begin at bit 0
        return dataset.pixel_array >> shift
    remedy = f"compressed as {syntax.name} ({syntax}): unpack it, for example with gdcmconv --raw IN OUT"
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        decoder = None
    if decoder is None or not decoder.is_available:
        raise BadImage(Reason.UNSUPPORTED, f"DICOM {remedy}")
    try:
        return dataset.pixel_array
    # Whatever a decoder raises for damaged data, or for a depth that it does not know.
    except Exception as error:
        raise BadImage(Reason.UNDECODABLE, f"DICOM, {type(error).__name__}, {remedy}") from None


def _grey(dataset, stored: np.ndarray) -> np.ndarray:  # type: ignore[no-untyped-def]
    padding = _padding(dataset, stored)
    inverted = dataset.PhotometricInterpretation == "MONOCHROME1" or dataset.get("PresentationLUTShape") == "INVERSE"
    if dataset.get("ModalityLUTSequence"):
        from pydicom.pixels import apply_modality_lut

        values = plain = apply_modality_lut(stored, dataset)
    else:
        # Some files have one of the two alone, though PS3.3 C.11.1 asks for both; without either the line is 1, 0.
        slope, intercept = (
            (_numbers(dataset, key) or [default])[0]
            for key, default in (("RescaleSlope", 1.0), ("RescaleIntercept", 0.0))
        )
        values = stored * slope + intercept if slope else stored
        # A rising line changes no picture: the stored values may be the 8-bit one.
        plain = values if slope < 0 else stored
    grey = _windowed(dataset, values.astype(np.float64), padding, inverted)
    if grey is None:
        grey = to_grey(-plain.astype(np.float64) if _table_falls(dataset) else plain, padding)
    grey = 255 - grey if inverted else grey
    grey[padding] = 0
    return grey


def _padding(dataset, stored: np.ndarray) -> np.ndarray:  # type: ignore[no-untyped-def]
    """Where the stored values stand for nothing: bool (height, width)."""
    ends = [_numbers(dataset, key)[:1] for key in ("PixelPaddingValue", "PixelPaddingRangeLimit")]
    if not ends[0]:
        return np.zeros(stored.shape, bool)
    # Some files give the value without the sign that it has among the pixels.
    low, high = sorted(np.array((ends[0] + ends[1])[place], np.int64).astype(stored.dtype) for place in (0, -1))
    return (low <= stored) & (stored <= high)


def _table_falls(dataset) -> bool:  # type: ignore[no-untyped-def]
    """Whether the file asks to be seen through a table (PS3.3 C.11.2.1.1) that makes high values dark. What else the
    table does is a change of contrast, in whose place stands the stretch."""
    from pydicom.pixels import apply_voi

    table = _first(dataset, "VOILUTSequence")
    if not table:
        return False
    entries, first, _ = map(int, table.LUTDescriptor)
    low, high = apply_voi(np.array([first, first + (entries or 65536) - 1]), dataset)
    return bool(high < low)


def _first(dataset, sequence: str):  # type: ignore[no-untyped-def]
    """The first item of a sequence, an empty one where there is none."""
    from pydicom import Dataset

    return (dataset.get(sequence) or [Dataset()])[0]


def _numbers(dataset, key: str) -> list[float]:  # type: ignore[no-untyped-def]
    """The values of an element, none where it is missing, empty or holds what is no finite number."""
    try:
        value = dataset[key].value
        value = int.from_bytes(value, "little") if isinstance(value, bytes) else value
        numbers = [] if value is None else [float(number) for number in np.ravel(value)]
    except (KeyError, ValueError, TypeError, OverflowError):
        return []
    return numbers if np.isfinite(numbers).all() else []


def _windowed(dataset, values: np.ndarray, padding: np.ndarray, inverted: bool) -> np.ndarray | None:  # type: ignore[no-untyped-def]
    """What the first usable window shows, uint8 (height, width), not yet inverted; None where there is none."""
    windows = list(zip(_numbers(dataset, "WindowCenter"), _numbers(dataset, "WindowWidth"), strict=False))
    if not windows:
        return None
    whole = stretch(values, padding)
    image = ((255 - whole if inverted else whole) > FAINT) & ~padding
    function = dataset.get("VOILUTFunction", "LINEAR")
    for centre, width in windows:
        if width <= 0 or (function == "LINEAR" and width < 1):
            continue
        if function == "SIGMOID":
            shares = 1 / (1 + np.exp(-4 * (values - centre) / width))
        elif function == "LINEAR_EXACT":
            shares = (values - centre) / width + 0.5
        else:
            shares = (values - (centre - 0.5)) / max(width - 1, np.finfo(float).eps) + 0.5
        grey = np.rint(np.nan_to_num(shares).clip(0, 1) * 255).astype(np.uint8)
        shown = grey[image]
        if shown.size and max(np.mean(shown == 0), np.mean(shown == 255)) <= MOST_LOST and np.ptp(shown):
            return grey
    return None
