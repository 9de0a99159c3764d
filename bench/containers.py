"""One slice through every container that is read: does the answer stay the same?

    python -m bench.containers STUDY               (its own raw images, one of each class)
    python -m bench.containers STUDY IMAGE...      (these images)

Prints a Markdown table: for each container in how many images the class is that of the 8-bit PNG, and the largest
difference of a class's probability.
"""

import gzip
import struct
import sys
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import nibabel
import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    MRImageStorage,
    RLELossless,
)

from brain_mri.decoding.decode import read_grey
from brain_mri.errors import UserError, run
from brain_mri.images.badimage import Limits
from brain_mri.images.dataset import read_records
from brain_mri.prediction.inputs import read_crop
from brain_mri.prediction.study import Study, open_study

RIM = 6  # rows above and below that are made black in every image, and filled in those that are padded
HOT = slice(2, 4), slice(2, 4)  # pixels that are made far too bright in some files
WHOLE: dict[str, Any] = {"WindowCenter": 2040, "WindowWidth": 4081}  # of twelve bits: shows the 8-bit picture itself


def exact(grey: np.ndarray) -> dict[str, bytes]:
    """Files by name that hold just the picture, uint8 (H, W), with a black rim, `RIM` rows above and below."""
    sixteen, twelve = grey.astype("<u2"), grey.astype("<u2") * 16
    return {
        "8 bit.png": picture(grey, "PNG"),
        "16 bit, times 257.png": picture(sixteen * 257, "PNG"),
        "16 bit, 0 to 255.png": picture(sixteen, "PNG"),
        "16 bit colour, times 257.png": cv2.imencode(".png", np.dstack([sixteen * 257] * 3))[1].tobytes(),
        "8 bit.bmp": picture(grey, "BMP"),
        "8 bit.gif": picture(grey, "GIF"),
        "8 bit.webp": picture(np.dstack([grey] * 3), "WEBP", lossless=True),
        "8 bit.tif": tiff(grey),
        "8 bit, packed.tif": picture(grey, "TIFF", compression="tiff_lzw"),
        "8 bit, WhiteIsZero.tif": tiff(255 - grey, white_is_zero=True),
        "16 bit, times 257.tif": tiff(sixteen * 257),
        "16 bit, times 257, WhiteIsZero.tif": tiff(65535 - sixteen * 257, white_is_zero=True),
        "int16, 0 to 255.tif": tiff(grey.astype("<i2")),
        "uint32, 0 to 255.tif": tiff(grey.astype("<u4")),
        "float32, 0 to 255.tif": tiff(grey.astype("<f4")),
        "8 bit.dcm": dicom(grey),
        "8 bit, MONOCHROME1.dcm": dicom(255 - grey, PhotometricInterpretation="MONOCHROME1"),
        "16 bit, 0 to 255.dcm": dicom(sixteen),
        "rescaled.dcm": dicom(grey, RescaleSlope="2.5", RescaleIntercept="-100"),
        "rescaled by nothing.dcm": dicom(grey, RescaleSlope="0", RescaleIntercept="0"),
        "padded.dcm": dicom(padded(sixteen.astype("<i2"), -2000), PixelPaddingValue=-2000),
        "JPEG 2000, 8 bit.dcm": dicom(
            grey, syntax=JPEG2000Lossless, pixels=encapsulate([picture(grey, "JPEG2000", no_jp2=True)])
        ),
        "uint8.nii": nifti(grey),
        "uint8, packed.nii.gz": gzip.compress(nifti(grey)),
        "uint8, LAS.nii": nifti(grey, (-1, 1)),
        "uint8, towards posterior.nii": nifti(grey, (1, -1)),
        "uint8, scaled.nii": nifti(grey, scale=(2.0, -50.0)),
        "uint16, 0 to 255.nii": nifti(sixteen),
        "float32, padded with no numbers.nii": nifti(
            np.where(padded(np.ones_like(grey), 0) == 0, np.nan, grey).astype("f4")
        ),
        "window.dcm": dicom(twelve, 12, **WHOLE),
        "window about 0.dcm": dicom(
            twelve, 12, RescaleSlope=1, RescaleIntercept=-2040, WindowCenter=0, WindowWidth=4081
        ),
        "window about 0, without slope.dcm": dicom(
            twelve, 12, RescaleIntercept=-2040, WindowCenter=0, WindowWidth=4081
        ),
        "windows, the second without width.dcm": dicom(twelve, 12, WindowCenter=[2040, 9], WindowWidth=[4081, 0]),
        "windows, the first without width.dcm": dicom(twelve, 12, WindowCenter=[9, 2040], WindowWidth=[0, 4081]),
        "windows, the first of one value.dcm": dicom(twelve, 12, WindowCenter=[-900, 2040], WindowWidth=[5, 4081]),
        "windows, the first all black.dcm": dicom(twelve, 12, WindowCenter=[9000, 2040], WindowWidth=[5, 4081]),
        "windows, the first of a CT.dcm": dicom(twelve, 12, WindowCenter=[40, 2040], WindowWidth=[400, 4081]),
        "window, MONOCHROME1.dcm": dicom(4080 - twelve, 12, PhotometricInterpretation="MONOCHROME1", **WHOLE),
        "window, inverse.dcm": dicom(4080 - twelve, 12, PresentationLUTShape="INVERSE", **WHOLE),
        "window and padding, MONOCHROME1.dcm": dicom(
            padded(4080 - twelve, 63_536),
            PhotometricInterpretation="MONOCHROME1",
            PixelPaddingValue=63_000,
            PixelPaddingRangeLimit=64_000,
            **WHOLE,
        ),
        "implicit.dcm": dicom(twelve, 12, syntax=ImplicitVRLittleEndian, **WHOLE),
        "deflated.dcm": dicom(twelve, 12, syntax=DeflatedExplicitVRLittleEndian, **WHOLE),
        "big endian.dcm": dicom(twelve, 12, syntax=ExplicitVRBigEndian, pixels=twelve.byteswap().tobytes(), **WHOLE),
        "RLE.dcm": dicom(twelve, 12, syntax=RLELossless, **WHOLE),
        "JPEG 2000, 12 bit.dcm": dicom(
            twelve, 12, syntax=JPEG2000Lossless, pixels=encapsulate([picture(twelve, "JPEG2000", no_jp2=True)]), **WHOLE
        ),
        "signed.dcm": dicom(twelve.astype("<i2") - 2000, RescaleSlope=1, RescaleIntercept=2000, **WHOLE),
    }


def alike(grey: np.ndarray) -> dict[str, bytes]:
    """Files by name that hold the picture, as in `exact`, with other levels: what is black and white is not said."""
    sixteen, twelve = grey.astype("<u2"), grey.astype("<u2") * 16
    more = twelve * 2 + 7
    falling = {"LUTDescriptor": [4096, 0, 12], "LUTData": np.arange(4095, -1, -1, "<u2").tobytes()}
    return {
        "colour, quality 100.jpg": picture(np.dstack([grey] * 3), "JPEG", quality=100, subsampling=0),
        "grey, quality 100.jpg": picture(grey, "JPEG", quality=100),
        "CMYK.tif": picture(Image.fromarray(grey).convert("CMYK"), "TIFF"),
        "12 bit.png": picture(twelve, "PNG"),
        "16 bit.tif": tiff(sixteen * 100),
        "16 bit, WhiteIsZero.tif": tiff(65535 - sixteen * 100, white_is_zero=True),
        "float32.tif": tiff((grey / 255).astype("<f4")),
        "float32, WhiteIsZero.tif": tiff((1 - grey / 255).astype("<f4"), white_is_zero=True),
        "float64.tif": tiff(grey / 255),
        "float64, WhiteIsZero.tif": tiff(-(grey / 255), white_is_zero=True),
        "int8.tif": tiff((grey.astype(int) - 128).astype("i1")),
        "int8, WhiteIsZero.tif": tiff((127 - grey.astype(int)).astype("i1"), white_is_zero=True),
        "int16.tif": tiff(grey.astype("<i2") * 100 - 5000),
        "int16, WhiteIsZero.tif": tiff(5000 - grey.astype("<i2") * 100, white_is_zero=True),
        "uint32.tif": tiff(grey.astype("<u4") * 1_000_000),
        "uint32, WhiteIsZero.tif": tiff(2**32 - 1 - grey.astype("<u4") * 1_000_000, white_is_zero=True),
        "int32.tif": tiff(grey.astype("<i4") * 100 - 5000),
        "JPEG.dcm": dicom(grey, syntax=JPEGBaseline8Bit, pixels=encapsulate([picture(grey, "JPEG", quality=100)])),
        "no window.dcm": dicom(more),
        "no window, MONOCHROME1.dcm": dicom(4080 - twelve, 12, PhotometricInterpretation="MONOCHROME1"),
        "no window, falling, without intercept.dcm": dicom(4080 - twelve, 12, RescaleSlope=-1),
        "no window, falling.dcm": dicom(4080 - twelve, 12, RescaleSlope=-1, RescaleIntercept=4080),
        "no window, falling in a functional group.dcm": dicom(
            4080 - twelve,
            12,
            SharedFunctionalGroupsSequence=[
                item(PixelValueTransformationSequence=[item(RescaleSlope=-1, RescaleIntercept=4080)])
            ],
        ),
        "table that falls.dcm": dicom(4080 - twelve, 12, VOILUTSequence=[item(**falling)]),
        "no window, padded.dcm": dicom(padded(more.astype("<i2"), -32768), PixelPaddingValue=-32768),
        "no window, padded, MONOCHROME1.dcm": dicom(
            padded(9000 - more.astype("<i2"), -2000), PixelPaddingValue=-2000, PhotometricInterpretation="MONOCHROME1"
        ),
        "no window, hot pixels.dcm": dicom(hot(more)),
        "window about 0, hot pixels.dcm": dicom(
            hot(twelve), RescaleSlope=1, RescaleIntercept=-2040, WindowCenter=0, WindowWidth=4081
        ),
        "window of a CT.dcm": dicom(twelve, 12, WindowCenter=40, WindowWidth=400),
        "window without width.dcm": dicom(twelve, 12, WindowCenter=40, WindowWidth=0),
        "int16.nii": nifti(grey.astype(np.int16) * 10 - 99),
        "int16, hot voxels.nii": nifti(hot(grey.astype(np.int32) * 10)),
        "float64.nii": nifti(grey / 255),
        "int16, falling.nii": nifti(3000 - grey.astype(np.int16) * 10, scale=(-1.0, 3000.0)),
    }


def picture(image: np.ndarray | Image.Image, kind: str, **options: Any) -> bytes:
    stream = BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(stream, kind, **options)
    return stream.getvalue()


def tiff(values: np.ndarray, white_is_zero: bool = False) -> bytes:
    """A TIFF of one strip, of any type that the format has (TIFF 6.0, section 2)."""
    sample_format = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    data = values.astype(values.dtype.newbyteorder("<")).tobytes()
    tags = [(256, values.shape[1]), (257, values.shape[0]), (258, values.dtype.itemsize * 8), (259, 1)]
    tags += [(262, 0 if white_is_zero else 1), (273, 8), (277, 1), (278, values.shape[0]), (279, len(data))]
    tags += [(339, sample_format)]
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + struct.pack("<H", len(tags)) + directory + bytes(4)


def dicom(
    values: np.ndarray,
    bits: int | None = None,
    syntax: UID = ExplicitVRLittleEndian,
    pixels: bytes = b"",
    **elements: Any,
) -> bytes:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = MRImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = UID("1.2.3")
    dataset.Rows, dataset.Columns = values.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = values.dtype.itemsize * 8
    dataset.BitsStored = bits or dataset.BitsAllocated
    dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, int(values.dtype.kind == "i")
    compress = syntax == RLELossless
    dataset.file_meta.TransferSyntaxUID = UID(ExplicitVRLittleEndian if compress else syntax)
    dataset.update(item(**elements))
    dataset.PixelData = pixels or values.tobytes()
    dataset["PixelData"].VR = "OW" if dataset.BitsAllocated > 8 else "OB"
    dataset["PixelData"].is_undefined_length = bool(pixels) and syntax.is_encapsulated
    if compress:
        dataset.compress(RLELossless)
    stream = BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def item(**elements: Any) -> Dataset:
    """An item of a sequence."""
    dataset = Dataset()
    for key, value in elements.items():
        setattr(dataset, key, value)
    return dataset


def bare(data: bytes) -> bytes:
    """A DICOM file as old ones are: without preamble and meta data, in implicit little endian."""
    stream = BytesIO()
    dataset = pydicom.dcmread(BytesIO(data))
    pydicom.dcmwrite(stream, Dataset(dataset), implicit_vr=True, little_endian=True)
    return stream.getvalue()


def hot(values: np.ndarray) -> np.ndarray:
    changed = values.copy()
    changed[HOT] = 60_000
    return changed


def padded(values: np.ndarray, padding: float) -> np.ndarray:
    """The rows above and below, which are black, filled."""
    changed = values.copy()
    changed[:RIM] = changed[-RIM:] = padding
    return changed


def nifti(values: np.ndarray, signs: tuple[int, int] = (1, 1), scale: tuple[float, float] | None = None) -> bytes:
    """Stored towards right and anterior (RAS), or with a sign of -1 towards left (LAS) or posterior."""
    stored = values[:: -signs[1], :: -signs[0]].T[..., None]
    volume = nibabel.Nifti1Image(np.ascontiguousarray(stored), np.diag([*signs, 1, 1.0]))
    if scale:
        volume.header.set_slope_inter(*scale)
    return volume.to_bytes()


def pictures(study: Study, folder: Path, named: Sequence[Path]) -> Iterator[np.ndarray]:
    """The images named, or a raw image of the study for each class, of the test set where it has a published one."""
    crop = study.card.crop
    if not named:
        table = folder / "data/raw.csv"
        if not table.is_file():
            raise UserError(f"{table}: not there, the study has not been run here; name images after the study")
        records = sorted(read_records(table), key=lambda record: record.part == "Testing")
        own = {record.label: folder / "data/raw" / record.path for record in records if record.part != "External"}
        named = [own[label] for label in study.card.classes]
    for path in named:
        grey = read_grey(path, Limits(crop.min_side, crop.max_pixels)).copy()
        grey[:RIM] = grey[-RIM:] = 0
        yield grey


def main() -> None:
    if len(sys.argv) < 2:
        raise UserError("name a study: python -m bench.containers STUDY [IMAGE...]")
    from brain_mri.prediction.classifier import Classifier

    folder, *images = map(Path, sys.argv[1:])
    study = open_study(folder)
    classifier, crop = Classifier(study), study.card.crop
    same: dict[str, list[bool]] = {}
    apart: dict[str, list[float]] = {}
    for grey in pictures(study, folder, images):
        files = exact(grey) | alike(grey)
        answers = classifier.classify(np.stack([read_crop(data, name, crop) for name, data in files.items()]))
        for name, answer in zip(files, answers, strict=True):
            same.setdefault(name, []).append(answer.predicted == answers[0].predicted)
            pairs = zip(answer.probabilities.values(), answers[0].probabilities.values(), strict=True)
            apart.setdefault(name, []).append(max(abs(one - other) for one, other in pairs))
    print("| container | same class | largest difference |\n|---|---|---|")
    for name, agreed in same.items():
        print(f"| {name} | {sum(agreed)} of {len(agreed)} | {max(apart[name]):.4f} |")


if __name__ == "__main__":
    run(main)
