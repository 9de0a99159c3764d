"""A release: half the size, the study's answers and map, without Keras; what cannot be released is one line."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from pictures import encoded

from brain_mri.cli import main
from brain_mri.errors import UserError
from brain_mri.files import write_json, write_png
from brain_mri.images.dataset import Sample, write_samples
from brain_mri.network.saved import load
from brain_mri.prediction import release
from brain_mri.prediction.classifier import Classifier
from brain_mri.prediction.exporting import export
from brain_mri.prediction.inputs import read_crop
from brain_mri.prediction.study import Study, open_study
from brain_mri.web.words import methods_of
from studies import ROOT, disc, tiny_study


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The tiny study with a network that draws lesions, run whole, and with 40 test images and 3 from elsewhere."""
    folder = tiny_study(tmp_path_factory.mktemp("study"), "compact_lesion")
    file = folder / "models/aug.keras"
    model, card = load(file)
    export(model, file.with_suffix(".onnx"), card, hashlib.sha256(file.read_bytes()).hexdigest())
    for name, count, place in (("test", 40, "cropped"), ("external", 3, "external")):
        samples = [Sample(f"Testing/glioma/{at}.png", "glioma", "Testing", group=str(at)) for at in range(count)]
        write_samples(folder / f"data/split/{name}.csv", samples)
        for at, sample in enumerate(samples):
            write_png(folder / f"data/{place}/images" / sample.path, disc(at, 200))
    for name in ("gradcam", "dataset"):
        write_json(folder / f"metrics/{name}.json", json.loads((ROOT / f"metrics/{name}.json").read_text()))
    metrics = json.loads((ROOT / "metrics/aug.json").read_text())
    metrics["selective"]["threshold"] = 0.4
    write_json(folder / "metrics/aug.json", metrics)
    return open_study(folder)


def test_a_release_answers_as_the_study_does(study: Study, tmp_path: Path) -> None:
    changed = release.write_release(study, "about", tmp_path / "released")
    assert set(changed) == {"test", "external"} and max(changed.values()) <= release.CHANGED
    released = open_study(tmp_path / "released")
    assert released.keras is None and released.threshold == 0.4
    assert released.card.model_dump(exclude={"keras_sha256"}) == study.card.model_dump()
    assert list(methods_of(released)) == ["lesion_map"]
    crops = np.stack([read_crop(encoded(disc(seed)), "disc.png", study.card.crop) for seed in range(5)])
    ours, theirs = Classifier(study), Classifier(released)
    for first, second in zip(ours.classify(crops), theirs.classify(crops), strict=True):
        assert first.predicted == second.predicted
        assert list(first.probabilities.values()) == pytest.approx(list(second.probabilities.values()), abs=0.02)
    names = ["glioma"] * 5
    np.testing.assert_allclose(ours.explain(crops, names), theirs.explain(crops, names), atol=0.02)
    with pytest.raises(UserError, match="a release has no Keras file"):
        theirs.explain(crops, names, "grad_cam")


def test_weights_take_half_the_room_and_are_rounded_alone(study: Study, tmp_path: Path) -> None:
    assert study.onnx
    whole = onnx.load(study.onnx)
    half = release.halved(whole)
    onnx.checker.check_model(half)
    assert half.ByteSize() < 0.56 * whole.ByteSize()
    assert {value.name for value in half.graph.output} == {value.name for value in whole.graph.output}
    assert [entry.key for entry in half.metadata_props] == [entry.key for entry in whole.metadata_props]


def test_the_map_needs_no_keras(study: Study, tmp_path: Path) -> None:
    release.write_release(study, "about", tmp_path / "released")
    (tmp_path / "disc.png").write_bytes(encoded(disc(1)))
    code = (
        "import sys; from brain_mri.cli import main; sys.argv = ['brain-mri', 'predict', 'disc.png', '--study',"
        " 'released', '--explain', 'maps']; main(); assert 'keras' not in sys.modules, 'loaded'"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "maps/disc.png").is_file()


def test_what_cannot_be_released(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(release, "compare", lambda *_: {"test": 0.006, "external": 0.0})
        with pytest.raises(UserError, match=r"half precision changes 0\.60% \(test\)"):
            release.write_release(study, "about", tmp_path / "released")
    with monkeypatch.context() as patch:
        patch.setattr(release, "MOST_BYTES", 1000)
        with pytest.raises(UserError, match="at most 1,000"):
            release.write_release(study, "about", tmp_path / "released")
    assert not list(tmp_path.iterdir())
    (tmp_path / "own").mkdir()
    (tmp_path / "own/thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="not empty and no release"):
        release.write_release(study, "about", tmp_path / "own")
    assert (tmp_path / "own/thesis.txt").is_file()
    (tmp_path / "plain").mkdir()
    plain = open_study(tiny_study(tmp_path / "plain"))
    with pytest.raises(UserError, match="run the study whole"):
        release.write_release(plain, "about", tmp_path / "released")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: (folder / "models/aug.json").write_text("{}"), "aug.json: classes"),
        (lambda folder: (folder / "models/aug.onnx").unlink(), "lacks aug.onnx"),
        (lambda folder: (folder / "models/aug.onnx").write_bytes(b"nothing"), "not an ONNX file"),
        (
            lambda folder: (folder / "models/aug.json").rename(folder / "models/noaug.json"),
            "a release of the pipeline noaug",
        ),
        (
            lambda folder: (folder / "params.yaml").write_text(
                (folder / "params.yaml").read_text().replace("pituitary", "pineal")
            ),
            "params.yaml has the classes",
        ),
    ],
)
def test_a_damaged_release_is_one_line(study: Study, tmp_path: Path, spoil: object, words: str) -> None:
    release.write_release(study, "about", tmp_path / "released")
    spoil(tmp_path / "released")  # type: ignore[operator]
    with pytest.raises(UserError, match=words):
        Classifier(open_study(tmp_path / "released"))


def test_the_command_says_what_it_wrote(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["brain-mri", "release", str(study.folder), "--to", str(tmp_path / "out")])

    main()
    assert "other answers than the study's for" in capsys.readouterr().out
    text = (tmp_path / "out/README.md").read_text()
    assert "no medical use" in text and "ICBM152" in text
