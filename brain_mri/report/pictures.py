"""Pictures of a report, inside the page. Of real images, which show people, a page holds at most REAL."""

import cv2

from brain_mri.errors import UserError
from brain_mri.pages import data_uri
from brain_mri.report.blocks import Picture
from brain_mri.report.study import Study

PHANTOMS, REAL = 24, 8  # pictures in a page; phantoms show nobody
DETAIL = 2  # a detail picture shows its image twice: outlined, and under the map
QUALITY = 90  # of WebP, 1 to 100


def embed(study: Study, path: str, alt: str, caption: str, wide: bool = True) -> list[Picture]:
    """Return a picture as a part of the page, coded anew so that a page stays small; none where it is not there."""
    file = study.folder / path
    if not file.is_file():
        return []
    image = cv2.imread(str(file), cv2.IMREAD_COLOR)
    if image is None:
        raise UserError(f"{file}: damaged; remove it and run `dvc repro`")
    coded = cv2.imencode(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])[1].tobytes()
    return [Picture(data_uri(coded, "image/webp"), alt, caption, wide)]
