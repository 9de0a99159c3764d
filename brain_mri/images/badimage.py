"""What an image may be, and the reasons for which one is refused."""

from dataclasses import dataclass
from enum import StrEnum
from io import BytesIO


class Reason(StrEnum):
    """Why a file is quarantined."""

    EMPTY = "empty"
    NOT_AN_IMAGE = "not an image"
    TRUNCATED = "truncated"
    UNDECODABLE = "cannot be decoded"
    UNSUPPORTED = "unsupported kind"
    WRONG_SIZE = "decodes to another size than its header says"
    TOO_SMALL = "too small"
    TOO_LARGE = "too large"
    ONE_VALUE = "all one value"
    SEVERAL_FRAMES = "several frames"
    NAME = "name is not UTF-8"


class BadImage(Exception):
    """An image that cannot be used: `reason` from the list above, `detail` a few words more (never patient data)."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason = reason


@dataclass(frozen=True)
class Refused:
    """A file that cannot be used: `path` as its source names it, `size` in bytes."""

    path: str
    reason: str
    size: int


@dataclass(frozen=True)
class Limits:
    """The least side in pixels; the largest area in pixels and file in bytes, both checked before decoding."""

    min_side: int = 32
    max_pixels: int = 50_000_000
    max_bytes: int = 256 * 2**20

    def check_area(self, width: int, height: int) -> None:
        """Raise BadImage where an image of this size must not be decoded."""
        if width < 1 or height < 1:
            raise BadImage(Reason.NOT_AN_IMAGE, f"header says {width}x{height} px")
        if width * height > self.max_pixels:
            raise BadImage(Reason.TOO_LARGE, f"{width}x{height} px, the limit is {self.max_pixels:,} px")


class CountedReads(BytesIO):
    """A file that raises BadImage after so many reads: a header of millions of elements would be parsed for minutes."""

    def __init__(self, data: bytes, most: int) -> None:
        super().__init__(data)
        self.left = most

    def read(self, size: int | None = -1, /) -> bytes:
        self.left -= 1
        if self.left < 0:
            raise BadImage(Reason.UNDECODABLE, "a header without end")
        return super().read(size)
