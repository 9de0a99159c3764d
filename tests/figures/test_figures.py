"""Figures of the results: what is shown, how many, and nothing to show."""

import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from brain_mri.figures import drawing, evaluation
from brain_mri.results import OfClass

ROW = {
    "label": "glioma",
    "predicted": "notumor",
    "confidence": "0.91",
    "part": "leaked",
    "pipelines_agree": "False",
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def images_in(figure: "evaluation.Figure") -> int:
    return sum(len(axes.images) for axes in figure.axes)


def test_each_error_is_a_picture_with_what_is_known_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    monkeypatch.setattr(evaluation, "save", lambda figure, path, dpi: drawn.append(figure))
    picture = np.full((3, 20, 20), 90, np.uint8)
    evaluation.errors({"confident error": ([ROW] * 3, picture), "suspected label": ([], picture[:0])}, 2, 40)
    (figure,) = drawn
    assert images_in(figure) == 2
    first, second, nothing = (figure.axes[place] for place in (0, 1, 2))
    for words in ("confident error", "actual glioma", "predicted notumor 0.91", "leaked, pipelines differ"):
        assert words in first.get_title(loc="left")
    assert "confident error" not in second.get_title(loc="left")
    assert nothing.texts[0].get_text() == "suspected label: none"


def test_no_error_at_all_is_a_figure_too() -> None:
    evaluation.errors({"confident error": ([], np.empty((0, 20, 20), np.uint8))}, 2, 40)
    assert cv2.imread("plots/errors.png") is not None


def test_a_class_without_images_and_a_single_image_can_be_drawn() -> None:
    evaluation.confusion(np.diag([1, 0]), ["glioma", "notumor"], "one image", "plots/confusion.png", "Blues", 40)
    bins = [{"n": 0, "confidence": None, "accuracy": None}, {"n": 1, "confidence": 1.0, "accuracy": 1.0}]
    evaluation.calibration({"aug": [bins, bins]}, 40)
    evaluation.selective({"aug": (np.array([1.0]), np.array([0.0]))}, 40)
    for name in ("confusion", "calibration", "selective"):
        assert cv2.imread(f"plots/{name}.png") is not None


def test_the_papers_values_stand_beside_the_measured_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(evaluation, "save", lambda figure, path, dpi: drawn.append(figure))
    values = {"roc_auc": None, "average_precision": None}
    seen = OfClass(precision=0.5, recall=0.25, f1=0.3, **values)
    never = OfClass(precision=None, recall=0.0, f1=0.0, **values)
    measured = {name: {"glioma": seen, "notumor": never} for name in ("noaug", "aug")}
    theirs = {name: {"glioma": (0.9, 0.8, 0.85, 3), "notumor": (0.7, 0.6, 0.65, 4)} for name in measured}
    known = OfClass(precision=(0.4, 0.6), recall=(0.1, 0.4), f1=(0.2, 0.4), roc_auc=None, average_precision=None)
    none = OfClass(precision=None, recall=(0.0, 0.2), f1=(0.0, 0.2), roc_auc=None, average_precision=None)
    intervals = {name: {"glioma": known, "notumor": none} for name in measured}
    for published, lines in ((theirs, 7), ({}, 3)):
        evaluation.by_class(measured, intervals, published, 40)
        for axes in drawn.pop().axes:
            assert len(axes.lines) == lines
            first, second = axes.collections[0].get_segments()
            assert first[:, 1].tolist() == [0.4, 0.6] and not len(second)
            assert axes.lines[0].get_ydata()[0] == 0.5 and np.isnan(axes.lines[0].get_ydata()[1])
            if published:
                assert list(axes.lines[3].get_ydata()) == [0.8, 0.6]


NAMES = ["$5$", "a_{b}^$", "脑膜瘤", "опухоль", "naïve", "\U0001fae0", "100 %\\n"]


def draw_names(path: str) -> None:
    evaluation.confusion(np.eye(len(NAMES), dtype=int), NAMES, " ".join(NAMES), path, "Blues", 40)


def test_any_name_of_a_class_can_be_drawn(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The family: what Matplotlib takes for a formula, and scripts that its font lacks. Without a font that has them
    they are written as numbers; with one they are drawn. No warning either way."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw_names("plots/here.png")
        capsys.readouterr()
        monkeypatch.setattr(drawing.fontManager, "ttflist", [])
        draw_names("plots/numbers.png")
        assert "no font of this machine has" in capsys.readouterr().err
        shown: list[str] = []
        monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: shown.extend(texts_of(figure)))
        with pytest.raises(FileNotFoundError):
            draw_names("plots/none.png")
    assert {"$5$", "a_{b}^$", "опухоль", "naïve", "U+8111 U+819C U+7624 ", "U+1FAE0 "} <= set(shown)


def texts_of(figure: Figure) -> list[str]:
    """What stands in a figure as it is drawn: Matplotlib sets the labels of an axis anew."""
    for axes in figure.axes:
        axes.get_xticklabels(), axes.get_yticklabels()
    return [text.get_text() for text in figure.findobj(Text)]
