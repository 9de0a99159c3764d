"""Ordinary pictures (PNG, JPEG, TIFF, BMP, GIF, WebP) to grey images, after their headers have been believed.

OpenCV decodes a JPEG whose data end early, and says nothing; so headers, ends and amounts of data are looked at first.
"""

import re
import struct
import warnings
import zlib
from dataclasses import dataclass
from io import BytesIO

import cv2
import numpy as np
from PIL import Image

from brain_mri.images.badimage import BadImage, Limits, Reason, stretch

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
JPEG_MARKER = re.compile(rb"\xff+([^\xff])", re.DOTALL)  # a marker may be padded
SCAN_STARTS = 0xDA
JPEG_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
MOST_SEGMENTS = 100_000  # of a header; whole pictures within the limits have far fewer
OTHER_FORMATS = ("TIFF", "BMP", "GIF", "WEBP")
ORIENTATION = 274  # EXIF and TIFF tag; the values 5 to 8 swap height and width
SCAN_END = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # the first marker that is neither stuffing nor a restart
ALIEN = bytes(range(17, 241, 5))  # picture data that no picture continues with


@dataclass(frozen=True)
class Header:
    """What a file says of itself, sizes in pixels as stored.

    `turned`: it may be shown with its sides swapped. `scan`: where the picture data of a JPEG begin.
    """

    width: int
    height: int
    kind: str
    grey: bool
    turned: bool
    scan: int = 0


def picture_shape(data: bytes, limits: Limits) -> tuple[int, int]:
    """(height, width) of the picture as it is shown. Raises BadImage."""
    header = _header(data, limits)
    if not header.turned:
        return header.height, header.width
    height, width = decode_picture(data, limits).shape
    return height, width


def decode_picture(data: bytes, limits: Limits) -> np.ndarray:
    """Grey picture, uint8 (height, width), as `cv2.imread` and `cv2.cvtColor` make it. Raises BadImage."""
    header = _header(data, limits)
    # A grey JPEG decoded as colour and back is the same grey, at twice the time.
    grey_jpeg = header.kind == "JPEG" and header.grey
    # OpenCV has no colour for TIFFs of floating point.
    colour = cv2.IMREAD_ANYCOLOR if header.kind == "TIFF" else cv2.IMREAD_COLOR
    flags = cv2.IMREAD_GRAYSCALE if grey_jpeg else colour | cv2.IMREAD_ANYDEPTH
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise BadImage(Reason.UNDECODABLE, header.kind)
    height, width = pixels.shape[:2]
    stored = (header.height, header.width)
    if (height, width) != stored and not (header.turned and (width, height) == stored):
        raise BadImage(Reason.WRONG_SIZE, f"{width}x{height} px, not {header.width}x{header.height}")
    if pixels.ndim == 3:
        direct = pixels.dtype in (np.uint8, np.uint16, np.float32)
        pixels = cv2.cvtColor(pixels if direct else pixels.astype(np.float32), cv2.COLOR_BGR2GRAY)
    # Where the data of a JPEG end early the rest is flat.
    if header.kind == "JPEG" and pixels[-8:].min() == pixels[-8:].max() and _jpeg_runs_short(data, header.scan):
        raise BadImage(Reason.WRONG_SIZE, "the data end before the last row")
    return pixels if pixels.dtype == np.uint8 else stretch(pixels)


def _header(data: bytes, limits: Limits) -> Header:
    if data.startswith(PNG_SIGNATURE):
        return _png_header(data, limits)
    if data.startswith(b"\xff\xd8"):
        return _jpeg_header(data, limits)
    return _other_header(data, limits)


def _png_header(data: bytes, limits: Limits) -> Header:
    """Header of a PNG whose picture data are all there and no more (PNG specification, third edition, 5 and 7)."""
    chunks: list[tuple[bytes, bytes]] = []
    at = len(PNG_SIGNATURE)
    while not chunks or chunks[-1][0] != b"IEND":
        length, kind = struct.unpack(">I4s", data[at : at + 8].ljust(8, b"\xff"))
        if at + 12 + length > len(data) or len(chunks) > MOST_SEGMENTS:
            raise BadImage(Reason.TRUNCATED, "PNG without its end")
        chunks.append((kind, data[at + 8 : at + 8 + length]))
        at += 12 + length
    kinds = [kind for kind, _ in chunks]
    if kinds[0] != b"IHDR" or len(chunks[0][1]) != 13 or kinds.count(b"IHDR") != 1:
        raise BadImage(Reason.UNDECODABLE, "PNG with a damaged header")
    width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", chunks[0][1])
    limits.check_area(width, height)
    if any(kind == b"acTL" and content[:4] != b"\0\0\0\1" for kind, content in chunks):
        raise BadImage(Reason.SEVERAL_FRAMES, "PNG")
    bits = depth * PNG_CHANNELS.get(colour, 1)
    passes = ADAM7 if interlace else ((0, 0, 1, 1),)
    sizes = [(-(-(width - x) // dx), -(-(height - y) // dy)) for x, y, dx, dy in passes]
    expected = sum(rows * (1 + (columns * bits + 7) // 8) for columns, rows in sizes if columns > 0 and rows > 0)
    unpacker = zlib.decompressobj()
    try:
        found = len(unpacker.decompress(b"".join(content for kind, content in chunks if kind == b"IDAT"), expected + 1))
    except zlib.error:
        raise BadImage(Reason.UNDECODABLE, "PNG with damaged data") from None
    if found < expected and not unpacker.eof:
        raise BadImage(Reason.TRUNCATED, "PNG with part of its data")
    if found != expected:
        raise BadImage(Reason.WRONG_SIZE, f"PNG with other data than {width}x{height} px need")
    return Header(width, height, "PNG", colour in (0, 4), b"eXIf" in kinds)


def _jpeg_header(data: bytes, limits: Limits) -> Header:
    """Header of a JPEG that has its end marker (ITU-T T.81, B.1 and B.2)."""
    at, frame, turned = 2, b"", False
    for _ in range(MOST_SEGMENTS):
        if not (marker := JPEG_MARKER.match(data, at)):
            break
        at, kind = marker.end(), marker[1][0]
        if kind == SCAN_STARTS:
            break
        length = int.from_bytes(data[at : at + 2], "big")
        if kind in JPEG_FRAMES:
            frame = data[at + 2 : at + length]
        turned |= kind == 0xE1
        at += length
    if not marker or marker[1][0] != SCAN_STARTS or len(frame) < 6:
        cut = at >= len(data) or len(data) < 200
        raise BadImage(Reason.TRUNCATED if cut else Reason.UNDECODABLE, "JPEG without picture data")
    height, width, channels = struct.unpack(">HHB", frame[1:6])
    limits.check_area(width, height)
    # Looked for after the header only: a thumbnail in it has an end of its own.
    if data.rfind(b"\xff\xd9") < at:
        raise BadImage(Reason.TRUNCATED, "JPEG without its end")
    return Header(width, height, "JPEG", channels == 1, turned, at)


def _jpeg_runs_short(data: bytes, scan: int) -> bool:
    """Whether the decoder of a JPEG wants more data than its first scan has: then it takes up what is put behind it."""
    end = next(SCAN_END.finditer(data, scan)).start()

    def eighth(content: bytes) -> np.ndarray:
        with Image.open(BytesIO(content), formats=("JPEG",)) as image:
            image.draft("L", (image.width // 8, image.height // 8))
            return np.asarray(image)

    try:
        return not np.array_equal(eighth(data), eighth(data[:end] + ALIEN + data[end:]))
    # What OpenCV takes for a JPEG and Pillow does not is damaged.
    except Exception:
        return True


def _other_header(data: bytes, limits: Limits) -> Header:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large images, which the limits refuse below
            with Image.open(BytesIO(data), formats=OTHER_FORMATS) as image:
                (width, height), kind = image.size, image.format or ""
                limits.check_area(width, height)
                if getattr(image, "n_frames", 1) > 1:
                    raise BadImage(Reason.SEVERAL_FRAMES, kind)
                turned = image.getexif().get(ORIENTATION) in (5, 6, 7, 8)
                image.load()  # Pillow raises where the pixels end early, which OpenCV passes over
    except BadImage:
        raise
    except Image.UnidentifiedImageError:
        raise BadImage(Reason.NOT_AN_IMAGE) from None
    except Image.DecompressionBombError:
        raise BadImage(Reason.TOO_LARGE) from None
    # A damaged file makes the parser fail in any way at all.
    except Exception as error:
        cut = "truncated" in str(error) or isinstance(error, EOFError)
        raise BadImage(Reason.TRUNCATED if cut else Reason.UNDECODABLE, type(error).__name__) from None
    return Header(width, height, kind, False, turned)
