"""Kinds of images that are not read are named, and nothing else is taken for one."""

from io import BytesIO

import nibabel
import numpy as np
import pytest
from pictures import LIMITS
from PIL import Image, features

from brain_mri.decoding.decode import decode_grey
from brain_mri.decoding.kinds import READ
from brain_mri.images.badimage import BadImage, Reason

PICTURE = np.random.default_rng(0).integers(0, 256, (40, 48), dtype=np.uint8)


def packed(kind: str) -> bytes:
    file = BytesIO()
    Image.fromarray(PICTURE).save(file, kind)
    return file.getvalue()


def pair(kind: type) -> bytes:
    """The header file of a pair."""
    image = kind(PICTURE[..., None], np.eye(4))
    files = kind.make_file_map({"header": BytesIO(), "image": BytesIO()})
    image.to_file_map(files)
    return files["header"].fileobj.getvalue()


FILES = {
    "a.heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
    "a.jp2": (packed("JPEG2000"), "JPEG 2000"),
    "analyze.hdr": (pair(nibabel.AnalyzeImage), "the header of a pair"),
    "nifti.hdr": (pair(nibabel.Nifti1Pair), "the header of a pair"),
    "nifti.img": (PICTURE.tobytes(), "the pixels of a pair"),
    "a.pgm": (b"P5 48 40 255\n" + PICTURE.tobytes(), "Netpbm"),
    "a.png": (b"<!DOCTYPE html><html>", "a web page"),
    "b.png": (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
    "c.png": (b"/annex/objects/MD5E-s1--1.png\n", "git-annex"),
    "d.png": (b"PK\x03\x04" + bytes(90), "a zip"),
    "e.mgz": (b"\x1f\x8b" + bytes(90), "a packed file"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_kind_that_is_not_read_is_named(name: str) -> None:
    """The family: what people have for images, or in the place of one, and that is none to this project."""
    data, kind = FILES[name]
    with pytest.raises(BadImage, match=f"unsupported kind: {kind}") as raised:
        decode_grey(data, LIMITS, name)
    assert raised.value.reason is Reason.UNSUPPORTED and READ in str(raised.value)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow writes no AVIF")
def test_avif_is_named() -> None:
    with pytest.raises(BadImage, match="unsupported kind: AVIF"):
        decode_grey(packed("AVIF"), LIMITS, "a.avif")


def test_what_is_nothing_known_is_no_image() -> None:
    with pytest.raises(BadImage, match=r"^not an image$"):
        decode_grey(b"some text", LIMITS, "a.png")
