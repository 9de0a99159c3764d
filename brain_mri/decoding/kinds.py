"""Files that are images, or stand for one, of a kind that is not read: named, so that their owner can convert them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from brain_mri.images.badimage import BadImage, Reason

READ = "read are PNG, JPEG, TIFF, BMP, GIF, WebP, DICOM and NIfTI (.nii, .nii.gz)"
STARTS: dict[bytes, str] = {  # by the first bytes, as the formats' specifications give them
    rb"....ftyp(heic|heix|hevc|hevx|heim|heis|mif1|msf1)": "HEIC",
    rb"....ftyp(avif|avis)": "AVIF",
    rb"....ftyp": "a video",
    rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51": "JPEG 2000",
    rb"\0\0\0\x0cJXL |\xff\x0a": "JPEG XL",
    rb"II\xbc": "JPEG XR",
    rb"8BPS": "Photoshop",
    rb"\x76\x2f\x31\x01": "OpenEXR",
    rb"P[1-7]\s": "Netpbm",
    rb"%PDF": "PDF",
    rb"\s*<(\?xml|svg)": "SVG or another XML",
    rb"\s*<(!doctype html|html)": "a web page, as a failed download leaves one",
    rb"NRRD": "NRRD",
    rb"ObjectType|NDims": "MetaImage",
    rb"CDF[\x01\x02]": "MINC",
    rb"\x89HDF": "HDF5, as MINC 2 and MATLAB 7.3 are",
    rb"MATLAB": "MATLAB",
    rb"\x93NUMPY": "a NumPy array",
    rb"PK\x03\x04": "a zip, which is read where it is named itself, by a name that ends in .zip",
    rb"Rar!|7z\xbc\xaf|\x1f\x8b|BZh|\xfd7zXZ": "a packed file, to be unpacked first",
    rb"(\.\./|/)*(\.git/)?annex/objects/": "git-annex's note of a file that is not here: `git annex get` brings it",
    rb"version https://git-lfs": "Git LFS's note of a file that is not here: `git lfs pull` brings it",
    rb"outs:\s": "DVC's note of a file that is not here: `dvc pull` brings it",
}
ANALYZE = b"\x5c\x01\0\0", b"\0\0\x01\x5c"  # sizeof_hdr = 348, in either byte order


def other_kind(data: bytes, name: str = "") -> str:
    """Return the kind of a file that is not read, in words; "" where it is not known."""
    for start, kind in STARTS.items():
        if re.match(start, data[:64], re.DOTALL | re.IGNORECASE):
            return kind
    if data.startswith(ANALYZE) and len(data) >= 348:
        return "the header of a pair .hdr and .img (Analyze, NIfTI), to be joined into one .nii"
    if name.lower().endswith(".img"):
        return "the pixels of a pair .hdr and .img (Analyze, NIfTI), to be joined into one .nii"
    if name.lower().endswith((".mgz", ".mgh")):
        return "FreeSurfer's MGH"
    return ""


@contextmanager
def other_kinds_named(data: bytes, name: str) -> Iterator[None]:
    """Raise BadImage that names the kind where the body raises one that says no more than "not an image"."""
    try:
        yield
    except BadImage as error:
        if error.reason is Reason.NOT_AN_IMAGE and (kind := other_kind(data, name)):
            raise BadImage(Reason.UNSUPPORTED, f"{kind}; {READ}") from None
        raise
