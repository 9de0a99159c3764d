"""The report: one file that loads nothing from elsewhere, and says what the study's files say, no more."""

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from report import make
from scipy.special import softmax

from brain_mri.errors import UserError
from brain_mri.evaluation import errors, published, summary
from brain_mri.evaluation.summary import Outputs
from brain_mri.files import write_csv, write_json
from brain_mri.params import Evaluate, Images, Params
from brain_mri.report.page import LIMIT, render
from brain_mri.report.pictures import DETAIL, PHANTOMS, REAL
from brain_mri.report.study import load, read_parameters, read_versions
from brain_mri.report.words import Glossary
from brain_mri.statistics.intervals import mean_interval

ROOT = Path(__file__).parent.parent
HOSTILE = "<script>alert(1)</script>"
CLASSES = ["glioma", HOSTILE, "notumor", "pituitary"]
N = 80
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


def image(path: Path, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.random.default_rng(seed).integers(0, 255, (24, 24), np.uint8))


def outcome(leaked: np.ndarray) -> tuple[dict, dict, dict, dict[str, Outputs], np.ndarray]:
    """Metrics, intervals and comparison of two made-up pipelines on N images, by the rooms that `evaluate` uses."""
    rng = np.random.default_rng(0)
    labels = np.arange(N) % 4
    parts = {"all": np.ones(N, bool), "clean": ~leaked, "leaked": leaked}
    params = Params.model_construct(
        dataset=Images(classes=CLASSES, negative="notumor", groups=None),
        evaluate=Evaluate(published=False, batch_size=8, resamples=200, seed=0, error=0.1),
    )
    said = {}
    for pipeline, strength in (("noaug", 1.5), ("aug", 3.0)):
        logits = rng.normal(size=(N, 4))
        logits[np.arange(N), labels] += strength
        said[pipeline] = Outputs(logits, logits, logits[:0], 1.5)
    metrics: dict = {}
    bounds: dict = {}
    history = [dict.fromkeys(("accuracy", "loss", "val_accuracy", "val_loss"), "0.5") | {"epoch": "1"}]
    for pipeline, of in said.items():
        by_part, bounds[pipeline] = summary.measure_parts(labels, softmax(of.test, axis=1), np.arange(N), parts, params)
        table = {"temperature": 1.5} | {
            part: {when: {"ece_equal_width": 0.1234, "ece_equal_mass": 0.1} for when in ("before", "after")}
            for part in parts
        }
        row = {"n": N, "n_kept": 9, "coverage": 0.5, "error": 0.01, "aurc": 0.02}
        metrics[pipeline] = {
            "training": summary.training_summary(history),
            "test": by_part,
            "external": {},
            "calibration": table,
            "selective": {"error_wanted": 0.1, "threshold": 0.9, "val": row} | dict.fromkeys(parts, row),
        }
        bounds[pipeline]["external"] = {}
    return metrics, bounds, summary.compare(labels, said, np.arange(N), parts, params), said, labels


def write_study(folder: Path, source: str = "phantom", leaked: int = 20) -> Path:
    """Write a finished study made of files alone: no image was read and nothing trained."""
    text = (ROOT / "params.yaml").read_text().replace("code: .  ", f"code: {ROOT}  ")
    if source != "phantom":
        text = (ROOT / "studies/compact/params.yaml").read_text().replace("code: ../..", f"code: {ROOT}")
    text = text.replace("meningioma", f'"{HOSTILE}"')
    (folder / "params.yaml").parent.mkdir(parents=True, exist_ok=True)
    (folder / "params.yaml").write_text(text)
    metrics, bounds, compared, said, labels = outcome(np.arange(N) < leaked)
    for pipeline in said:
        write_json(folder / f"metrics/{pipeline}.json", metrics[pipeline])
    write_json(folder / "metrics/intervals.json", bounds)
    write_json(folder / "metrics/comparison.json", compared)
    names = [f"Testing/x/{place:02d}.png" for place in range(N)]
    probabilities = {pipeline: softmax(of.test, axis=1) for pipeline, of in said.items()}
    for pipeline, table in probabilities.items():
        rows = [
            {"path": name, "label": CLASSES[label], "group": 0, "part": "leaked" if at < leaked else "clean"}
            | {"predicted": CLASSES[int(row.argmax())]}
            | {f"p_{c}": value for c, value in zip(CLASSES, row, strict=True)}
            for at, (name, label, row) in enumerate(zip(names, labels, table, strict=True))
        ]
        write_csv(folder / f"data/predictions/{pipeline}_test.csv", rows, list(rows[0]))
    found = errors.error_rows(names, labels, probabilities, CLASSES, ["clean"] * N)
    write_csv(folder / "data/errors/errors.csv", found, errors.COLUMNS)
    for seed, name in enumerate(names):
        image(folder / "data/cropped/images" / name, seed)
    for pipeline in said:
        for name in ("detail", "grid", "methods", "cascade_maps"):
            image(folder / f"plots/gradcam/{pipeline}/{name}.png")
    for name in ("crop_steps", "probe_examples", "copy_pairs"):
        image(folder / f"plots/{name}.png")
    rate = mean_interval(np.arange(10) % 2, np.arange(10), 100)
    scores = dict.fromkeys(("pointing_game", "energy_in_mask", "iou", "pixel_average_precision"), rate)
    chance = dict.fromkeys(scores, 0.1)
    gradcam = {p: {"layer": "last", "grad_cam": scores, "gradient": scores} for p in said}
    write_json(
        folder / "metrics/gradcam.json",
        {"lesion_images": 10, **gradcam, "chance": {"random": chance, "area": chance, "mean_lesion": chance}},
    )
    return folder


def complete(folder: Path) -> Path:
    """Add what the stages fetch, crop, split, gradcam and probe write."""
    rate = mean_interval(np.arange(10) % 2, np.arange(10), 100)
    by_class = dict.fromkeys(CLASSES, 3)
    copies = {"of": 20, "with_copy": 5, "level": {"bytes": 1, "pixels": 0, "near": 4}, "orientation": {"flip_lr": 5}}
    audit = {
        "redundant_files": {level: {"all": 12, **by_class} for level in ("bytes", "pixels", "near")},
        "largest_group": 4,
        "label_conflicts": [[f"{HOSTILE}/1.png", "b.png"]],
        "test_images_with_a_copy_in_training": {"all": copies | {"of": 80, "with_copy": 20}}
        | dict.fromkeys(CLASSES, copies),
        "external_left_out": {"images": 7},
    }
    counts = {"images": 12, **by_class, "groups": 11}
    write_json(folder / "metrics/split.json", {"train": counts, "val": counts, "test": counts, "audit": audit})
    crop = {"found": 1234, "used": 1230, "quarantined": 4, "quarantined_by_reason": {"too small": 4}}
    write_json(folder / "metrics/crop.json", crop)
    origin = {
        "name": "made up",
        "licence": "CC0",
        "citation": "Nobody (2020)",
        "url": "javascript:alert(1) | https://x.org",
    }
    write_json(folder / "metrics/dataset.json", {"dataset": origin})

    likeness = dict.fromkeys(("rank_correlation", "ssim", "hog_correlation"), rate)
    others = dict.fromkeys(likeness, 0.1)
    verdicts = {"grad_cam": {"passes": False, "sentence": "grad_cam fails: 40% is left"}}
    areas = dict.fromkeys(("deletion", "insertion", "road_most_relevant_first", "road_least_relevant_first"), rate)
    found = json.loads((folder / "metrics/gradcam.json").read_text())
    for pipeline in ("noaug", "aug"):
        found[pipeline]["sanity"] = {"n": 6, "limit": 0.25, "layers": ["logits", "stem"], "verdicts": verdicts} | {
            "cascading": {"grad_cam": {"left": [0.5, 0.4]}}
        }
        found[pipeline]["faithfulness"] = {"n": 6, "grad_cam": areas, "random": areas}
        found[pipeline]["stability"] = {"n": 6, "grad_cam": {"shift": likeness, "noise": likeness}}
        found[pipeline]["grad_cam"]["pointing_game_by_class"] = {HOSTILE: rate | {"chance": 0.1}}
    write_json(
        folder / "metrics/gradcam.json", found | {"agreement": {"n": 6, "grad_cam": likeness | {"other_image": others}}}
    )

    kept = {"n": 10, "kept": {"value": 0.9, "interval": [0.8, 0.95], "if_lesion_ignored": 1.0}}
    levels = {"1": rate, "2": rate}
    asked = {
        "verdict": "the pipeline does not need the tumour.",
        "probes": {
            "inpainted": kept | {"by_class": {HOSTILE: kept}},
            "mirrored": {"n": 0, "reason": "x", "by_class": {}},
        },
        "transplant": {"n": 9, "lesion": rate, "sham": rate, "p_value": 0.00001},
        "source": {"glioma": {"n": 9, "balanced_accuracy": 0.9, "interval": [0.8, 1.0], "chance": 0.5}},
        "robustness": {"n": 10, "clean": rate, "mean": levels, "blur": levels},
    }
    write_json(folder / "metrics/probe.json", {"noaug": asked, "aug": asked})
    return folder


def test_a_complete_study_leaves_nothing_out(study: Path) -> None:
    (study / "dvc.lock").write_text("stages: {fetch: {cmd: x}}")
    history = [{"epoch": at, "accuracy": 0.5, "loss": 1, "val_accuracy": 0.4, "val_loss": 2} for at in (1, 2)]
    for pipeline in ("noaug", "aug"):
        write_csv(study / f"plots/history/{pipeline}.csv", history, list(history[0]))
    page = page_of(complete(study))
    assert "Left out:" not in page.text
    assert "another version" not in page.text
    for said in (
        "Bad news the pipeline does not need the tumour.",
        "1,234 images found 1,230 are used and 4 quarantined",
        "20 of 80 images of the data set's own test set",
        "7 external images are left out",
        f"{HOSTILE}/1.png, b.png",
        "grad_cam fails: 40% is left",
    ):
        assert said in page.text, said
    assert [link["href"] for link in page.all("a") if "alert" in (link["href"] or "")] == []
    assert {"https://x.org"} <= {link["href"] for link in page.all("a")}


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return write_study(tmp_path / "study")


def page_of(folder: Path) -> Page:
    return Page(render(load(folder)))


def test_the_page_loads_nothing_from_elsewhere(study: Path) -> None:
    page = page_of(study)
    for tag, attributes in page.elements:
        for name in ("src", "srcset", "poster", "data", "action", "background"):
            assert not re.match(r"\s*(https?:)?//", attributes.get(name) or ""), (tag, attributes)
        if tag != "a":
            assert not (attributes.get("href") or "").strip().startswith(("http", "//")), (tag, attributes)
    assert not page.all("link") and not page.all("iframe") and not page.all("object")
    assert all("src" not in attributes for attributes in page.all("script"))
    for style in page.styles + [attributes.get("style") or "" for _, attributes in page.elements]:
        assert not re.search(r"@import|url\(", style)
    # The browser itself refuses what a page of data might smuggle in.
    policy = next(a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy and "default-src 'none'" in policy and "http" not in policy


def test_the_chart_library_is_there_once_and_the_page_is_small(study: Path) -> None:
    text = render(load(study))
    assert text.count("* plotly.js v") == 1
    assert len(text.encode()) <= LIMIT == 10_000_000


def test_every_picture_and_chart_has_words(study: Path) -> None:
    page = page_of(study)
    assert page.all("img")
    assert all(len(attributes.get("alt") or "") > 20 for attributes in page.all("img"))
    charts = [attributes for attributes in page.all("div") if attributes.get("class") == "plot"]
    assert len(charts) >= 8
    assert all(len(attributes.get("aria-label") or "") > 40 for attributes in charts)
    assert len({attributes["id"] for attributes in charts}) == len(charts)


def test_a_hostile_class_name_stays_text(study: Path) -> None:
    page = page_of(study)
    assert HOSTILE in page.text
    assert not any(script.strip().startswith("alert") for script in page.scripts)
    figures = [json.loads(script) for script in page.scripts if script.startswith('{"data"')]
    assert figures
    assert HOSTILE not in json.dumps(figures), "Plotly reads HTML in its text"


def test_the_numbers_are_those_of_the_metrics(study: Path) -> None:
    text = page_of(study).text
    metrics = json.loads((study / "metrics/aug.json").read_text())
    bounds = json.loads((study / "metrics/intervals.json").read_text())["aug"]
    for part in ("clean", "all"):
        low, high = bounds[part]["accuracy"]
        assert f"{100 * metrics['test'][part]['accuracy']:.1f} %" in text
        assert f"{metrics['test'][part]['accuracy']:.3f}{low:.3f}\u2013{high:.3f}" in text
    low, high = bounds["clean"]["accuracy"]
    assert (
        f"{100 * metrics['test']['clean']['accuracy']:.1f} % (95 % interval {100 * low:.1f} to {100 * high:.1f} %)"
        in text
    )
    compared = json.loads((study / "metrics/comparison.json").read_text())
    assert compared["clean"]["verdict"] in text
    assert "0.123" in text  # the calibration error


def test_the_confusion_counts_every_image(study: Path) -> None:
    page = page_of(study)
    figures = [json.loads(script) for script in page.scripts if script.startswith('{"data"')]
    matrices = [trace["customdata"] for figure in figures for trace in figure["data"] if trace["type"] == "heatmap"]
    assert sorted(int(np.sum(matrix)) for matrix in matrices) == [60, 60, 80, 80]
    right = json.loads((study / "metrics/aug.json").read_text())["test"]["all"]["accuracy"] * N
    assert round(right) in [int(np.trace(matrix)) for matrix in matrices]


@pytest.mark.parametrize("part", ["dataset", "split", "crop", "probe"])
def test_what_is_missing_is_named_with_its_command(study: Path, part: str) -> None:
    text = page_of(study).text
    assert f"metrics/{part}.json is not there" in text
    assert "Made by dvc repro" in text


@pytest.mark.parametrize("folder", ["data/predictions", "data/errors", "plots/history", "data/cropped"])
def test_the_page_stands_without_any_folder(study: Path, folder: str) -> None:
    if (study / folder).exists():
        for file in sorted((study / folder).rglob("*"), reverse=True):
            file.rmdir() if file.is_dir() else file.unlink()
        (study / folder).rmdir()
    text = page_of(study).text
    assert f"{folder} " in text or f"{folder}:" in text
    assert "another version" not in text


def test_nothing_is_of_another_version(study: Path) -> None:
    assert "another version" not in page_of(study).text


def test_a_metrics_file_of_another_version_is_named(study: Path) -> None:
    (study / "metrics/probe.json").write_text('{"noaug": {"verdict": "x"}, "aug": {"verdict": "x"}}')
    with pytest.raises(UserError, match="of another version"):
        render(load(study))
    (study / "metrics/probe.json").unlink()
    (study / "metrics/split.json").write_text('{"train": {"images": 1}}')
    assert "of another version" in page_of(study).text


def test_real_images_are_few(tmp_path: Path) -> None:
    pictures = page_of(write_study(tmp_path / "real", source="archive")).all("img")
    wide = [picture for picture in pictures if "Grad-CAM" in (picture["alt"] or "")]
    assert len(wide) == 1, "of real images only the detail"
    assert len(pictures) - len(wide) <= REAL - DETAIL
    phantoms = page_of(write_study(tmp_path / "phantom")).all("img")
    assert len(phantoms) > len(pictures)
    assert sum("phantom of class" in (picture["alt"] or "") for picture in phantoms) <= PHANTOMS


def test_pictures_are_inside_the_page_and_whole(study: Path) -> None:
    for picture in page_of(study).all("img"):
        kind, _, data = (picture["src"] or "").partition(";base64,")
        assert kind == "data:image/webp"
        assert cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR) is not None


def test_bad_news_comes_first(study: Path) -> None:
    metrics = {p: json.loads((study / f"metrics/{p}.json").read_text()) for p in ("noaug", "aug")}
    bounds = json.loads((study / "metrics/intervals.json").read_text())
    for pipeline, row in metrics.items():
        row["external"] = {"elsewhere": {"n": 50, "groups": 9, "called_tumour": 0.2, "n_class_known": 0}}
        bounds[pipeline]["external"] = {"elsewhere": {"called_tumour": [0.1, 0.3]}}
        write_json(study / f"metrics/{pipeline}.json", row)
    write_json(study / "metrics/intervals.json", bounds)
    text = page_of(study).text
    assert "Verdict Bad news Of 50" in text.split("Skip to the verdict")[1]
    assert "from elsewhere, aug calls 20.0 % (95 % interval 10.0 to 30.0 %) some tumour" in text


def test_no_clean_image_is_bad_news(tmp_path: Path) -> None:
    text = page_of(write_study(tmp_path / "leaky", leaked=N)).text
    assert "Bad news No test image is" in text


def test_the_published_tables_stand_beside_the_study(study: Path) -> None:
    (study / "params.yaml").write_text(
        (study / "params.yaml").read_text().replace("published: false", "published: true")
    )
    assert "has no rows" in page_of(study).text
    rows = [{"pipeline": "aug", "metric": "glioma.recall", "published": 0.98, "measured": 0.95}]
    write_csv(study / "plots/comparison/published.csv", rows, published.COLUMNS)
    assert "aug: glioma, recall0.98000.9500\u22120.030" in page_of(study).text


def test_parameters_stand_with_their_comments_and_what_the_run_had(study: Path) -> None:
    text = page_of(study).text
    values = yaml.safe_load((study / "params.yaml").read_text())
    assert f"train.epochs{values['train']['epochs']}1 and up" in text.replace(" ", "").replace("1andup", "1 and up")
    rows = {
        row.key: row
        for row in read_parameters("a:\n  b: 1  # one\n         # two\n  c: 1e-05\n", {"a.b": 2, "a.c": 0.00001})
    }
    assert rows["a.b"].comment == "one two"
    assert rows["a.b"].run_with == "2"
    assert rows["a.c"].run_with is None


def test_versions_are_those_of_the_requirements(tmp_path: Path) -> None:
    path = tmp_path / "requirements.txt"
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


def test_the_same_study_gives_the_same_page(study: Path) -> None:
    assert render(load(study)) == render(load(study))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda folder: (folder / "metrics/aug.json").unlink(), "not run yet"),
        (lambda folder: (folder / "metrics/aug.json").write_text("{"), "not JSON"),
        (lambda folder: (folder / "metrics/gradcam.json").write_text("[1]"), "holds no keys"),
        (lambda folder: (folder / "metrics/noaug.json").write_text("{}"), "of another version"),
        (lambda folder: (folder / "params.yaml").unlink(), "no study"),
        (lambda folder: (folder / "dvc.lock").write_text("- 1"), "not a lock file"),
        (lambda folder: (folder / "data/predictions/aug_test.csv").write_text("path\n1\n"), "not the predictions"),
        (lambda folder: (folder / "plots/gradcam/aug/detail.png").write_bytes(b""), "damaged"),
    ],
)
def test_what_is_broken_ends_in_one_line(study: Path, spoil: Callable[[Path], None], says: str) -> None:
    spoil(study)
    with pytest.raises(UserError, match=says) as caught:
        make(study, None)
    assert "\n" not in str(caught.value)
    assert not (study / "report.html").exists()


def test_the_command_writes_the_file(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(study, None)
    assert (study / "report.html").read_text().startswith("<!doctype html>")
    make(study, study / "other" / "page.html")
    assert (study / "other/page.html").stat().st_size < LIMIT
    assert "MB" in capsys.readouterr().out


def test_the_command_line(tmp_path: Path) -> None:
    before = os.times()
    done = subprocess.run([sys.executable, ROOT / "report.py", "--help"], capture_output=True, text=True)
    assert os.times().children_user - before.children_user < 1
    assert done.returncode == 0 and "STUDY_FOLDER" in done.stdout
    done = subprocess.run([sys.executable, ROOT / "report.py", tmp_path], capture_output=True, text=True)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and "no study" in done.stderr
