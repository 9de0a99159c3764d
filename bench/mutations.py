"""Whole files of every kind that comes from outside, and seeded changes to them."""

import gzip
import io
import struct
import zipfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import cv2
import h5py
import nibabel
import numpy as np
import pydicom
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.uid import UID

from bench.containers import tiff

CLASSES = ("glioma", "notumor")
PICTURES = {
    "PNG": ("L", "RGB", "RGBA", "P", "I;16"),
    "JPEG": ("L", "RGB", "CMYK"),
    "TIFF": ("L", "RGB", "F"),
    "BMP": ("RGB",),
    "GIF": ("P",),
    "WEBP": ("RGB",),
}
TIFF_TAGS = (254, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 284, 317, 320, 322, 323, 324, 325, 338, 339)
EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
# Elements that decide what is shown, put in with these value types and values.
DICOM_VALUES: dict[str, list[tuple[str, object]]] = {
    "PixelPaddingValue": [("SS", -2000), ("US", 0), ("US", 65535), ("UN", b"\0\1"), ("SS", None)],
    "PixelPaddingRangeLimit": [("SS", 9), ("US", 65535), ("US", [1, 2])],
    "WindowCenter": [("DS", "0"), ("DS", ["40", "900"]), ("DS", "-1e308"), ("LO", "wide"), ("DS", "")],
    "WindowWidth": [("DS", "0"), ("DS", ["0", "1800"]), ("DS", "1e308"), ("DS", "0.5"), ("DS", "-3")],
    "RescaleSlope": [("DS", "0"), ("DS", "-1"), ("DS", "1e300"), ("LO", "x")],
    "RescaleIntercept": [("DS", "-1024"), ("DS", "1e300")],
    "VOILUTFunction": [("CS", "SIGMOID"), ("CS", "LINEAR_EXACT"), ("CS", ["LINEAR", "SIGMOID"])],
    "PresentationLUTShape": [("CS", "INVERSE")],
    "PhotometricInterpretation": [("CS", "MONOCHROME1"), ("CS", "RGB"), ("CS", ["MONOCHROME1", "MONOCHROME2"])],
    "PixelRepresentation": [("US", 0), ("US", 1), ("US", 9)],
    "BitsStored": [("US", 0), ("US", 1), ("US", 8), ("US", 12), ("US", 64)],
    "BitsAllocated": [("US", 1), ("US", 8), ("US", 32), ("US", 64)],
}
SYNTAXES = [f"1.2.840.10008.1.2{end}" for end in ("", ".1", ".1.99", ".2", ".5", ".4.50", ".4.51", ".4.70", ".4.80")]
SYNTAXES += [f"1.2.840.10008.1.2{end}" for end in (".4.90", ".4.100", ".4.201")] + ["1.2.3", "x", ""]
WORDS = ["../../evil.png", "/tmp/evil.png", "..\\evil", "C:/x", "glioma", "notumor", "train", "test", "labels.csv"]
WORDS += ["", " ", '"', ",", "\n", "\r", ";", "\0", "é", "\u202e", "x" * 5000]
WORDS += ["nan", "-1", "1e999", "0x10", "1_000", "~", "null", "2026-01-01"]
WORDS += ["=1+1", "{{", "&a *a", "!!python/object/apply:os.system [true]", "- ", ": ", "["]

LABELS = "path,label,split,patient,mask\n" + "".join(
    f"{label}/{number}.png,{label},{split},p{number}{split},{'m.png' if number == 1 else ''}\n"
    for label in CLASSES
    for number in range(3)
    for split in ("train" if number else "test",)
)
EXTERNAL = "path,class,source,sequence,patient,mask\n" + "".join(
    f"{label}/{number}.png,{label},s{number},T1,{number},\n" for label in CLASSES for number in range(3)
)
OUTLINES = "path,polygon\n" + "".join(
    f'Training/{label}/{number}.png,"{number},2 20,3.5 14,22 3,17"\n' for label in CLASSES for number in range(3)
)
RECORDS = "path,label,part,patient,source,mask\n" + "".join(
    f"Training/{label}/{number}.png,{label},Training,,,\n" for label in CLASSES for number in range(3)
)


def head(seed: int, height: int = 48, width: int = 56) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 2)


@cache
def pictures() -> list[bytes]:
    """Whole pictures of every format and mode."""
    files = []
    for number, (kind, mode) in enumerate((kind, mode) for kind, modes in PICTURES.items() for mode in modes):
        image = Image.fromarray(head(number))
        image = Image.fromarray(head(number)[..., 0].astype(np.uint16) * 9) if mode == "I;16" else image.convert(mode)
        stream = io.BytesIO()
        image.save(stream, kind)
        files.append(stream.getvalue())
    return files


@cache
def volumes() -> list[bytes]:
    """NIfTI files, plain and packed."""
    values = np.random.default_rng(1).integers(0, 900, (40, 36, 5), dtype=np.int16)
    plain = [image(values, np.eye(4)).to_bytes() for image in (nibabel.Nifti1Image, nibabel.Nifti2Image)]
    return [*plain, gzip.compress(plain[0], mtime=0)]


@cache
def scans() -> list[bytes]:
    """DICOM files that pydicom ships."""
    names = ("MR_small.dcm", "MR_small_RLE.dcm", "CT_small.dcm")
    return [Path(str(get_testdata_file(name))).read_bytes() for name in names]


def data_set() -> dict[str, bytes]:
    return {
        f"{part}/{label}/{number}.png": pictures()[number]
        for part in ("Training", "Testing")
        for label in CLASSES
        for number in range(3)
    }


def zipped(files: Iterable[tuple[str, bytes]], rng: np.random.Generator | None = None) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for name, data in files:
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = int(rng.choice((0, 0o120777, 0o020666, 0o100644))) << 16 if rng else 0
            file.writestr(info, data)
    return stream.getvalue()


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """One to four changes: bits, numbers, cuts, copies, foreign bytes; more often near the front, where headers are."""
    out = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        if not out:
            break
        at = int(len(out) * rng.random() ** rng.choice((1, 3)))
        length = int(rng.integers(1, max(2, min(64, len(out) - at + 1))))
        match rng.integers(7):
            case 0:
                out[at] ^= 1 << rng.integers(8)
            case 1:
                out[at : at + length] = rng.bytes(length)
            case 2:
                size = int(rng.choice((1, 2, 4)))
                value = int(rng.choice(EXTREMES)) & (256**size - 1)
                out[at : at + size] = value.to_bytes(size, "big" if rng.random() < 0.5 else "little")
            case 3:
                del out[at:]
            case 4:
                del out[at : at + length]
            case 5:
                out[at:at] = out[int(rng.integers(len(out))) :][:length]
            case _:
                out[at:at] = bytes(length)
    return bytes(out)


def mutate_text(text: str, rng: np.random.Generator) -> bytes:
    """Words put in, cells and lines swapped, dropped or doubled; now and then bytes as well."""
    for _ in range(rng.integers(1, 4)):
        lines = text.split("\n")
        row = int(rng.integers(len(lines)))
        cells = lines[row].split(",")
        column = int(rng.integers(len(cells)))
        match rng.integers(6):
            case 0:
                cells[column] = str(rng.choice(WORDS))
            case 1:
                del cells[column]
            case 2:
                cells.insert(column, str(rng.choice(WORDS)))
            case 3:
                other = lines[int(rng.integers(len(lines)))].split(",")
                cells[column] = other[min(column, len(other) - 1)]
            case 4:
                cells = lines[int(rng.integers(len(lines)))].split(",")
            case _:
                at = int(rng.integers(len(lines[row]) + 1))
                cells = [lines[row][:at] + str(rng.choice(WORDS)) + lines[row][at:]]
        lines[row] = ",".join(cells)
        text = "\n".join(lines)
    data = text.encode(errors="replace")
    return mutate(data, rng) if rng.random() < 0.3 else data


def mutate_dicom(data: bytes, rng: np.random.Generator) -> bytes:
    """Elements of the header dropped or given other values, one to three of them."""
    dataset = pydicom.dcmread(io.BytesIO(data))
    for key, values in DICOM_VALUES.items():
        if rng.random() < 0.1:
            dataset.add_new(key, *values[rng.integers(len(values))])
    if rng.random() < 0.1:
        dataset.file_meta.TransferSyntaxUID = UID(str(rng.choice(SYNTAXES)))
    keys = [int(element.tag) for element in dataset if element.VR in ("US", "SS", "DS", "IS", "CS", "OW", "UI")]
    for tag in {int(tag) for tag in rng.choice(keys, rng.integers(1, 4))}:
        element = dataset[tag]
        if rng.random() < 0.2:
            del dataset[tag]
        elif element.VR in ("US", "SS"):
            element.value = int(rng.choice(EXTREMES)) & (0xFFFF if element.VR == "US" else 0x7FFF)
        elif element.VR == "OW":
            element.value = mutate(element.value, rng)
        else:
            element._value = str(rng.choice(("", "0", "-1", "1e300", "MONOCHROME1", "RGB", "x", "2")))
    stream = io.BytesIO()
    try:
        dataset.save_as(stream)
    except Exception:  # pydicom does not write every value that a file can hold: such files get changed bytes
        return mutate(data, rng)
    return stream.getvalue()


def mutate_tiff(data: bytes, rng: np.random.Generator) -> bytes:
    """Tags of a little-endian TIFF given other types, counts and values, one to three of them."""
    out = bytearray(data)
    (start,) = struct.unpack_from("<I", out, 4)
    (count,) = struct.unpack_from("<H", out, start)
    for _ in range(rng.integers(1, 4)):
        at = start + 2 + 12 * int(rng.integers(count))
        tag, kind, length, value = struct.unpack_from("<HHII", out, at)
        match rng.integers(6):
            case 0:
                tag = int(rng.choice(TIFF_TAGS))
            case 1:
                kind = int(rng.integers(0, 19))
            case 2:
                length = int(rng.choice(EXTREMES))
            case 3:
                value = int(rng.choice(EXTREMES))
            case 4:
                value = int(rng.integers(0, 70))
            case _:
                value = int(np.clip(value + rng.integers(-9, 10), 0, 2**32 - 1))
        struct.pack_into("<HHII", out, at, tag, kind, length, value)
    return bytes(out)


@cache
def tiffs() -> list[bytes]:
    """TIFF files of every type, zero black or white."""
    grey = head(3)[..., 0]
    types = ("u1", "u2", "u4", "i1", "i2", "i4", "f4", "f8")
    plain = [tiff(grey.astype(kind), white) for kind in types for white in (False, True)]
    colour = [Image.fromarray(head(4)), Image.fromarray(grey)]
    for image, packed in zip(colour, ("tiff_lzw", "tiff_adobe_deflate"), strict=True):
        stream = io.BytesIO()
        image.save(stream, "TIFF", compression=packed)
        plain.append(stream.getvalue())
    return plain


@cache
def matlab() -> bytes:
    """A slice as figshare has them, without the user block."""
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        for name, value in (
            ("image", head(1)[..., 0].astype(np.int16)),
            ("tumorMask", head(2)[..., 0] > 128),
            ("label", np.array([[2.0]])),
            ("PID", np.array([[49], [50]], np.uint16)),
        ):
            file.create_dataset(f"cjdata/{name}", data=value)
    return stream.getvalue()
