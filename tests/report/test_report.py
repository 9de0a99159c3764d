"""The report: one file that loads nothing from elsewhere, and tells what the study's files hold, no more."""

import base64
import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from scipy.special import softmax

from brain_mri.cli.report import make
from brain_mri.errors import UserError
from brain_mri.evaluation import errors, published
from brain_mri.files import write_csv, write_json
from brain_mri.report import study as reading
from brain_mri.report.making import read_versions
from brain_mri.report.page import LIMIT, render
from brain_mri.report.pictures import DETAIL, PHANTOMS, REAL
from brain_mri.report.study import load, read_parameters
from brain_mri.report.words import Glossary
from brain_mri.studies.provenance import Change

ROOT = Path(__file__).parents[2]
HOSTILE = "<script>alert(1)</script>"
CLASSES = ["glioma", HOSTILE, "notumor", "pituitary"]
N, LEAKED = 80, 20  # test images of the tables of predictions
PIPELINES = ("noaug", "aug")
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """The elements of a page with their attributes, and its text without scripts, styles and explanations of terms."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.styles: list[str] = []
        self.words = ""
        self.open: list[tuple[str, str | None]] = []
        self.feed(text)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append((tag, dict(attrs).get("class")))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop()[0] == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data: str) -> None:
        inside = self.open[-1][0] if self.open else ""
        if inside == "script":
            self.scripts.append(data)
        elif inside == "style":
            self.styles.append(data)
        elif "tip" not in (name for _, name in self.open):
            self.words += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return " ".join(self.words.split())

    @property
    def figures(self) -> list[dict[str, Any]]:
        return [json.loads(script) for script in self.scripts if script.startswith('{"data"')]


def write_image(path: Path, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.random.default_rng(seed).integers(0, 255, (24, 24), np.uint8))


def predicted() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Labels of N images, and what two pipelines answer."""
    rng, labels = np.random.default_rng(0), np.arange(N) % 4
    return labels, {p: softmax(rng.normal(size=(N, 4)) + 2 * np.eye(4)[labels], axis=1) for p in PIPELINES}


def write_study(folder: Path, source: str = "phantom") -> Path:
    """Write a finished study made of files alone: the metrics of studies/compact, with a hostile name for a class."""
    base = ROOT if source == "phantom" else ROOT / "studies/compact"
    text = re.sub(r"^code: \S+", f"code: {ROOT}", (base / "params.yaml").read_text(), flags=re.M)
    folder.mkdir(parents=True)
    (folder / "params.yaml").write_text(text.replace("meningioma", f'"{HOSTILE}"'))
    (folder / "metrics").mkdir()
    for file in (ROOT / "studies/compact/metrics").glob("*.json"):
        (folder / "metrics" / file.name).write_text(file.read_text().replace("meningioma", HOSTILE))
    names = [f"Testing/x/{place:02d}.png" for place in range(N)]
    labels, probabilities = predicted()
    for pipeline, table in probabilities.items():
        rows = [
            {"path": name, "label": CLASSES[label], "group": 0, "part": "leaked" if at < LEAKED else "clean"}
            | {"predicted": CLASSES[int(row.argmax())]}
            | {f"p_{c}": value for c, value in zip(CLASSES, row, strict=True)}
            for at, (name, label, row) in enumerate(zip(names, labels, table, strict=True))
        ]
        write_csv(folder / f"data/predictions/{pipeline}_test.csv", rows, list(rows[0]))
        history = [{"epoch": at, "accuracy": 0.5, "loss": 1, "val_accuracy": 0.4, "val_loss": 2} for at in (1, 2)]
        write_csv(folder / f"plots/history/{pipeline}.csv", history, list(history[0]))
        for name in ("detail", "grid", "methods", "cascade_maps", "faithfulness"):
            write_image(folder / f"plots/gradcam/{pipeline}/{name}.png")
    found = errors.error_rows(names, labels, probabilities, CLASSES, ["clean"] * N)
    write_csv(folder / "data/errors/errors.csv", found, errors.COLUMNS)
    for seed, name in enumerate(names):
        write_image(folder / "data/cropped/images" / name, seed)
    for name in ("crop_steps", "probe_examples", "resolutions"):
        write_image(folder / f"plots/{name}.png")
    (folder / "dvc.lock").write_text("stages: {fetch: {cmd: x}}")
    return folder


def change_json(path: Path, change: Callable[[Any], object]) -> None:
    values = json.loads(path.read_text())
    change(values)
    write_json(path, values)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return write_study(tmp_path / "study")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Page:
    """The page of a study that has everything."""
    return page_of(write_study(tmp_path_factory.mktemp("whole") / "study"))


def page_of(folder: Path) -> Page:
    return Page(render(load(folder)))


def metrics_of_compact(name: str) -> Any:
    return json.loads((ROOT / f"studies/compact/metrics/{name}.json").read_text())


def test_a_complete_study_leaves_nothing_out(whole: Page) -> None:
    assert "Left out:" not in whole.text
    split, audit = metrics_of_compact("split"), metrics_of_compact("split")["audit"]
    copies = audit["test_images_with_a_copy_in_training"]["all"]
    failing = next(
        row for row in metrics_of_compact("gradcam")["aug"]["sanity"]["verdicts"].values() if not row["passes"]
    )
    for words in (
        f"Bad news {metrics_of_compact('probe')['aug']['verdict']}",
        f"{metrics_of_compact('crop')['found']:,} images found",
        f"{copies['with_copy']:,} of {copies['of']:,} images of the data set's own test set",
        f"{split['train']['images']:,}",
        f"{audit['external_left_out']['images']} external images are left out",
        failing["sentence"],
    ):
        assert words.replace("meningioma", HOSTILE) in whole.text, words


def test_the_page_loads_nothing_from_elsewhere(whole: Page) -> None:
    for tag, attributes in whole.elements:
        for name in ("src", "srcset", "poster", "data", "action", "background"):
            assert not re.match(r"\s*(https?:)?//", attributes.get(name) or ""), (tag, attributes)
        if tag != "a":
            assert not (attributes.get("href") or "").strip().startswith(("http", "//")), (tag, attributes)
    assert not whole.all("link") and not whole.all("iframe") and not whole.all("object")
    assert all("src" not in attributes for attributes in whole.all("script"))
    for style in whole.styles + [attributes.get("style") or "" for _, attributes in whole.elements]:
        assert not re.search(r"@import|url\(", style)
    # The browser itself refuses what a page of data might smuggle in.
    policy = next(a["content"] for a in whole.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy and "default-src 'none'" in policy and "http" not in policy


def test_every_picture_and_chart_has_words(whole: Page) -> None:
    assert whole.all("img")
    assert all(len(attributes.get("alt") or "") > 20 for attributes in whole.all("img"))
    charts = [attributes for attributes in whole.all("div") if attributes.get("class") == "plot"]
    assert len(charts) >= 14
    assert all(len(attributes.get("aria-label") or "") > 40 for attributes in charts)
    assert len({attributes["id"] for attributes in charts}) == len(charts)


def test_a_hostile_class_name_stays_text(whole: Page) -> None:
    assert HOSTILE in whole.text
    assert not any(script.strip().startswith("alert") for script in whole.scripts)
    assert whole.figures and HOSTILE not in json.dumps(whole.figures), "Plotly reads HTML in its text"


def test_an_address_that_is_no_web_address_is_no_link(study: Path) -> None:
    origin = {"url": "javascript:alert(1) | https://x.org"}
    change_json(study / "metrics/dataset.json", lambda table: table["dataset"].update(origin))
    links = {link["href"] for link in page_of(study).all("a")}
    assert "https://x.org" in links and not any("alert" in (link or "") for link in links)


def test_the_numbers_are_those_of_the_metrics(whole: Page) -> None:
    metrics, bounds = metrics_of_compact("aug"), metrics_of_compact("intervals")["aug"]
    for part in ("clean", "all"):
        value, (low, high) = metrics["test"][part]["accuracy"], bounds[part]["accuracy"]
        assert (
            f"aug is right on {100 * value:.1f} % (95 % interval {100 * low:.1f} to {100 * high:.1f} %)" in whole.text
        )
        assert f"{value:.3f}{low:.3f}\u2013{high:.3f}" in whole.text
    assert metrics_of_compact("comparison")["clean"]["verdict"] in whole.text
    assert f"{metrics['calibration']['all']['after']['ece_equal_width']:.3f}" in whole.text


def test_the_confusion_counts_every_image(whole: Page) -> None:
    matrices = [t["customdata"] for figure in whole.figures for t in figure["data"] if t["type"] == "heatmap"]
    assert sorted(int(np.sum(matrix)) for matrix in matrices) == [N - LEAKED, N - LEAKED, N, N]
    labels, probabilities = predicted()
    assert int((probabilities["aug"].argmax(1) == labels).sum()) in [int(np.trace(matrix)) for matrix in matrices]


@pytest.mark.parametrize("part", ["dataset", "split", "crop", "probe", "gradcam"])
def test_metrics_that_are_missing_are_named_with_their_command(study: Path, part: str) -> None:
    (study / f"metrics/{part}.json").unlink()
    text = page_of(study).text
    assert f"metrics/{part}.json is not there" in text and "Made by dvc repro" in text


@pytest.mark.parametrize(
    "folder", ["data/predictions", "data/errors", "plots/history", "data/cropped", "plots/gradcam"]
)
def test_the_page_stands_without_any_folder(study: Path, folder: str) -> None:
    shutil.rmtree(study / folder)
    text = page_of(study).text
    assert f"Left out: {folder} " in text or (folder == "data/predictions" and f"neither {folder}" in text)


def test_real_images_are_limited(tmp_path: Path, whole: Page) -> None:
    pictures = page_of(write_study(tmp_path / "real", source="archive")).all("img")
    maps = [picture for picture in pictures if "Grad-CAM" in (picture["alt"] or "")]
    slices = [picture for picture in pictures if "MRI slice of class" in (picture["alt"] or "")]
    assert len(maps) == 1, "of real images only the detail"
    assert 0 < len(slices) <= REAL - DETAIL
    phantoms = [picture for picture in whole.all("img") if "phantom of class" in (picture["alt"] or "")]
    assert len(slices) < len(phantoms) <= PHANTOMS


def test_pictures_are_inside_the_page_and_whole(whole: Page) -> None:
    for picture in whole.all("img"):
        kind, _, data = (picture["src"] or "").partition(";base64,")
        assert kind == "data:image/webp"
        assert cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR) is not None


def test_external_tumours_that_are_missed_are_bad_news_and_stand_first(study: Path) -> None:
    for pipeline in PIPELINES:
        change_json(
            study / f"metrics/{pipeline}.json", lambda table: table["external"]["gbm_btp"].update(called_tumour=0.2)
        )
    change_json(
        study / "metrics/intervals.json",
        lambda table: [table[p]["external"]["gbm_btp"].update(called_tumour=[0.1, 0.3]) for p in PIPELINES],
    )
    verdict = re.split("Caution|Result", page_of(study).text)[0]
    assert "from gbm_btp, aug calls 20.0 % (95 % interval 10.0 to 30.0 %) any tumour" in verdict


def test_no_clean_image_is_bad_news(study: Path) -> None:
    for pipeline in PIPELINES:
        change_json(study / f"metrics/{pipeline}.json", lambda table: table["test"].update(clean={"n": 0}))
    change_json(study / "metrics/intervals.json", lambda table: [table[p].pop("clean") for p in PIPELINES])
    change_json(study / "metrics/comparison.json", lambda table: table.pop("clean"))
    assert "Bad news No test image is" in page_of(study).text


@pytest.mark.parametrize(("seen", "tone"), [(9, "Bad news"), (0, "Result")])
def test_known_patients_in_training_are_bad_news(study: Path, seen: int, tone: str) -> None:
    row = {"of": 20, "patient_known": 9, "patient_in_training": seen}
    patients = dict.fromkeys(("val", "test", "published_test"), row)
    change_json(study / "metrics/split.json", lambda table: table["audit"].update(patients=patients))
    assert f"{tone} Of 9 test images whose patient is known {seen} show" in page_of(study).text


def test_it_names_the_commit_and_what_has_changed_since(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "since" not in page_of(study).text.split("Bad news")[0]
    found = [
        Change("train_aug", "parameter", "train.epochs", "3", "14"),
        Change("crop", "code", "brain_mri/images", "1", "2"),
        Change("crop", "code", "stages/crop.py", "1", "2"),
    ]
    monkeypatch.setattr(reading.provenance, "changes", lambda folder: found)
    monkeypatch.setattr(reading.provenance, "commit_of", lambda folder: ("abc1234", "2026-01-31"))
    text = page_of(study).text
    assert "results of commit abc1234 (2026-01-31)" in text and "git checkout abc1234" in text
    assert "code has changed since: crop; parameters" in text and "train.epochs 3." in text
    assert "(the run had 3)" in text
    (study / "metrics/probe.json").write_text('{"noaug": 7}')
    with pytest.raises(
        UserError, match=r"probe\.json: noaug = 7.*made by commit abc1234; `git checkout abc1234` or run"
    ):
        load(study)


def test_patients_and_folds_stand_where_they_were_measured(study: Path) -> None:
    assert "Patients called right" not in page_of(study).text
    for pipeline in PIPELINES:
        part = metrics_of_compact(pipeline)["test"]["clean"]
        bounds = metrics_of_compact("intervals")[pipeline]["clean"]
        change_json(study / f"metrics/{pipeline}.json", lambda table, part=part: table.update(patients=part))
        change_json(
            study / "metrics/intervals.json",
            lambda table, of=pipeline, bounds=bounds: table[of].update(patients=bounds),
        )
    lower = part | {"accuracy": part["accuracy"] - 0.02}
    view = {"metrics": part, "intervals": bounds, "folds": [part, lower]}
    write_json(study / "metrics/folds.json", {pipeline: {"slices": view} for pipeline in PIPELINES})
    text = page_of(study).text
    assert f"patients called right{part['n']}" in text
    assert f"slices: accuracy{part['n']}" in text
    assert f"{part['accuracy'] - 0.01:.3f} \u00b1 {np.std([0, 0.02], ddof=1):.3f} over folds" in text


def test_the_published_tables_stand_beside_the_study(study: Path) -> None:
    # The paper's own classes, wherever the study names them.
    for file in (path for path in study.rglob("*.*") if path.suffix in (".yaml", ".json", ".csv")):
        text = file.read_text().replace(HOSTILE, "meningioma")
        file.write_text(text.replace("published: false", "published: true"))
    assert "has no rows" in page_of(study).text
    rows = [{"pipeline": "aug", "metric": "glioma.recall", "published": 0.98, "measured": 0.95}]
    write_csv(study / "plots/comparison/published.csv", rows, published.COLUMNS)
    assert "aug: glioma, recall0.98000.9500\u22120.030" in page_of(study).text


def test_parameters_stand_with_their_comments(whole: Page) -> None:
    assert "train.epochs141 and up" in whole.text
    text = "# head\na:\n  b: 1  # one\n         # two\n  c:  # inner\n    d: 1e-05\ne: {f: 2}\n"
    rows = {row.key: (row.value, row.comment) for row in read_parameters(text)}
    assert rows == {"a.b": ("1", "one two"), "a.c": ("", "inner"), "a.c.d": ("1e-05", ""), "e": ("{f: 2}", "")}


def test_versions_are_those_of_the_requirements(tmp_path: Path) -> None:
    path = tmp_path / "requirements.txt"
    assert read_versions(path) == {}
    path.write_text(
        "# made\nkeras==3.15.0 \\\n    --hash=sha256:00\nnumpy==2.4.1 ; python_version > '3'\n    # via keras\n"
    )
    assert read_versions(path) == {"keras": "3.15.0", "numpy": "2.4.1"}


def test_a_term_is_explained_once() -> None:
    glossary = Glossary()
    first = glossary.pieces("The clean images; clean again. `dvc repro`")
    assert [piece.kind for piece in first if piece.kind != "words"] == ["term", "code"]
    assert all(piece.kind == "words" for piece in glossary.pieces("clean, unclean"))
    assert "".join(piece.text for piece in glossary.pieces("a leaked, clean image")) == "a leaked, clean image"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: (folder / "metrics/aug.json").unlink(), "not run yet"),
        (lambda folder: (folder / "metrics/aug.json").write_text("{"), r"aug\.json: .*JSON"),
        (lambda folder: (folder / "metrics/gradcam.json").write_text("[1]"), r"gradcam\.json: .*object"),
        (lambda folder: (folder / "metrics/noaug.json").write_text("{}"), r"noaug\.json: training: missing"),
        (lambda folder: (folder / "params.yaml").unlink(), "no study"),
        (lambda folder: (folder / "dvc.lock").write_text("- 1"), "not a lock file"),
        (lambda folder: (folder / "data/predictions/aug_test.csv").write_text("path\n1\n"), "not the predictions"),
        (lambda folder: (folder / "plots/gradcam/aug/detail.png").write_bytes(b""), "damaged"),
    ],
)
def test_what_is_broken_ends_in_one_line(study: Path, spoil: Callable[[Path], None], words: str) -> None:
    spoil(study)
    with pytest.raises(UserError, match=words) as caught:
        make(study, None)
    assert "\n" not in str(caught.value)
    assert not (study / "report.html").exists()


def test_a_folder_in_the_place_of_the_page_is_one_line(study: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--out .*: a folder stands there"):
        make(study, tmp_path)


def test_a_file_that_is_no_page_is_not_replaced(study: Path) -> None:
    before = (study / "params.yaml").read_bytes()
    with pytest.raises(UserError, match=r"params\.yaml: a file stands there"):
        make(study, study / "params.yaml")
    assert (study / "params.yaml").read_bytes() == before


def test_the_command_writes_the_same_small_page_each_time(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(study, None)
    make(study, study / "other" / "page.html")
    text = (study / "report.html").read_text()
    assert text.startswith("<!doctype html>") and text == (study / "other/page.html").read_text()
    assert text.count("* plotly.js v") == 1
    assert len(text.encode()) <= LIMIT == 10_000_000
    assert "MB" in capsys.readouterr().out
