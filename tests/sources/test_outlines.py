import gzip
from pathlib import Path

import cv2
import numpy as np
import published
import pytest
from pictures import LIMITS, encoded, grey, write_folder, written

from brain_mri.decoding.decode import decode_grey
from brain_mri.errors import UserError
from brain_mri.images.dataset import ImageRecord
from brain_mri.sources import outlines
from brain_mri.sources.outlines import fit, rasterise, read_outlines, write_outline_masks

SHIPPED = Path(__file__).parents[2] / "data" / "outlines" / "brain-tumor-mri-v1.csv.gz"
SQUARE = np.array([[10, 5], [20, 5], [20, 12], [10, 12.0]])


def table(path: Path, text: str) -> Path:
    path.write_bytes(gzip.compress(text.encode()))
    return path


def test_outlines_are_read(tmp_path):
    read = read_outlines(table(tmp_path / "o.csv.gz", 'path,polygon\nTraining/glioma/a.png,"1,2 3.5,4 5,-6e0"\n'))
    assert list(read) == ["Training/glioma/a.png"]
    assert np.array_equal(read["Training/glioma/a.png"], [[1, 2], [3.5, 4], [5, -6]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('path,polygon\na.png,"1,2 3,4"\n', "line 2: polygon '1,2 3,4'"),
        ('path,polygon\na.png,"1,2 3,4 5"\n', "line 2: polygon"),
        ('path,polygon\na.png,"1,2 3,4 5,nan"\n', "line 2: polygon"),
        ('path,polygon\na.png,"1,2 3,4 5,x"\n', "line 2: polygon"),
        ('path,polygon\na.png,"0,0 1,1 2,0"\na.png,"0,0 1,1 2,0"\n', "line 3: 'a.png' is in an earlier line"),
        ("path,outline\na.png,1\n", r"no column 'polygon'"),
        ("", "no column 'path'"),
    ],
)
def test_a_damaged_table_is_refused_by_line(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        read_outlines(table(tmp_path / "o.csv.gz", text))


def test_a_missing_or_broken_file_is_refused(tmp_path):
    with pytest.raises(UserError, match="not there"):
        read_outlines(tmp_path / "none.csv.gz")
    for data in (gzip.compress(b"path,polygon\n" * 99)[:-9], b"path,polygon\n", gzip.compress(b"\xff\xfe\x00")):
        (tmp_path / "o.csv.gz").write_bytes(data)
        with pytest.raises(UserError, match=r"o\.csv\.gz"):
            read_outlines(tmp_path / "o.csv.gz")


def test_a_table_above_the_limit_is_refused_and_not_cut_short(tmp_path, monkeypatch):
    """Where the cut falls between two lines, nothing else would tell."""
    header, line = "path,polygon\n", '{}.png,"0,0 1,1 2,0"\n'
    path = table(tmp_path / "o.csv.gz", header + "".join(line.format(number) for number in range(9)))
    for limit, whole in ((len(header) + 9 * len(line.format(0)), True), (len(header) + 8 * len(line.format(0)), False)):
        monkeypatch.setattr("brain_mri.sources.table.MAX_BYTES", limit)
        if whole:
            assert len(read_outlines(path)) == 9
        else:
            with pytest.raises(UserError, match=f"more than {limit} bytes"):
                read_outlines(path)


def test_a_pixel_is_inside_if_its_centre_is():
    mask = rasterise(np.array([[1.5, 0.5], [4.5, 0.5], [4.5, 2.5], [1.5, 2.5]]), (5, 8))
    wanted = np.zeros((5, 8), np.uint8)
    wanted[1:3, 2:5] = 255
    assert np.array_equal(mask, wanted)
    assert rasterise(np.array([[-0.5, -0.5], [7.5, -0.5], [7.5, 4.5], [-0.5, 4.5]]), (5, 8)).all()


def test_a_disc_and_a_concave_polygon_against_distances():
    rows, columns = np.mgrid[:80, :90]
    angle = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    disc = np.stack([44.3 + 20.2 * np.cos(angle), 39.7 + 20.2 * np.sin(angle)], axis=1)
    distance = np.hypot(columns - 44.3, rows - 39.7)
    clear = np.abs(distance - 20.2) > 0.01
    assert np.array_equal((rasterise(disc, (80, 90)) > 0)[clear], (distance < 20.2)[clear])
    star = np.stack(
        [44.3 + (12 + 9 * np.cos(5 * angle)) * np.cos(angle), 39.7 + (12 + 9 * np.cos(5 * angle)) * np.sin(angle)],
        axis=1,
    )
    inside = [
        cv2.pointPolygonTest(star.astype(np.float32), (float(x), float(y)), False) >= 0
        for y, x in zip(rows.ravel(), columns.ravel(), strict=True)
    ]
    # float32 against float64 on the edge itself
    assert np.count_nonzero((rasterise(star, (80, 90)) > 0).ravel() != inside) <= 2


def study(folder: Path, count: int, lesions: bool) -> tuple[dict[str, np.ndarray], list[ImageRecord]]:
    """Images of noise with a bright ellipse each, the outlines of the ellipses, and the records."""
    rng = np.random.default_rng(5)
    polygons, records = {}, []
    for number in range(count):
        path = f"Training/glioma/{number}.png"
        centre, radii = rng.uniform(15, 30, 2), rng.uniform(3, 8, 2)
        angle = np.linspace(0, 2 * np.pi, 20, endpoint=False)
        polygons[path] = centre + radii * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        image = grey(number, 60, 80) // 2
        if lesions:
            image[rasterise(polygons[path], image.shape) > 0] += 90
        write_folder(folder, {path: encoded(image)})
        records.append(ImageRecord(path, "glioma", "Training"))
    return polygons, records


def test_masks_are_written_and_named(tmp_path):
    polygons, records = study(tmp_path / "raw", 30, lesions=True)
    del polygons["Training/glioma/3.png"]
    filled = write_outline_masks(polygons, records, tmp_path, LIMITS)
    assert [record.path for record in filled] == [record.path for record in records]
    assert {record.path for record in filled if not record.mask} == {"Training/glioma/3.png"}
    for record in filled:
        if record.mask:
            mask = cv2.imread(str(tmp_path / "masks" / record.mask), cv2.IMREAD_UNCHANGED)
            assert np.array_equal(mask, rasterise(polygons[record.path], (60, 80)))
    before = written(tmp_path / "masks")
    write_outline_masks(polygons, records, tmp_path, LIMITS)
    assert written(tmp_path / "masks") == before


def test_outlines_that_do_not_belong_are_refused_and_nothing_is_written(tmp_path):
    polygons, records = study(tmp_path / "raw", 30, lesions=True)
    spoilt = {
        r"first Training/glioma/other\.png": {**polygons, "Training/glioma/other.png": SQUARE},
        r"spans x 45 to 90.*image of 80x60 px": {**polygons, "Training/glioma/3.png": SQUARE * (4.5, 1)},
        "they are mirrored": {path: (79, 0) + polygon * (-1, 1) for path, polygon in polygons.items()},
        "they are mirrored, scaled": {path: polygon * 1.6 for path, polygon in polygons.items()},
        "made for other images": dict(zip(polygons, reversed(polygons.values()), strict=True)),
    }
    for message, wrong in spoilt.items():
        with pytest.raises(UserError, match=message):
            write_outline_masks(wrong, records, tmp_path, LIMITS)
    assert not (tmp_path / "masks").exists()


def test_an_image_that_cannot_be_read_gets_no_mask(tmp_path):
    polygons, records = study(tmp_path / "raw", 3, lesions=False)
    (tmp_path / "raw" / records[1].path).write_bytes(b"")
    filled = write_outline_masks(polygons, records, tmp_path, LIMITS)
    assert [bool(record.mask) for record in filled] == [True, False, True]


def test_the_shipped_outlines_are_whole():
    shipped = read_outlines(SHIPPED)
    assert len(shipped) == 4750
    assert all(path.split("/")[1] in ("glioma", "meningioma", "pituitary") for path in shipped)


def test_the_shipped_outlines_lie_on_the_lesions():
    """Mirrored, turned, moved and re-scaled outlines part bright from dark far less well, so they would be seen."""
    shipped = read_outlines(SHIPPED)
    images = {path: decode_grey(data, LIMITS) for path, data in published.images(20).items() if path in shipped}
    last = {path: np.array(image.shape[::-1]) - 1 for path, image in images.items()}

    def contrast(change) -> float:
        return float(
            np.mean([outlines.contrast(image, change(shipped[path], last[path])) for path, image in images.items()])
        )

    right = contrast(lambda polygon, last: polygon)
    wrong = {
        "mirrored": contrast(lambda polygon, last: (last[0], 0) + polygon * (-1, 1)),
        "upside down": contrast(lambda polygon, last: (0, last[1]) + polygon * (1, -1)),
        "5 % larger": contrast(lambda polygon, last: polygon * 1.05),
        "5 % smaller": contrast(lambda polygon, last: polygon * 0.95),
        "2 % to the right": contrast(lambda polygon, last: polygon + last * (0.02, 0)),
        "half again as large": contrast(lambda polygon, last: 1.5 * polygon - 0.5 * polygon.mean(axis=0)),
        "two thirds as large": contrast(lambda polygon, last: 0.67 * polygon + 0.33 * polygon.mean(axis=0)),
    }
    assert right > 1
    assert all(value < 0.75 * right for value in wrong.values()), (right, wrong)
    fits = np.mean([fit(image, shipped[path]) for path, image in images.items()], axis=0)
    assert fits.min() > 0.85
    heads = [np.mean(image[rasterise(shipped[path], image.shape) > 0] > 20) for path, image in images.items()]
    assert np.mean(heads) > 0.98  # lesions lie in the head, not in the black around it
