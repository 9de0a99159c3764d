"""`brain-mri predict`: answers as a user gets them, and one line for what cannot be answered."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import unicodedata
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import keras
import nibabel
import numpy as np
import pydicom
import pytest
from commands import forbid_reading, run_command
from pictures import with_a_damaged_member

from bench.containers import tiff
from brain_mri.errors import UserError
from brain_mri.evaluation.calibration import apply_temperature
from brain_mri.files import write_json, write_png
from brain_mri.images.crop import to_network
from brain_mri.network.batches import logits_of
from brain_mri.network.saved import load
from brain_mri.params import load_params
from brain_mri.prediction.exporting import export
from brain_mri.prediction.inputs import read_crop
from brain_mri.prediction.study import RELEASED, default_study, open_study
from studies import CLASSES, ROOT, disc, tiny_study

Call = Callable[..., tuple[int, list[str], list[str]]]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny study with both pipelines. Only aug has an ONNX file; what noaug answers comes from Keras."""
    folder = tiny_study(tmp_path_factory.mktemp("study"))
    file = folder / "models/aug.keras"
    shutil.copy(file, folder / "models/noaug.keras")
    model, card = load(file)
    export(model, file.with_suffix(".onnx"), card, hashlib.sha256(file.read_bytes()).hexdigest())
    return folder


@pytest.fixture
def call(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Call the command in an empty folder: its exit code, its lines on stdout and those on stderr."""
    monkeypatch.chdir(tmp_path)

    def called(*arguments: str, study: Path = study) -> tuple[int, list[str], list[str]]:
        return run_command(monkeypatch, capsys, "predict", "--study", str(study), *arguments)

    return called


def write_discs(folder: str, count: int) -> list[str]:
    paths = [f"{folder}/disc_{seed}.png" for seed in range(count)]
    for seed, path in enumerate(paths):
        write_png(path, disc(seed))
    return paths


def write_volume(path: str, depth: int = 9) -> np.ndarray:
    volume = np.stack([disc(seed, 64) for seed in range(depth)], axis=2)
    nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), path)
    return volume


def test_answers_are_the_network_s_calibrated(call: Call, study: Path) -> None:
    paths = write_discs("in", 3)
    code, out, err = call("--json", *paths)
    assert (code, err) == (0, [])
    rows = [json.loads(line) for line in out]
    model, settings = keras.models.load_model(study / "models/aug.keras"), load_params(study / "params.yaml").crop
    images = to_network([read_crop(Path(path).read_bytes(), path, settings) for path in paths], 32)
    expected = apply_temperature(logits_of(model).predict(images.astype(np.float32), verbose=0), 0.05)
    for row, path, probabilities in zip(rows, paths, expected, strict=True):
        assert list(row) == ["path", "predicted", "probabilities", "not_excluded", "abstain", "warning"]
        assert row["path"] == path
        assert list(row["probabilities"]) == CLASSES
        assert np.allclose(list(row["probabilities"].values()), probabilities, atol=1e-5)
        assert row["predicted"] == CLASSES[probabilities.argmax()]
        assert row["abstain"] == (probabilities.max() < 0.4)
        assert row["warning"] is None


def test_keras_and_onnx_answer_alike(call: Call) -> None:
    """The network is the same, and the Keras file serves where there is no ONNX file."""
    write_discs("in", 3)
    shares = []
    for pipeline in ("aug", "noaug"):
        code, out, _ = call("--json", "--pipeline", pipeline, "in")
        assert code == 0
        shares.append([list(json.loads(line)["probabilities"].values()) for line in out])
    assert np.allclose(*shares, atol=1e-4)


def test_a_plain_answer_does_not_wait_for_tensorflow(study: Path, tmp_path: Path) -> None:
    write_png(tmp_path / "disc.png", disc(0))
    code = "import sys; from brain_mri.cli import main; main()\n"
    code += "assert not {'tensorflow', 'keras', 'sklearn', 'scipy'} & set(sys.modules)"
    words = [sys.executable, "-c", code, "predict", "--study", str(study), str(tmp_path / "disc.png")]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_table_for_people(call: Call) -> None:
    write_discs("in", 40)
    code, out, err = call("in")
    assert (code, err) == (0, [])
    assert len(out) == 41  # more than a batch, one header
    assert out[0].split() == ["image", "predicted", *CLASSES, "remark"]
    name, predicted, *shares = out[1].split()[:6]
    assert name == "in/disc_0.png" and predicted in CLASSES
    assert sum(map(float, shares)) == pytest.approx(1, abs=0.003)


def test_a_confidence_below_the_threshold_is_left_to_a_person(call: Call, study: Path, tmp_path: Path) -> None:
    other = tmp_path / "strict"
    (other / "models").mkdir(parents=True)
    for name in ("params.yaml", "models/aug.keras"):
        (other / name).write_bytes((study / name).read_bytes())
    path = write_discs("in", 1)[0]
    write_json(other / "metrics/aug.json", {"selective": {"threshold": 1.01}})
    code, out, err = call(path, study=other)
    assert code == 0 and out[1].endswith("for a person to decide")
    assert len(err) == 1 and "aug-guard.npz: not there" in err[0]
    write_json(other / "metrics/aug.json", {"selective": {"threshold": None}})  # no confidence was high enough
    code, out, err = call(path, study=other)
    assert code == 0 and out[1].endswith("for a person to decide")
    assert "every answer is left to a person" in err[0] and len(err) == 2
    (other / "metrics/aug.json").unlink()
    code, out, err = call(path, study=other)
    assert code == 0 and "person" not in out[1]
    assert "every answer stands" in err[0] and len(err) == 2


def test_what_is_no_brain_mri_gets_a_warning(call: Call) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (90, 90), dtype=np.uint8)
    write_png("noise.png", noise)
    code, out, _ = call("noise.png", *write_discs("in", 1))
    assert code == 0
    assert "looks like no brain MRI" in out[1]
    assert "looks like" not in out[2]


def test_a_jpeg_without_its_end_gets_a_remark(call: Call) -> None:
    Path("disc.jpg").write_bytes(cv2.imencode(".jpg", disc(1))[1].tobytes()[:-2])
    code, _, err = call("disc.jpg")
    assert code == 0
    assert "disc.jpg: a JPEG without its end marker" in err[0]


def test_dicom_and_nifti(call: Call) -> None:
    sample = Path(pydicom.__file__).parent / "data/test_files/MR_small.dcm"
    Path("scan.dcm").write_bytes(sample.read_bytes())
    volume = write_volume("volume.nii.gz")
    nibabel.save(nibabel.Nifti1Image(volume[:, :, 4:5], np.eye(4)), "middle.nii")
    code, out, err = call("--json", "scan.dcm", "volume.nii.gz", "middle.nii")
    assert code == 0
    rows = [json.loads(line) for line in out]
    assert rows[1]["probabilities"] == pytest.approx(rows[2]["probabilities"], abs=3e-6)
    assert "volume.nii.gz: the middle slice is taken" in err[0]
    assert "CompressedSamples" not in "".join(out + err)  # the patient's name in the file
    code, (line,), err = call("--json", "volume.nii.gz", "--slice", "4")
    assert (code, err) == (0, [])
    assert json.loads(line)["probabilities"] == pytest.approx(rows[1]["probabilities"], abs=3e-6)
    code, (line,), _ = call("--json", "volume.nii.gz", "--slice", "7")
    assert json.loads(line)["probabilities"] != pytest.approx(rows[1]["probabilities"], abs=3e-6)
    code, out, err = call("volume.nii.gz", "--slice", "9")
    assert (code, out, len(err)) == (2, [], 1) and "0 to 8" in err[0]


def test_a_table_names_the_images(call: Call) -> None:
    """It is the user's own: its paths lead anywhere, by `..`, absolute, over links, in any spelling of the name."""
    write_discs("deep/in", 2)
    write_png("out.png", disc(3))
    write_png(unicodedata.normalize("NFD", "deep/in/ü.png"), disc(4))
    Path("deep/in/link.png").symlink_to(Path("out.png").absolute())
    names = [
        "in/disc_1.png",
        "../out.png",
        str(Path("out.png").absolute()),
        "in/link.png",
        ".\\in\\disc_0.png",
        "in/ü.png",
    ]
    Path("deep/list.csv").write_text(
        "\n".join(["path,note", *(f"{name},a" for name in [*names, "in/nowhere.png"]), ""])
    )
    code, out, err = call("--csv", "deep/list.csv", "--json")
    assert code == 1
    assert [json.loads(line)["path"] for line in out] == names
    assert "in/nowhere.png: not an image: no such file" in err[0]
    assert "1 of 7 images could not be read" in err[1]
    Path("deep/list.csv").write_text("file;note\na;b\n")
    code, _, (line,) = call("--csv", "deep/list.csv")
    assert code == 2 and "semicolons between its cells; save it with commas, and path in the first line" in line
    Path("deep/list.csv").write_text("file,note\na,b\n")
    code, _, (line,) = call("--csv", "deep/list.csv")
    assert code == 2 and "it needs path, and other columns are left out" in line


def test_a_table_among_images_leaves_them_answered(call: Call) -> None:
    """As `brain-mri predict *` names it."""
    Path("list.csv").write_text("path\nin/disc_0.png\n")
    code, out, err = call("list.csv", *write_discs("in", 2), "--json")
    assert (code, len(out)) == (1, 2)
    assert err[0].endswith("list.csv: a table, not an image; --csv takes it")


@pytest.mark.parametrize("many", [300, 1], ids=["read here", "read by other processes"])
def test_a_batch_answers_what_it_can(many: int, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brain_mri.cli.predict.MANY", many)
    write_discs("in", 2)
    Path("in/a.scan").write_text("no image")
    Path("in/empty.png").touch()
    with zipfile.ZipFile("more.zip", "w") as archive:
        archive.write("in/disc_0.png", "inside.png")
    code, out, err = call("in", "more.zip", "--json")
    assert code == 1
    assert [json.loads(line)["path"] for line in out] == ["in/disc_0.png", "in/disc_1.png", "more.zip/inside.png"]
    assert [line.split(": ", 1)[1] for line in err] == [
        "in/a.scan: not an image",
        "in/empty.png: empty",
        "2 of 5 images could not be read",
    ]
    Path("more.zip").write_bytes(with_a_damaged_member(Path("more.zip").read_bytes()))
    code, out, err = call("in", "more.zip", "--json")
    assert code == 1 and len(out) == 2
    assert "more.zip/inside.png: more.zip: not a whole zip" in err[-2]


def test_what_a_terminal_cannot_show_is_written_as_its_number(study: Path, tmp_path: Path) -> None:
    """The family: `ü` in a name, on stdout and stderr, as a table and as JSON, which stays JSON."""
    write_png(tmp_path / "ü.png", disc(0))
    (tmp_path / "ö.png").touch()
    words = [sys.executable, "-m", "brain_mri", "predict", "--study", str(study), str(tmp_path)]
    for options, shown in ((["--json"], "\\u00fc.png"), ([], "\\xfc.png")):
        environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
        done = subprocess.run([*words, *options], cwd=ROOT, env=environment, capture_output=True, text=True)
        assert done.returncode == 1, done.stderr
        assert shown in done.stdout and "\\xf6.png: empty" in done.stderr
        assert not options or json.loads(done.stdout)["path"].endswith("ü.png")


def test_a_file_that_may_not_be_read_leaves_the_others(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """The family: a file without the right to read it, on a disk or a network that fails, among others."""
    write_discs("in", 2)
    forbid_reading(monkeypatch, "disc_0.png")
    code, out, err = call("in", "--json")
    assert code == 1
    assert [json.loads(line)["path"] for line in out] == ["in/disc_1.png"]
    assert "in/disc_0.png: cannot be read (Permission denied)" in err[0]
    code, out, (line,) = call("in/disc_0.png")
    assert (code, out) == (2, []) and "Permission denied" in line


def test_a_name_of_several_lines_is_one(call: Call) -> None:
    Path("in").mkdir()
    write_png("in/a\nb.png", disc(0))
    Path("in/c\nd.png").touch()
    write_png("in/e\x1b]0;f.png", disc(1))  # which would name a terminal's window
    code, out, err = call("in")
    assert (code, len(out), len(err)) == (1, 3, 2)
    assert out[2].startswith("in/e\\x1b]0;f.png ")
    assert out[1].startswith("in/a\\nb.png ") and "in/c\\nd.png: empty" in err[0]


def test_what_opencv_cannot_read_is_one_line(study: Path, tmp_path: Path) -> None:
    """Of TIFF's types 16-bit floating point is one; OpenCV itself explains at length, unless it is told not to."""
    (tmp_path / "half.tif").write_bytes(tiff(disc(0).astype("f2")))
    words = [sys.executable, "-m", "brain_mri", "predict", "--study", str(study), str(tmp_path / "half.tif")]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert "half.tif: cannot be decoded: TIFF" in line


@pytest.mark.parametrize("where", ["file", "file/below"])
def test_explanations_go_into_a_folder(call: Call, where: str) -> None:
    Path("file").touch()
    code, out, (line,) = call(*write_discs("in", 1), "--explain", where)
    assert (code, out) == (2, []) and f"--explain {where}: a file stands there" in line


@pytest.mark.parametrize("arguments", [["in", "--explain", "in"], ["--csv", "in/list.csv", "--explain", "in/below/.."]])
def test_explanations_do_not_replace_what_they_explain(arguments: list[str], call: Call) -> None:
    (path,) = write_discs("in", 1)
    Path("in/below").mkdir()
    Path("in/list.csv").write_text("path\ndisc_0.png\n")
    before = Path(path).read_bytes()
    code, out, (line,) = call(*arguments)
    assert (code, out) == (2, []) and "images lie there" in line
    assert Path(path).read_bytes() == before


def test_explanations(call: Call) -> None:
    write_discs("one", 1)
    write_discs("two", 1)
    code, out, _ = call("one", "two", "--explain", "maps")
    assert code == 0 and len(out) == 3
    pictures = sorted(Path("maps").iterdir())
    assert [path.name for path in pictures] == ["disc_0-2.png", "disc_0.png"]
    picture = cv2.imread(str(pictures[0]))
    width = picture.shape[1]
    assert np.ptp(picture[:, : width // 2].astype(int), axis=2).max() == 0  # the crop is grey
    assert np.ptp(picture[:, width // 2 :].astype(int), axis=2).max() > 60  # the map over it is not


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nowhere.png", "no such file or folder"),
        ("text.txt", "not an image"),
        ("nothing.png", "empty"),
        ("folder", "no images in it"),
        ("list.csv", "--csv takes it"),
        ("damaged.zip", "not a whole zip"),
        ("a" * 300, "File name too long; take a shorter name"),
        ("disc.png", "a slice was asked for"),
    ],
)
def test_bad_input_is_one_line(name: str, words: str, call: Call) -> None:
    Path("text.txt").write_text("no image")
    Path("nothing.png").touch()
    Path("list.csv").touch()
    Path("folder").mkdir()
    Path("damaged.zip").write_text("no zip")
    write_png("disc.png", disc(0))
    code, out, err = call(name, *(["--slice", "1"] if name == "disc.png" else []))
    assert (code, out, len(err)) == (2, [], 1)
    assert words in err[0] and name in err[0]


def change_entry(path: Path, name: str, old: bytes, new: bytes) -> None:
    """Replace some bytes in one of the files within a model's file."""
    with zipfile.ZipFile(path) as file:
        entries = {entry: file.read(entry) for entry in file.namelist()}
    assert old in entries[name]
    entries[name] = entries[name].replace(old, new)
    with zipfile.ZipFile(path, "w") as file:
        for entry, data in entries.items():
            file.writestr(entry, data)


def break_onnx(model: Path, whole: Path) -> None:
    shutil.copy(whole.with_suffix(".onnx"), model.with_suffix(".onnx"))
    change_entry(model, "card.json", b'"temperature": 0.05', b'"temperature": 0.06')


def break_metrics(model: Path, whole: Path) -> None:
    write_json(model.parents[1] / "metrics/aug.json", {"selective": {"threshold": "high"}})


BROKEN: dict[str, tuple[Callable[[Path, Path], object], str]] = {
    "no study": (lambda model, whole: (model.parents[1] / "params.yaml").unlink(), "no study"),
    "not run": (lambda model, whole: model.unlink(), "has not been run"),
    "cut": (
        lambda model, whole: model.write_bytes(whole.read_bytes()[:5000]),
        "aug.keras: not a model of this project",
    ),
    "no card": (lambda model, whole: keras.models.load_model(whole).save(model), "aug.keras: not a model of this"),
    "card": (
        lambda model, whole: change_entry(model, "card.json", b'"blur"', b'"blurring"'),
        "crop.blur in its card.json",
    ),
    "layer": (lambda model, whole: change_entry(model, "config.json", b'"strides"', b'"paces"'), "this Keras knows"),
    "other onnx": (break_onnx, "aug.onnx: made of another model"),
    "guard": (lambda model, whole: (model.parent / "aug-guard.npz").write_text("nothing"), "not a detector"),
    "metrics": (break_metrics, "metrics/aug.json: selective.threshold = 'high'"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_bad_study_is_one_line(what: str, call: Call, study: Path, tmp_path: Path) -> None:
    change, words = BROKEN[what]
    disc_path, model = write_discs("in", 1)[0], tmp_path / "other/models/aug.keras"
    model.parent.mkdir(parents=True)
    shutil.copy(study / "params.yaml", tmp_path / "other/params.yaml")
    shutil.copy(study / "models/aug.keras", model)
    change(model, study / "models/aug.keras")
    code, out, err = call(disc_path, study=tmp_path / "other")
    assert (code, out, len(err)) == (2, [], 1), err
    assert words in err[0]


def test_the_study_that_answers_where_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="installed there without a study"):
        default_study(tmp_path)
    (tmp_path / "params.yaml").touch()
    assert default_study(tmp_path) == tmp_path
    (tmp_path / RELEASED).mkdir()
    assert default_study(tmp_path) == tmp_path
    (tmp_path / RELEASED / "params.yaml").touch()
    assert default_study(tmp_path) == tmp_path / RELEASED


def test_a_network_that_draws_lesions_offers_its_map(study: Path) -> None:
    opened = open_study(study)
    assert opened.offered == "grad_cam"
    network = opened.params.model.model_copy(update={"network": "compact_lesion"})
    assert replace(opened, params=opened.params.model_copy(update={"model": network})).offered == "lesion_map"
