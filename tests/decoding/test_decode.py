import os
import struct
import time
import zlib
from io import BytesIO
from pathlib import Path

import cv2
import nibabel
import numpy as np
import published
import pydicom
import pytest
from pictures import LIMITS
from PIL import Image
from pydicom.data import get_testdata_file

from brain_mri.decoding.decode import decode_grey, decode_mask, image_shape, read_grey
from brain_mri.decoding.picture import lacks_end
from brain_mri.images.badimage import BadImage, Limits, Reason
from brain_mri.images.levels import stretch


def smooth(seed: int = 0, height: int = 90, width: int = 120, channels: int = 1) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 4), None, 0, 255, cv2.NORM_MINMAX).reshape(height, width, -1)


GREY = smooth()[..., 0]
COLOUR = smooth(1, channels=3)


def encoded(image: np.ndarray | Image.Image, kind: str, **options) -> bytes:
    stream = BytesIO()
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    picture.save(stream, kind, **options)
    return stream.getvalue()


def report_way(path: Path) -> np.ndarray:
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2GRAY)


def reason(data: bytes, name: str = "", limits: Limits = LIMITS) -> Reason:
    with pytest.raises(BadImage) as refused:
        decode_grey(data, limits, name)
    return refused.value.reason


ORDINARY = {
    "grey.png": encoded(GREY, "PNG"),
    "colour.png": encoded(COLOUR, "PNG"),
    "interlaced.png": encoded(COLOUR, "PNG", interlace=1),
    "grey.jpg": encoded(GREY, "JPEG"),
    "colour.jpg": encoded(COLOUR, "JPEG", quality=80),
    "progressive.jpg": encoded(COLOUR, "JPEG", progressive=True),
    "exif.jpg": encoded(COLOUR, "JPEG", exif=(lambda e: e.__setitem__(274, 6) or e)(Image.Exif())),
    "rgba.png": encoded(np.dstack([COLOUR, GREY]), "PNG"),
    "grey_alpha.png": encoded(Image.fromarray(COLOUR).convert("LA"), "PNG"),
    "palette.png": encoded(Image.fromarray(COLOUR).quantize(64), "PNG"),
    "one_bit.png": encoded(Image.fromarray(GREY).convert("1"), "PNG"),
    "cmyk.jpg": encoded(Image.fromarray(COLOUR).convert("CMYK"), "JPEG"),
    "cmyk.tif": encoded(Image.fromarray(COLOUR).convert("CMYK"), "TIFF"),
    "colour.tif": encoded(COLOUR, "TIFF", compression="tiff_lzw"),
    "colour.bmp": encoded(COLOUR, "BMP"),
    "grey.gif": encoded(GREY, "GIF"),
    "colour.webp": encoded(COLOUR, "WEBP", lossless=True),
}


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_pictures_read_as_in_the_report(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(ORDINARY[name])
    grey = read_grey(path, LIMITS)
    assert grey.dtype == np.uint8
    assert np.array_equal(grey, report_way(path))
    assert image_shape(ORDINARY[name], LIMITS) == grey.shape


def test_grey_stored_as_rgb_gives_exactly_that_grey_and_alpha_is_left_out():
    every = np.arange(256, dtype=np.uint8).repeat(16).reshape(64, 64)
    clear = np.dstack([every] * 3 + [np.zeros_like(every)])
    for image in (every, np.dstack([every] * 3), clear):
        assert np.array_equal(decode_grey(encoded(image, "PNG"), LIMITS), every)


@pytest.mark.parametrize("alpha", ["ramp", "clear"])
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("picture", ["grey", "colour"])
def test_alpha_changes_no_colour(picture: str, kind: str, alpha: str) -> None:
    """The family: alpha a ramp or all clear, of grey and of colours, in every container that has it."""
    stored = np.dstack([GREY] * 3) if picture == "grey" else COLOUR
    ramp = np.linspace(0, 255, GREY.size).reshape(GREY.shape) * (alpha == "ramp")
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    data = encoded(np.dstack([stored, ramp.astype(np.uint8)]), kind, **options)
    assert np.array_equal(decode_grey(data, LIMITS), decode_grey(encoded(stored, "PNG"), LIMITS))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tiff_with_alpha_is_turned_as_one_without(orientation: int) -> None:
    turn = {"tiffinfo": {274: orientation}}
    data = encoded(np.dstack([COLOUR, GREY]), "TIFF", **turn)
    wanted = decode_grey(encoded(COLOUR, "TIFF", **turn), LIMITS)
    assert np.array_equal(decode_grey(data, LIMITS), wanted)
    assert image_shape(data, LIMITS) == wanted.shape


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_undone(orientation, kind):
    exif = Image.Exif()
    exif[274] = orientation
    upright = decode_grey(encoded(GREY, "PNG"), LIMITS)
    turned = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].T,
        8: np.rot90(upright, 3),
    }
    options = {"exif": exif, "quality": 100} if kind == "JPEG" else {"tiffinfo": {274: orientation}}
    data = encoded(np.ascontiguousarray(turned[orientation]), kind, **options)
    grey = decode_grey(data, LIMITS)
    assert grey.shape == upright.shape == image_shape(data, LIMITS)
    assert np.abs(grey.astype(int) - upright).mean() < 2


def test_sixteen_bit_and_float_are_stretched():
    values = GREY.astype(np.uint16) * 13 + 300
    wanted = stretch(GREY)
    assert np.array_equal(decode_grey(encoded(values, "PNG"), LIMITS), wanted)
    assert np.array_equal(decode_grey(encoded(values, "TIFF"), LIMITS), wanted)
    assert np.array_equal(decode_grey(encoded(values.astype(np.float32), "TIFF"), LIMITS), wanted)


def png(width: int, height: int, content: bytes, end: bool = True) -> bytes:
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)), (b"IDAT", content)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in [*chunks, (b"IEND", b"")][: 3 if end else 2]
    )


def with_jpeg_height(data: bytes, height: int) -> bytes:
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">H", height) + data[at + 2 :]


ROWS = zlib.compress(b"".join(b"\0" + bytes(row) for row in GREY))
SECOND = Image.fromarray(GREY[::-1].copy())
REFUSED = {
    "empty": (b"", Reason.EMPTY),
    "text": (b"patient, date, finding\n" * 40, Reason.NOT_AN_IMAGE),
    "half png": (ORDINARY["grey.png"][:2000], Reason.TRUNCATED),
    "half jpeg": (ORDINARY["colour.jpg"][:-300], Reason.TRUNCATED),
    "nearly whole jpeg": (ORDINARY["colour.jpg"][:-20], Reason.TRUNCATED),
    "progressive jpeg without end": (encoded(COLOUR, "JPEG", progressive=True)[:-2], Reason.TRUNCATED),
    "jpeg header alone": (ORDINARY["colour.jpg"][:100], Reason.TRUNCATED),
    "half bmp": (ORDINARY["colour.bmp"][:5000], Reason.TRUNCATED),
    "png without end": (png(120, 90, ROWS, end=False), Reason.TRUNCATED),
    "png with half its data": (png(120, 90, ROWS[: len(ROWS) // 2]), Reason.TRUNCATED),
    "png header too tall": (png(120, 200, ROWS), Reason.WRONG_SIZE),
    "png header too low": (png(120, 40, ROWS), Reason.WRONG_SIZE),
    "jpeg header too tall": (with_jpeg_height(ORDINARY["colour.jpg"], 200), Reason.WRONG_SIZE),
    "progressive too tall": (
        encoded(GREY, "JPEG", progressive=True).replace(struct.pack(">HH", 90, 120), struct.pack(">HH", 200, 120)),
        Reason.WRONG_SIZE,
    ),
    "huge png": (png(60_000, 60_000, ROWS), Reason.TOO_LARGE),
    "huge jpeg": (with_jpeg_height(ORDINARY["colour.jpg"], 65_000), Reason.TOO_LARGE),
    "one value": (encoded(np.full((64, 64), 9, np.uint8), "PNG"), Reason.ONE_VALUE),
    "small": (encoded(GREY[:31], "PNG"), Reason.TOO_SMALL),
    "animated gif": (
        encoded(Image.fromarray(GREY), "GIF", save_all=True, append_images=[SECOND]),
        Reason.SEVERAL_FRAMES,
    ),
    "animated png": (
        encoded(Image.fromarray(GREY), "PNG", save_all=True, append_images=[SECOND]),
        Reason.SEVERAL_FRAMES,
    ),
    "two pages": (encoded(Image.fromarray(GREY), "TIFF", save_all=True, append_images=[SECOND]), Reason.SEVERAL_FRAMES),
}


@pytest.mark.parametrize("name", ["colour.jpg", "grey.jpg"])
def test_a_jpeg_that_lacks_its_end_marker_alone_is_read(name: str) -> None:
    """The family: without the marker, with half of it, with fill bytes in its place."""
    whole = encoded({"colour.jpg": COLOUR, "grey.jpg": GREY}[name], "JPEG", quality=80)
    assert whole.endswith(b"\xff\xd9")
    assert lacks_end(whole[:-2]) and not lacks_end(whole)
    for ending in (b"", b"\xff", b"\xff" * 50):
        np.testing.assert_array_equal(decode_grey(whole[:-2] + ending, LIMITS), decode_grey(whole, LIMITS))


@pytest.mark.parametrize("name", REFUSED)
def test_bad_files_are_refused_with_their_reason(name):
    data, wanted = REFUSED[name]
    assert reason(data, limits=Limits(max_pixels=5_000_000)) == wanted


def test_floats_that_are_no_numbers():
    values = GREY.astype(np.float32)
    values[0, :3] = np.frombuffer(np.array([0x7F800001, 0x7FC00000, 0xFF800000], np.uint32), np.float32)
    assert np.array_equal(decode_grey(encoded(values, "TIFF"), LIMITS)[1:], GREY[1:])
    assert reason(encoded(np.full_like(values, np.nan), "TIFF")) == Reason.ONE_VALUE
    huge = np.where(GREY > 99, np.finfo(np.float64).max, np.finfo(np.float64).min)
    assert np.array_equal(stretch(huge), np.where(GREY > 99, 255, 0))


def test_large_pictures_are_refused_before_they_are_decoded(monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    for name in ("grey.png", "colour.jpg", "colour.tif", "colour.bmp"):
        assert reason(ORDINARY[name], limits=Limits(max_pixels=120 * 90 - 1)) == Reason.TOO_LARGE


def test_a_black_bottom_is_no_missing_data():
    image = GREY.copy()
    image[40:] = 0
    for options in ({}, {"progressive": True}, {"quality": 30}):
        assert decode_grey(encoded(image, "JPEG", **options), LIMITS).shape == image.shape


def test_links_pipes_and_names(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "out.png").write_bytes(ORDINARY["grey.png"])
    (tmp_path / "in" / "link.png").symlink_to(tmp_path / "out.png")
    (tmp_path / "in" / "nowhere.png").symlink_to(tmp_path / "none")
    os.mkfifo(tmp_path / "in" / "pipe.png")
    undecodable = Path(os.fsdecode(os.fsencode(tmp_path / "in") + b"/\xff.png"))
    undecodable.write_bytes(ORDINARY["grey.png"])
    for name, wanted in (
        ("nowhere.png", Reason.NOT_AN_IMAGE),
        ("pipe.png", Reason.NOT_AN_IMAGE),
        (undecodable.name, Reason.NAME),
    ):
        with pytest.raises(BadImage) as refused:
            read_grey(tmp_path / "in" / name, LIMITS)
        assert refused.value.reason == wanted
    assert read_grey(tmp_path / "in" / "link.png", LIMITS).shape == GREY.shape


def test_mask_of_any_kind():
    disc = np.zeros((60, 70), np.uint8)
    cv2.circle(disc, (30, 30), 12, 1, -1)
    for data in (encoded(disc, "PNG"), encoded(disc * 255, "PNG"), encoded(disc * 200, "JPEG", quality=95)):
        assert np.array_equal(decode_mask(data, LIMITS), disc * 255)
    assert not decode_mask(encoded(disc * 0, "PNG"), LIMITS).any()


def dicom(name: str = "MR_small.dcm", **changes) -> bytes:
    dataset = pydicom.dcmread(get_testdata_file(name))
    for key, value in changes.items():
        setattr(dataset, key, value)
    stream = BytesIO()
    dataset.save_as(stream)
    return stream.getvalue()


def test_dicom_window_and_photometric_interpretation():
    window = {"WindowCenter": [600, 40], "WindowWidth": [400, 400]}
    stored = pydicom.dcmread(get_testdata_file("MR_small.dcm")).pixel_array.astype(float)
    # DICOM PS3.3 C.11.2.1.2.1, its pseudo-code with an output range of 0 to 255
    wanted = np.clip(((stored - 599.5) / 399 + 0.5) * 255, 0, 255)
    grey = decode_grey(dicom(**window), LIMITS)
    assert np.array_equal(grey, np.rint(wanted).astype(np.uint8))
    assert np.array_equal(decode_grey(dicom(**window, PhotometricInterpretation="MONOCHROME1"), LIMITS), 255 - grey)


def test_dicom_without_window_is_stretched_and_compressed_ones_are_the_same():
    no_window = {"WindowCenter": None, "WindowWidth": None}
    grey = decode_grey(dicom(**no_window), LIMITS)
    assert (grey.min(), grey.max()) == (0, 255)
    assert np.array_equal(decode_grey(dicom("MR_small_RLE.dcm", **no_window), LIMITS), grey)
    assert image_shape(dicom(), LIMITS) == (64, 64)


def test_dicom_without_preamble_is_known_by_its_name():
    data = dicom()
    bare = data[data.index(b"\x08\x00\x08\x00CS") :]
    assert np.array_equal(decode_grey(bare, LIMITS, "IM0001.dcm"), decode_grey(data, LIMITS))


def test_dicom_header_without_end_does_not_take_long():
    start = time.monotonic()
    data = bytes(128) + b"DICM" + b"\x08\x00\x05\x00CS\x00\x00" * 2_000_000
    assert reason(data) == reason(bytes(10**8), "scan.dcm") == Reason.UNDECODABLE
    assert time.monotonic() - start < 20


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"PixelData": bytes(4000)}, Reason.TRUNCATED),
        ({"Rows": 32}, Reason.WRONG_SIZE),
        ({"Rows": 65_000, "Columns": 65_000}, Reason.TOO_LARGE),
        ({"NumberOfFrames": 2}, Reason.SEVERAL_FRAMES),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, Reason.UNSUPPORTED),
    ],
)
def test_dicom_that_is_refused(changes, wanted):
    assert reason(dicom(**changes)) == wanted
    assert reason(b"nothing of the kind" * 20, "scan.dcm") in (Reason.NOT_AN_IMAGE, Reason.UNDECODABLE)


def nifti(values: np.ndarray, affine: np.ndarray) -> bytes:
    return nibabel.Nifti1Image(values, affine).to_bytes()


def test_nifti_slice_and_view():
    volume = np.zeros((40, 50, 9), np.float32)
    volume[30:34, 40:44, 4] = 100  # to the patient's right and front, in the middle slice
    volume[5, 5, 2] = 7
    grey = decode_grey(nifti(volume, np.eye(4)), LIMITS, "scan.nii")
    assert grey.shape == (50, 40)
    rows, columns = np.nonzero(grey)
    assert rows.max() < 10 and columns.max() < 10  # front is up, right is to the left
    assert np.count_nonzero(decode_grey(nifti(volume, np.eye(4)), LIMITS, "scan.nii", slice=2)) == 1
    # The same head stored with other axes looks the same.
    stored = volume.transpose(2, 0, 1)[:, ::-1]
    affine = np.array([[0, -1, 0, 39], [0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1.0]])
    assert np.array_equal(decode_grey(nifti(np.ascontiguousarray(stored), affine), LIMITS, "scan.nii"), grey)


def test_nifti_files_that_are_packed_flat_or_refused():
    image = GREY.astype(np.int16)
    stream = zlib.compressobj(wbits=31)
    packed = stream.compress(nifti(image, np.eye(4))) + stream.flush()
    assert np.array_equal(
        np.sort(decode_grey(packed, LIMITS, "a.nii.gz"), None),
        np.sort(decode_grey(nifti(image[..., None], np.eye(4)), LIMITS, "a.nii"), None),
    )
    assert reason(packed[:-4000], "a.nii.gz") == Reason.TRUNCATED
    assert reason(nifti(image, np.eye(4))[:-100], "a.nii") == Reason.TRUNCATED
    assert reason(nifti(np.zeros((40, 40, 3, 5), np.uint8), np.eye(4)), "a.nii") == Reason.SEVERAL_FRAMES
    bomb = zlib.compressobj(wbits=31)
    assert reason(bomb.compress(bytes(10**7)) + bomb.flush(), "a.nii.gz", Limits(max_bytes=10**6)) == Reason.TOO_LARGE
    with pytest.raises(BadImage, match="has 0 to 8"):
        decode_grey(nifti(np.zeros((40, 40, 9)), np.eye(4)), LIMITS, "a.nii", slice=9)


def test_the_published_images_read_as_in_the_report(tmp_path):
    for name, data in published.images(100).items():
        path = tmp_path / "image.jpg"
        path.write_bytes(data)
        assert np.array_equal(read_grey(path, LIMITS), report_way(path)), name
