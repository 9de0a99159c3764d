"""Whole files of every kind that comes from outside, and seeded changes to them."""

import gzip
import io
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

CLASSES = ("glioma", "notumor")
PICTURES = {
    "PNG": ("L", "RGB", "RGBA", "P", "I;16"),
    "JPEG": ("L", "RGB", "CMYK"),
    "TIFF": ("L", "RGB", "F"),
    "BMP": ("RGB",),
    "GIF": ("P",),
    "WEBP": ("RGB",),
}
EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
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
    keys = [int(element.tag) for element in dataset if element.VR in ("US", "DS", "IS", "CS", "OW", "UI")]
    for tag in {int(tag) for tag in rng.choice(keys, rng.integers(1, 4))}:
        element = dataset[tag]
        if rng.random() < 0.2:
            del dataset[tag]
        elif element.VR == "US":
            element.value = int(rng.choice(EXTREMES)) & 0xFFFF
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
