"""Pictures that are no brain MRI, to measure the warning of such: photographs, noise, text, other organs, charts.

They come from packages in requirements.txt or are drawn here, the same ones each time. Two halves: `CHOOSING`, by which
the detector was chosen, and `MEASURING`, which share no picture and no way of drawing with the first. The second half
is not wholly fresh: an early comparison of methods was printed on it too, but for the sea, the bone scan and the joint.
From one stored picture come many: a random part of it, mirrored or not, brighter or darker.

Every picture is uint8 (height, width), 0 to 255, at least 96 pixels a side, and not yet cropped.
"""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pydicom
import sklearn.datasets
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from brain_mri.decoding.decode import read_grey
from brain_mri.images.badimage import Limits
from brain_mri.images.levels import stretch

Rng = np.random.Generator
Drawing = Callable[[Rng], np.ndarray]
LEAST_PART = 0.4  # share of a stored picture's sides that a random part keeps at least
WORDS = ("the", "patient", "was", "seen", "on", "Monday", "and", "reports", "no", "pain", "since", "last", "visit")


def draw(kinds: Mapping[str, Drawing], each: int, seed: int) -> tuple[list[np.ndarray], list[str]]:
    """Draw `each` pictures of every kind; return them and their kinds."""
    names = [name for name in kinds for _ in range(each)]
    pictures = [kinds[name](np.random.default_rng((seed, *name.encode(), i % each))) for i, name in enumerate(names)]
    return pictures, names


@cache
def _photograph(name: str) -> np.ndarray:
    return cv2.cvtColor(sklearn.datasets.load_sample_image(name), cv2.COLOR_RGB2GRAY)


@cache
def _of_matplotlib(name: str) -> np.ndarray:
    return read_grey(Path(matplotlib.get_data_path(), "sample_data", name), Limits())


@cache
def _elevations(name: str, key: str) -> np.ndarray:
    with np.load(Path(matplotlib.get_data_path(), "sample_data", name)) as table:
        return stretch(table[key])


@cache
def _dicom(name: str) -> np.ndarray:
    return read_grey(Path(pydicom.__file__).parent / "data" / "test_files" / name, Limits())


def _part(picture: np.ndarray, rng: Rng, least: float = LEAST_PART) -> np.ndarray:
    height, width = (int(side * rng.uniform(least, 1)) for side in picture.shape)
    top, left = (
        int(rng.integers(0, side - kept + 1)) for side, kept in zip(picture.shape, (height, width), strict=True)
    )
    part = picture[top : top + height, left : left + width]
    part = part[:, ::-1] if rng.random() < 0.5 else part
    scale = max(1.0, 128 / min(part.shape))
    part = cv2.resize(np.ascontiguousarray(part), None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    return np.clip(part * rng.uniform(0.8, 1.2) + rng.uniform(-20, 20), 0, 255).astype(np.uint8)


def _grid(size: int = 200) -> np.ndarray:
    """Coordinates across and down, float (2, size, size), -1 to 1."""
    return np.stack(np.meshgrid(np.linspace(-1, 1, size), np.linspace(-1, 1, size)))


def _white_noise(rng: Rng) -> np.ndarray:
    coarse = int(rng.choice([1, 2, 4, 8]))
    side = 200 // coarse
    noise = rng.normal(rng.uniform(60, 180), rng.uniform(20, 70), (side, side))
    grey = np.clip(noise if rng.random() < 0.5 else rng.uniform(0, 255, (side, side)), 0, 255).astype(np.uint8)
    return grey.repeat(coarse, 0).repeat(coarse, 1)


def _linear_gradient(rng: Rng) -> np.ndarray:
    across, down = _grid()
    angle = rng.uniform(0, 2 * np.pi)
    return stretch(np.cos(angle) * across + np.sin(angle) * down + rng.uniform(0, 0.05) * rng.normal(size=across.shape))


def _page_of_strokes(rng: Rng) -> np.ndarray:
    page = np.full((300, 240), 255, np.uint8)
    size = rng.uniform(0.3, 0.7)
    for y in range(20, 290, int(10 + 22 * size)):
        line = " ".join(rng.choice(WORDS, 7))
        cv2.putText(page, line, (8, y), int(rng.integers(0, 5)), size, int(rng.integers(0, 90)), 1, cv2.LINE_AA)
    return page if rng.random() < 0.5 else 255 - page


def _shapes(rng: Rng) -> np.ndarray:
    image = np.full((200, 200), int(rng.integers(0, 256)), np.uint8)
    for _ in range(int(rng.integers(3, 15))):
        x, y, w, h = (int(value) for value in rng.integers(5, 195, 4))
        grey = int(rng.integers(0, 256))
        if rng.random() < 0.5:
            cv2.rectangle(image, (x, y), (w, h), grey, -1)
        else:
            cv2.circle(image, (x, y), w // 4 + 2, grey, -1)
    return image


def _chest(rng: Rng) -> np.ndarray:
    """A radiograph of a chest, drawn: bright body, two dark lungs, ribs across, spine and heart."""
    across, down = _grid(256)
    body = 110 + 60 * (np.abs(across) < 0.95) * (1 - down**2 / 3)
    for side in (-1, 1):
        lung = ((across - 0.42 * side) / rng.uniform(0.28, 0.34)) ** 2 + ((down + 0.05) / rng.uniform(0.6, 0.75)) ** 2
        body -= 95 * np.clip((1.1 - lung) * 4, 0, 1)
    ribs = np.sin((down + 0.25 * np.abs(across)) * rng.uniform(22, 30))
    body += 22 * np.clip(ribs - 0.3, 0, 1) * (np.abs(across) > 0.1)
    body += 55 * np.exp(-((across / 0.09) ** 2)) + 60 * np.exp(
        -(((across - 0.16) / 0.2) ** 2) - ((down - 0.3) / 0.28) ** 2
    )
    return np.clip(body + rng.normal(0, rng.uniform(2, 8), body.shape), 0, 255).astype(np.uint8)


def _pink_noise(rng: Rng) -> np.ndarray:
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(200), np.fft.fftfreq(200)))
    frequency[0, 0] = 1
    spectrum = np.fft.fft2(rng.normal(size=(200, 200))) / frequency ** rng.uniform(0.5, 2)
    return stretch(np.fft.ifft2(spectrum).real)


def _salt_and_pepper(rng: Rng) -> np.ndarray:
    grey = np.full((200, 200), int(rng.integers(60, 200)), np.uint8)
    chance = rng.random(grey.shape)
    share = rng.uniform(0.05, 0.4)
    grey[chance < share] = 0
    grey[chance > 1 - share] = 255
    return grey


def _stripes(rng: Rng) -> np.ndarray:
    across, down = _grid()
    angle, waves = rng.uniform(0, np.pi), rng.uniform(3, 40)
    wave = np.sin(waves * (np.cos(angle) * across + np.sin(angle) * down))
    return stretch(np.sign(wave) if rng.random() < 0.5 else wave)


def _radial_gradient(rng: Rng) -> np.ndarray:
    across, down = _grid()
    distance = np.hypot(across - rng.uniform(-0.5, 0.5), down - rng.uniform(-0.5, 0.5))
    return stretch(distance if rng.random() < 0.5 else -distance)


def _printed_page(rng: Rng) -> np.ndarray:
    fonts = Path(matplotlib.get_data_path(), "fonts", "ttf")
    name = str(rng.choice(["DejaVuSans.ttf", "DejaVuSerif.ttf", "DejaVuSansMono-Bold.ttf"]))
    size = int(rng.integers(9, 22))
    page = Image.new("L", (280, 360), int(rng.integers(225, 256)))
    text = "\n".join(" ".join(rng.choice(WORDS, 9)) for _ in range(360 // size))
    ImageDraw.Draw(page).multiline_text(
        (14, 14), text, int(rng.integers(0, 80)), ImageFont.truetype(fonts / name, size)
    )
    return np.asarray(page)


def _chart(rng: Rng) -> np.ndarray:
    """Bars or a curve over axes, dark on white."""
    image = np.full((220, 300), 255, np.uint8)
    cv2.line(image, (30, 195), (285, 195), 0, 1)
    cv2.line(image, (30, 195), (30, 12), 0, 1)
    heights = np.cumsum(rng.normal(0, 25, 12)) + 100
    places = np.stack([40 + 20 * np.arange(12), 195 - np.clip(heights, 8, 175)], 1).astype(np.int32)
    if rng.random() < 0.5:
        cv2.polylines(image, [places], False, int(rng.integers(0, 120)), 2)
    else:
        for x, y in places.tolist():
            cv2.rectangle(image, (x, y), (x + 13, 195), int(rng.integers(40, 160)), -1)
    return image


def _digit(rng: Rng) -> np.ndarray:
    digits = _digits()
    return cv2.resize(stretch(digits[rng.integers(len(digits))]), (160, 160), interpolation=cv2.INTER_CUBIC)


@cache
def _digits() -> np.ndarray:
    return sklearn.datasets.load_digits().images


def _abdomen(rng: Rng) -> np.ndarray:
    """An axial slice of an abdomen, drawn: fat, muscle, liver, two kidneys, spine, bowel loops."""
    across, down = _grid(256)
    width, height = rng.uniform(0.88, 0.96), rng.uniform(0.62, 0.75)

    def ellipse(x: float, y: float, a: float, b: float) -> np.ndarray:
        return np.clip((1 - np.hypot((across - x) / a, (down - y) / b)) * 12, 0, 1)

    image = 190 * ellipse(0, 0, width, height)
    for x, y, a, b, grey in [
        (0, 0, width - 0.1, height - 0.1, 90),
        (-0.42, -0.08, 0.36, 0.34, 130),
        (0.5, -0.1, 0.2, 0.22, 105),
        (-0.4, 0.3, 0.13, 0.16, 165),
        (0.4, 0.3, 0.13, 0.16, 165),
        (0, 0.33, 0.15, 0.14, 60),
        (0, 0.33, 0.06, 0.05, 220),
        *((*rng.uniform((-0.2, -0.4), (0.45, 0.1)), 0.09, 0.07, rng.uniform(40, 200)) for _ in range(6)),
    ]:
        inside = ellipse(x + rng.normal(0, 0.02), y + rng.normal(0, 0.02), a, b)
        image = image * (1 - inside) + grey * inside
    return _noisy(image, rng)


def _leg(rng: Rng) -> np.ndarray:
    """A knee from the side, drawn: two bones with a joint between, muscle around, all in a dark field."""
    across, down = _grid(256)
    bend = rng.uniform(-0.25, 0.25)
    axis = across - bend * down**2
    muscle = np.clip((rng.uniform(0.5, 0.65) - np.abs(axis)) * 14, 0, 1)
    bone = np.clip((0.2 + 0.13 * np.exp(-(((np.abs(down) - 0.12) / 0.14) ** 2)) - np.abs(axis)) * 18, 0, 1)
    gap = np.clip((np.abs(down) - 0.05) * 30, 0, 1)
    image = 85 * muscle + (rng.uniform(110, 160) * gap - 60) * bone
    return _noisy(image, rng)


def _noisy(image: np.ndarray, rng: Rng) -> np.ndarray:
    texture = ndimage.gaussian_filter(rng.normal(0, 1, image.shape), 2) * 30 * (image > 5)
    return np.clip(image + texture + rng.normal(0, rng.uniform(2, 6), image.shape), 0, 255).astype(np.uint8)


CHOOSING: dict[str, Drawing] = {
    "photograph of a flower": lambda rng: _part(_photograph("flower.jpg"), rng),
    "portrait": lambda rng: _part(_of_matplotlib("grace_hopper.jpg"), rng),
    "white noise": _white_noise,
    "linear gradient": _linear_gradient,
    "page of strokes": _page_of_strokes,
    "shapes": _shapes,
    "abdomen, drawn": _abdomen,
    "CT of a spine": lambda rng: _part(_dicom("CT_small.dcm"), rng, 0.7),
    "MRI of an abdomen": lambda rng: _part(_dicom("examples_overlay.dcm"), rng, 0.8),
}
MEASURING: dict[str, Drawing] = {
    "photograph of a temple": lambda rng: _part(_photograph("china.jpg"), rng),
    "clip art": lambda rng: _part(_of_matplotlib("Minduka_Present_Blue_Pack.png"), rng, 0.7),
    "map of heights": lambda rng: _part(_elevations("jacksboro_fault_dem.npz", "elevation"), rng),
    "map of the sea": lambda rng: _part(_elevations("topobathy.npz", "topo"), rng),
    "pink noise": _pink_noise,
    "salt and pepper": _salt_and_pepper,
    "stripes": _stripes,
    "radial gradient": _radial_gradient,
    "printed page": _printed_page,
    "chart": _chart,
    "handwritten digit": _digit,
    "chest, drawn": _chest,
    "knee, drawn": _leg,
    "bone scan": lambda rng: _part(_dicom("JPEG2000.dcm"), rng, 0.6),
    "MRI of a joint": lambda rng: _part(_dicom("MR_small.dcm"), rng, 0.7),
}
