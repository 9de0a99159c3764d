"""Ordinary pictures (PNG, JPEG, TIFF, BMP, GIF, WebP) to grey images.

Pillow reads the header, so that sizes are checked before anything is decoded; OpenCV decodes. OpenCV says nothing of a
JPEG or PNG that has fewer data than its header asks for, so the amount of data is checked here.
"""

import re
import struct
import warnings
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import cv2
import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from brain_mri.images.badimage import BadImage, CountedReads, Limits, Reason
from brain_mri.images.levels import eight_bit, stretch, to_grey

MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"BM", b"GIF8", b"RIFF")
TIFF = MAGIC[2:6]
FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "GIF", "WEBP")
PHOTOMETRIC, WHITE_IS_ZERO, STRIPS_OR_TILES = 262, 0, ((273, 279), (324, 325))  # tags of TIFF 6.0: first and length
BITS, SAMPLE_FORMAT, FLOATING, EXTRA_SAMPLES, UNASSOCIATED_ALPHA = 258, 339, 3, 338, 2
MOST_READS = 1_000_000  # of a file; a GIF of the largest size takes some hundred thousand
PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
EXIF = b"Exif", b"eXIf", b"EXIF"  # of JPEG, PNG, WebP
SCAN_END = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # the first marker that is neither stuffing nor a restart
JPEG_SCAN, JPEG_END = b"\xff\xda", b"\xff\xd9"
ALIEN = bytes(range(17, 241, 5))  # picture data that no picture continues with


@dataclass(frozen=True)
class Header:
    """What a file says of itself, sizes in pixels as stored; `scan`: where the picture data of a JPEG begin;
    `inverted`: the lowest value is white; `samples`: the type of a TIFF's values, in words; `pixels`: the picture of a
    TIFF that OpenCV does not read, or not as stored, uint8 (height, width, 3) in BGR."""

    kind: str
    width: int
    height: int
    grey: bool
    scan: int = 0
    inverted: bool = False
    samples: str = ""
    pixels: np.ndarray | None = None


def is_picture(data: bytes) -> bool:
    """Whether a file begins as a picture does."""
    return data.startswith(MAGIC)


def picture_shape(data: bytes, limits: Limits) -> tuple[int, int]:
    """(height, width) of the picture as it is shown. Raises BadImage."""
    header = _header(data, limits)
    if header.kind != "TIFF" and not any(mark in data for mark in EXIF):
        return header.height, header.width
    # It may be shown turned.
    height, width = decode_picture(data, limits).shape
    return height, width


def decode_picture(data: bytes, limits: Limits) -> np.ndarray:
    """Grey picture, uint8 (height, width), as `cv2.imread` and `cv2.cvtColor` make it but for the alpha of a TIFF, or
    where it has more than 8 bits `levels.to_grey`. Raises BadImage."""
    header = _header(data, limits)
    unended = lacks_end(data)
    if unended:  # what some cameras and senders leave away, half or whole, and every reader does without
        data = data.rstrip(JPEG_END[:1]) + JPEG_END
    # A grey JPEG decoded as colour and back is the same grey, at twice the time.
    grey_jpeg = header.kind == "JPEG" and header.grey
    # OpenCV has no colour for TIFFs of floating point.
    colour = cv2.IMREAD_ANYCOLOR if header.kind == "TIFF" else cv2.IMREAD_COLOR
    flags = cv2.IMREAD_GRAYSCALE if grey_jpeg else colour | cv2.IMREAD_ANYDEPTH
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if header.pixels is None else header.pixels
    except cv2.error:
        pixels = None
    if pixels is None:
        remedy = f" of {header.samples}: damaged, or of a type that is not read; save it as PNG"
        raise BadImage(Reason.UNDECODABLE, header.kind + (remedy if header.samples else ""))
    height, width = pixels.shape[:2]
    if {height, width} != {header.height, header.width}:  # EXIF may have swapped them
        raise BadImage(Reason.WRONG_SIZE, f"{width}x{height} px, not {header.width}x{header.height}")
    if header.inverted and pixels.itemsize > 1:  # OpenCV turns those of 8 bits alone, with and without sign
        pixels = np.invert(pixels) if pixels.dtype.kind in "iu" else -pixels
    if pixels.ndim == 3:
        levels = eight_bit(pixels)
        pixels = pixels if levels is None else levels
        direct = pixels.dtype in (np.uint8, np.uint16, np.float32)
        pixels = cv2.cvtColor(pixels if direct else pixels.astype(np.float32), cv2.COLOR_BGR2GRAY)
    # Where the data of a JPEG end early the rest is flat, but for the row in which they end.
    flat = header.kind == "JPEG" and pixels[-8:].min() == pixels[-8:].max()
    if (flat or unended) and _jpeg_runs_short(data, header.scan, 1 if unended else 8):
        raise BadImage(Reason.TRUNCATED if unended else Reason.WRONG_SIZE, "the data end before the last row")
    if pixels.itemsize == 8 and pixels.dtype.kind in "iu" and eight_bit(pixels) is None:
        # Far from 0 the stretch, in float64, would lose small differences; those that wrap round are right as unsigned.
        return stretch((pixels - pixels.min()).view(np.uint64))
    return pixels if pixels.dtype == np.uint8 else to_grey(pixels)


def lacks_end(data: bytes) -> bool:
    """Whether a file is a JPEG without an end marker behind its last scan; a thumbnail before it has an end of its
    own."""
    return data.startswith(MAGIC[1]) and data.find(JPEG_END, data.rfind(JPEG_SCAN)) < 0


def _header(data: bytes, limits: Limits) -> Header:
    """Header of a picture of one frame whose data are all there. Raises BadImage."""
    stream = CountedReads(data, MOST_READS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(stream, formats=FORMATS) as image:
                scan = stream.tell()
                width, height = image.size
                limits.check_area(width, height)
                # Some cameras put a second view behind the picture, which OpenCV and all others pass over.
                kind = "JPEG" if image.format == "MPO" else str(image.format)
                if kind != "JPEG" and getattr(image, "n_frames", 1) > 1:
                    raise BadImage(Reason.SEVERAL_FRAMES, kind)
                if kind == "PNG":
                    _check_png(stream, width, height)
                elif kind == "JPEG":
                    # What is missing of it would be detail, which no look at the pixels tells.
                    if image.info.get("progressive") and lacks_end(data):
                        raise BadImage(Reason.TRUNCATED, "progressive JPEG without its end")
                else:
                    image.load()  # Pillow raises where the pixels end early, which OpenCV passes over
                if kind != "TIFF":
                    return Header(kind, width, height, image.mode == "L", scan)
                tags = image.tag_v2  # type: ignore[attr-defined]
                # OpenCV reads few types of less than 8 bits, and multiplies 8-bit colours by their alpha.
                alpha = image.mode == "RGBA" and UNASSOCIATED_ALPHA in tags.get(EXTRA_SAMPLES, ())
                by_pillow = _bits(tags) < 8 or (alpha and _bits(tags) == 8)
                pixels = cv2.cvtColor(np.asarray(image.convert("RGB")), cv2.COLOR_RGB2BGR) if by_pillow else None
                inverted = tags.get(PHOTOMETRIC) == WHITE_IS_ZERO
                return Header(kind, width, height, image.mode == "L", 0, inverted, _samples(tags), pixels)
    except BadImage:
        raise
    except Image.UnidentifiedImageError:
        if data.startswith(TIFF):
            return _tiff_header(data, limits)
        known = data.startswith(MAGIC[:2])
        raise BadImage(
            Reason.UNDECODABLE if known else Reason.NOT_AN_IMAGE, "damaged header" if known else ""
        ) from None
    except Image.DecompressionBombError:
        raise BadImage(Reason.TOO_LARGE) from None
    # A damaged file makes the parser fail in any way at all.
    except Exception as error:
        cut = "truncated" in str(error).lower() or isinstance(error, EOFError)
        raise BadImage(Reason.TRUNCATED if cut else Reason.UNDECODABLE, type(error).__name__) from None


def _tiff_header(data: bytes, limits: Limits) -> Header:
    """Header of a TIFF of a type that Pillow does not know and OpenCV does (float64, say). Raises BadImage."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            stream = CountedReads(data, MOST_READS)
            directory = ImageFileDirectory_v2(data[: 16 if data[2:4] in (b"+\0", b"\0+") else 8])
            stream.seek(directory.next)
            directory.load(stream)
            width, height = int(directory[256]), int(directory[257])
            offsets, counts = next(
                (directory[first], directory[second]) for first, second in STRIPS_OR_TILES if first in directory
            )
            needed = max(int(offset) + int(count) for offset, count in zip(offsets, counts, strict=True))
            limits.check_area(width, height)
            if directory.next:
                raise BadImage(Reason.SEVERAL_FRAMES, "TIFF")
            if needed > len(data):
                raise BadImage(Reason.TRUNCATED, f"{len(data):,} of {needed:,} bytes")
            inverted = directory.get(PHOTOMETRIC) == WHITE_IS_ZERO
            return Header("TIFF", width, height, False, 0, inverted, _samples(directory))
    except BadImage:
        raise
    # As of any damaged file.
    except Exception:
        raise BadImage(Reason.UNDECODABLE, "TIFF with a damaged header") from None


def _samples(tags: Mapping[int, Any]) -> str:
    """The type of a TIFF's values in words: "16 bits, floating point"."""
    return f"{_bits(tags)} bits{', floating point' if FLOATING in tags.get(SAMPLE_FORMAT, ()) else ''}"


def _bits(tags: Mapping[int, Any]) -> int:
    return max(tags.get(BITS, (1,)))


def _check_png(stream: CountedReads, width: int, height: int) -> None:
    """Raise BadImage unless a PNG has just the data that its size takes (PNG specification, 3rd edition, 5 and 7)."""
    kind, packed = b"", []
    stream.seek(24)
    depth, colour, _, _, interlaced = stream.read(5)
    stream.seek(8)
    while kind != b"IEND":
        length, kind = struct.unpack(">I4s", stream.read(8).ljust(8, b"\xff"))
        content = stream.read(length + 4)  # and the checksum
        if len(content) < length + 4:
            raise BadImage(Reason.TRUNCATED, "PNG without its end")
        if kind == b"IDAT":
            packed.append(content[:-4])
    bits = depth * PNG_CHANNELS.get(colour, 1)
    expected = 0
    for x, y, dx, dy in ADAM7 if interlaced else ((0, 0, 1, 1),):
        columns, rows = -(-(width - x) // dx), -(-(height - y) // dy)
        if columns > 0 and rows > 0:
            expected += rows * (1 + (columns * bits + 7) // 8)
    unpacker = zlib.decompressobj()
    try:
        found = len(unpacker.decompress(b"".join(packed), expected + 1))
    except zlib.error:
        raise BadImage(Reason.UNDECODABLE, "PNG with damaged data") from None
    if found < expected and not unpacker.eof:
        raise BadImage(Reason.TRUNCATED, "PNG with part of its data")
    if found != expected:
        raise BadImage(Reason.WRONG_SIZE, f"PNG with other data than {width}x{height} px need")


def _jpeg_runs_short(data: bytes, scan: int, part: int) -> bool:
    """Whether the decoder of a JPEG wants more data than its first scan has: then it takes up what is put behind it.

    Seen at one `part`th of the size, 1 to 8: at an eighth, what is cut from the last block alone is not noticed."""
    end = next(SCAN_END.finditer(data, scan)).start()

    def small(content: bytes) -> np.ndarray:
        with Image.open(BytesIO(content), formats=("JPEG",)) as image:
            image.draft("L", (image.width // part, image.height // part))
            return np.asarray(image)

    try:
        return not np.array_equal(small(data), small(data[:end] + ALIEN + data[end:]))
    # What OpenCV takes for a JPEG and Pillow does not is damaged.
    except Exception:
        return True
