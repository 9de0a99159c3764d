"""One picture, one answer: the container, the depth and the brightness of a file do not decide.

The family: a slice of a phantom in every container that is read, as people save it (16 bit as a multiple of 257, as it
is, or scaled; TIFF of every type with zero as black or white; DICOM with windows that do and do not fit, padding, hot
pixels, every transfer syntax; NIfTI of every type, scaled, turned), under names that say something else, dimmed,
brightened and flattened. All must give the picture of the 8-bit PNG.
"""

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pictures import LIMITS, write_folder, write_zip
from pydicom.encaps import encapsulate
from pydicom.uid import (
    MPEG2MPML,
    UID,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from bench.containers import HOT, RIM, WHOLE, alike, bare, dicom, exact, nifti, picture, tiff
from brain_mri.decoding.decode import decode_grey, image_shape
from brain_mri.errors import UserError
from brain_mri.images.badimage import BadImage, Limits, Reason
from brain_mri.images.crop import crop
from brain_mri.images.levels import stretch, to_grey
from brain_mri.params import load_params
from brain_mri.phantoms.phantom import phantom
from brain_mri.prediction.inputs import list_inputs, read_crop
from brain_mri.prediction.study import Card
from brain_mri.sources.folder import unpack

GREY = phantom("glioma", 11, 3).image
GREY[:RIM] = GREY[-RIM:] = 0
SIXTEEN = GREY.astype("<u2")
TWELVE = SIXTEEN * 16
CROP = load_params(Path(__file__).parents[2] / "params.yaml").crop
SAME, ALIKE = exact(GREY), alike(GREY)


@pytest.mark.parametrize("name", SAME)
def test_the_8_bit_picture_comes_back_exactly(name: str) -> None:
    """The family: containers that hold an 8-bit picture in a wider type, or a window that gives it back."""
    data = SAME[name]
    assert np.array_equal(decode_grey(data, LIMITS, name), GREY)
    assert image_shape(data, LIMITS, name) == GREY.shape


@pytest.mark.parametrize("name", ALIKE)
def test_every_other_container_gives_the_same_picture_but_for_rounding(name: str) -> None:
    """The family: containers whose levels are others; a stretch of both is within 3 of 255 grey levels."""
    grey = decode_grey(ALIKE[name], LIMITS, name)
    difference = np.abs(stretch(grey).astype(int) - stretch(GREY))
    if "hot" in name:
        difference[HOT] = 0
    assert difference.max() <= (8 if name.endswith(".jpg") or name == "JPEG.dcm" else 3)
    assert difference.mean() < 1


@pytest.mark.parametrize("name", [*SAME, *ALIKE])
def test_every_container_gives_the_network_the_same_head(name: str) -> None:
    """From the bytes of a file to the crop, as prediction does it: within a grey level on average."""
    found = read_crop((SAME | ALIKE)[name], name, CROP).astype(int)
    assert np.abs(found - crop(GREY, CROP)).mean() < 1


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "dimmed to half": lambda grey: grey * 0.5,
    "dimmed to a quarter": lambda grey: grey * 0.25,
    "brightened": lambda grey: grey * 1.15,
    "lifted": lambda grey: grey + 20.0,
    "flat": lambda grey: grey * 0.5 + 64,
}


@pytest.mark.parametrize("change", CHANGES)
def test_how_bright_a_file_is_does_not_decide(change: str) -> None:
    """The family: one picture, its levels scaled and shifted, as 8-bit PNG, 16-bit PNG, DICOM and NIfTI."""
    changed = np.rint(CHANGES[change](GREY)).clip(0, 255).astype(np.uint8)
    files = {
        "8 bit.png": picture(changed, "PNG"),
        "16 bit.png": picture(changed.astype(np.uint16) * 257, "PNG"),
        "12 bit.dcm": dicom(changed.astype("<u2") * 16, 12),
        "uint8.nii": nifti(changed),
    }
    wanted = crop(GREY, CROP).astype(int)
    for name, data in files.items():
        assert np.abs(read_crop(data, name, CROP) - wanted).mean() < 2, name
    as_it_is = CROP.model_copy(update={"stretch": False})
    assert np.abs(crop(changed, as_it_is).astype(int) - crop(GREY, as_it_is)).mean() > 5


def test_the_stretch_is_moved_by_many_pixels_alone_and_loses_no_detail() -> None:
    grey = stretch(GREY)
    assert np.array_equal(stretch(grey), grey)
    few = GREY.astype(float)
    few[0, :40], few[1, :40] = 1e9, -1e9  # less than a thousandth each
    assert np.abs(stretch(few)[2:].astype(int) - grey[2:]).max() <= 3
    lesion = np.full((200, 200), 90, np.int16)
    lesion[10:13, 10:13] = 700
    assert np.array_equal(stretch(lesion) == 255, lesion == 700)
    two = np.where(GREY > 80, 3.5, -2.0)
    assert np.array_equal(to_grey(two), np.where(GREY > 80, 255, 0))
    assert not stretch(np.full((40, 40), 7)).any()
    outside = np.zeros(GREY.shape, bool)
    outside[:9] = True
    assert not stretch(GREY, outside)[:9].any()
    assert np.array_equal(stretch(np.where(outside, 1e30, GREY), outside), stretch(GREY, outside))
    with pytest.raises(BadImage):
        stretch(GREY, np.ones(GREY.shape, bool))


@pytest.mark.parametrize("name", ["scan.dcm", "scan.nii", "scan.nii.gz", "scan.ima", "scan.jpg", "scan", "scan.txt"])
def test_files_are_known_by_their_content(name: str) -> None:
    """The family: a picture named .dcm or .nii, a DICOM file or a volume under any name or none, packed or bare."""
    window = dicom(TWELVE, 12, **WHOLE)
    files = [
        picture(GREY, "PNG"),
        tiff(GREY),
        window,
        bare(window),
        window[132:],
        nifti(GREY),
        gzip.compress(nifti(GREY)),
    ]
    for data in files:
        assert np.array_equal(decode_grey(data, LIMITS, name), GREY)
        assert image_shape(data, LIMITS, name) == GREY.shape
    jpeg = picture(GREY, "JPEG", quality=100)
    assert np.abs(decode_grey(jpeg, LIMITS, name).astype(int) - GREY).max() <= 8


@pytest.mark.parametrize(
    ("syntax", "named"),
    [
        (JPEGLosslessSV1, "JPEG Lossless, Non-Hierarchical, First-Order"),
        (JPEGLSLossless, "JPEG-LS Lossless"),
        (MPEG2MPML, "MPEG2 Main Profile"),
        (JPEG2000Lossless, "JPEG 2000"),
    ],
)
def test_a_compression_that_cannot_be_undone_is_named_with_the_remedy(syntax: UID, named: str) -> None:
    """The family: DICOM whose transfer syntax has no decoder here, or whose data its decoder does not take."""
    data = dicom(TWELVE, 12, syntax=syntax, pixels=encapsulate([b"\xff\xd8\xff\xf7" + bytes(2000) + b"\xff\xd9"]))
    with pytest.raises(BadImage, match=f"(?s){named}.*{syntax}.*gdcmconv --raw") as refused:
        decode_grey(data, LIMITS, "scan.dcm")
    assert refused.value.reason in (Reason.UNSUPPORTED, Reason.UNDECODABLE)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("kind", ["<u2", "<i2"])
@pytest.mark.parametrize(("bits", "high"), [(12, 15), (12, 13), (8, 15)])
def test_dicom_values_that_do_not_begin_at_bit_0_are_the_same_picture(kind: str, bits: int, high: int) -> None:
    """The family: HighBit above BitsStored - 1, overlays in the bits beside the values, with and without a sign."""
    shift = high + 1 - bits
    values = (SIXTEEN * (16 if bits == 12 else 1)).astype(kind) - (2 ** (bits - 1) if kind == "<i2" else 0)
    beside = np.random.default_rng(0).integers(0, 2**16, values.shape, "<u2")
    mask = np.uint16((2**bits - 1) << shift)
    stored = ((values.view("<u2") << shift) & mask | beside & ~mask).view(kind)
    data = dicom(stored, bits, HighBit=high)
    wanted = decode_grey(dicom(values, bits), LIMITS)
    assert np.array_equal(decode_grey(data, LIMITS), wanted)
    assert np.array_equal(decode_grey(bare(data), LIMITS), wanted)


@pytest.mark.parametrize(
    ("high", "syntax"), [(10, ExplicitVRLittleEndian), (16, ExplicitVRLittleEndian), (15, RLELossless)]
)
def test_a_high_bit_that_cannot_be_is_refused_with_both_numbers(high: int, syntax: UID) -> None:
    """The family: below BitsStored - 1, beyond BitsAllocated, or among compressed values."""
    with pytest.raises(BadImage, match=rf"HighBit {high}\b.*BitsStored 12\b") as refused:
        decode_grey(dicom(TWELVE, 12, syntax=syntax, HighBit=high), LIMITS)
    assert refused.value.reason == Reason.UNSUPPORTED


def low_bits(levels: np.ndarray, bits: int, white_is_zero: bool = False) -> bytes:
    """A grey TIFF of so many bits a value, below 8."""
    rows = np.packbits(np.unpackbits(levels[..., None], axis=2)[..., 8 - bits :].reshape(len(levels), -1), axis=1)
    data = tiff(rows, white_is_zero)
    for tag, old, new in ((256, rows.shape[1], levels.shape[1]), (258, 8, bits)):
        data = data.replace(struct.pack("<HHII", tag, 4, 1, old), struct.pack("<HHII", tag, 4, 1, new))
    return data


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_tiff_of_fewer_than_8_bits(bits: int) -> None:
    levels, most = GREY >> (8 - bits), 2**bits - 1
    wanted = levels * np.uint8(255 // most)
    for data in (low_bits(levels, bits), low_bits(most - levels, bits, white_is_zero=True)):
        assert np.array_equal(decode_grey(data, LIMITS), wanted)
        assert image_shape(data, LIMITS) == GREY.shape


def test_a_tiff_of_a_type_that_is_not_read_is_named_with_the_remedy() -> None:
    files = {"6 bits": low_bits(GREY >> 2, 6), "16 bits, floating point": tiff((GREY / 255).astype("<f2"))}
    for named, data in files.items():
        with pytest.raises(BadImage, match=f"{named}.*PNG"):
            decode_grey(data, LIMITS)


@pytest.mark.parametrize(
    ("kind", "offset"), [("<u8", 0), ("<u8", 2**63), ("<u8", 2**64 - 4081), ("<i8", -(2**63)), ("<i8", 0)]
)
@pytest.mark.parametrize("white", [False, True])
def test_64_bit_values_keep_their_differences_wherever_they_lie(kind: str, offset: int, white: bool) -> None:
    """The family: small differences at the ends and in the middle of the range, of which float64 knows none."""
    values = TWELVE.astype(kind) + np.array(offset, kind)
    assert np.array_equal(
        decode_grey(tiff(values, white), LIMITS), decode_grey(tiff(TWELVE.astype("<u4"), white), LIMITS)
    )


def test_64_bit_tiff_that_holds_an_8_bit_picture() -> None:
    eight = GREY.astype("<u8")
    assert np.array_equal(decode_grey(tiff(eight), LIMITS), GREY)
    assert np.array_equal(decode_grey(tiff(~eight, white_is_zero=True), LIMITS), GREY)
    as_32 = decode_grey(tiff(GREY.astype("<u4"), white_is_zero=True), LIMITS)
    assert np.array_equal(decode_grey(tiff(eight, white_is_zero=True), LIMITS), as_32)


def test_a_volume_packed_in_several_gzip_members() -> None:
    """The family: as bgzip packs it, with an empty member at the end, as `cat a.gz b.gz` does, with padding behind."""
    noise = np.random.default_rng(0).integers(0, 256, (400, 500), dtype=np.uint8)  # 200 kB, packed too
    volume = nifti(noise)
    pieces = [gzip.compress(volume[at : at + 65_280]) for at in range(0, len(volume), 65_280)]
    two = gzip.compress(volume[:352]) + gzip.compress(volume[352:])
    for data in (b"".join(pieces) + gzip.compress(b""), two, two + bytes(500)):
        assert np.array_equal(decode_grey(data, LIMITS, "a.nii.gz"), noise)
        assert np.array_equal(decode_grey(data, LIMITS), noise)
    for data in (two[:-9], b"".join(pieces)[:-9], b"".join(pieces[:-1])):
        with pytest.raises(BadImage) as refused:
            decode_grey(data, LIMITS, "a.nii.gz")
        assert refused.value.reason == Reason.TRUNCATED
    bombs = gzip.compress(volume) + gzip.compress(bytes(10**6))
    with pytest.raises(BadImage) as refused:
        decode_grey(bombs, Limits(max_bytes=10**6), "a.nii.gz")
    assert refused.value.reason == Reason.TOO_LARGE


def test_a_wholly_padded_dicom_is_one_value() -> None:
    with pytest.raises(BadImage) as refused:
        decode_grey(dicom(SIXTEEN, PixelPaddingValue=0, PixelPaddingRangeLimit=255), LIMITS)
    assert refused.value.reason == Reason.ONE_VALUE


BESIDE = (
    "DICOMDIR",
    "README.TXT",
    "README",
    "autorun.inf",
    "viewer/run.exe",
    "sub/report.pdf",
    "index.html",
    "Notes.Md",
)


def test_what_no_one_takes_for_an_image_is_skipped_in_folders_and_refused_by_name(tmp_path: Path) -> None:
    """The family: what lies beside scans on a CD or in a data set; in a study's folder it counts as ignored."""
    scan = picture(GREY, "PNG")
    beside = dict.fromkeys(BESIDE, b"no image")
    write_folder(tmp_path / "disc", beside | {"IM0001": scan, "sub/IM0002.png": scan, "odd.xyz": scan})
    write_zip(tmp_path / "disc.zip", beside | {"IM0001": scan})
    with list_inputs([tmp_path / "disc", tmp_path / "disc.zip"], None, LIMITS) as (images, refused):
        names = [Path(image.name).name for image in images]
    assert names == ["IM0001", "odd.xyz", "IM0002.png", "IM0001"] and not refused
    with list_inputs([tmp_path / "disc/README.TXT"], None, LIMITS) as ((named,), _), pytest.raises(BadImage):
        decode_grey(named.read(), LIMITS, named.name)
    write_folder(tmp_path / "none", beside)
    with pytest.raises(UserError, match="no images in it"), list_inputs([tmp_path / "none"], None, LIMITS):
        pass
    write_folder(tmp_path / "study", {f"{label}/{name}": b"x" for label in "ab" for name in BESIDE})
    write_folder(tmp_path / "study", {"a/1.png": scan, "b/2.png": scan})
    fetched = unpack(tmp_path / "study", tmp_path / "data", ["a", "b"], LIMITS)
    assert (len(fetched.records), fetched.refused, fetched.ignored) == (2, [], 2 * len(BESIDE))


def test_a_card_without_the_stretch_is_one_of_a_model_trained_without() -> None:
    older = CROP.model_dump(exclude={"stretch"})
    card = Card.model_validate({"classes": ["a", "b"], "image_size": 96, "crop": older, "temperature": 1.0})
    assert card.crop == CROP.model_copy(update={"stretch": False})
