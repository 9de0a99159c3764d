"""The schema: each study passes, each kind of mistake ends in one line that names the key."""

from pathlib import Path

import pytest
import yaml

from brain_mri.errors import UserError, known_keys
from brain_mri.evaluation import published
from brain_mri.files import read_yaml
from brain_mri.params import PAPER_CLASSES, Params, load_params

ROOT = Path(__file__).parent.parent
STUDIES = [ROOT / "params.yaml", *sorted(ROOT.glob("studies/*/params.yaml"))]


@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.parent.name)
def test_studies_are_valid(study: Path) -> None:
    params = load_params(study)
    assert (study.parent / params.code / "stages" / "train.py").is_file()


@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.parent.name)
def test_studies_say_what_they_cost_and_give(study: Path) -> None:
    head = study.read_text().split("\ncode:")[0]
    assert all(
        word in head for word in ("dvc repro" if study != STUDIES[0] else "make repro", "Cost:", "Result to expect")
    )


def changed(tmp_path: Path, changes: dict[str, object]) -> Path:
    params = read_yaml(STUDIES[0])
    for key, value in changes.items():
        *path, last = key.split(".")
        section = params
        for name in path:
            section = section[name]
        section[last] = value
    file = tmp_path / "params.yaml"
    file.write_text(yaml.safe_dump(params))
    return file


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("crop.blurr", 5, ["crop.blurr", "unknown", "crop.blur?"]),
        ("crop.blur", 4, ["crop.blur = 4", "odd"]),
        ("crop.threshold", 300, ["crop.threshold = 300", "254"]),
        ("crop.threshold", "45", ["crop.threshold = '45'", "integer"]),
        ("train.epochs", 0, ["train.epochs = 0", "1"]),
        ("train.warmup_epochs", 99, ["warmup_epochs", "99"]),
        ("augment.mixup", -1, ["augment.mixup = -1", "0"]),
        ("augment.plain", {"epochs": 99, "share": 1}, ["augment.plain.epochs is 99", "train.epochs"]),
        ("train.threads", 0, ["train.threads = 0", "1"]),
        ("train.deterministic", "yes", ["train.deterministic = 'yes'", "boolean"]),
        ("train.precision", "float16", ["train.precision = 'float16'", "float32", "mixed_bfloat16"]),
        ("train.jit", 1, ["train.jit = 1", "boolean"]),
        ("train.accumulate", 0, ["train.accumulate = 0", "1"]),
        ("train.checkpoint_minutes", 0, ["train.checkpoint_minutes = 0", "greater than 0"]),
        ("model.network", "resnet18", ["model.network = 'resnet18'", "compact", "resnet50"]),
        ("model.weights", "body.h5", ["weights_sha256", "body.h5"]),
        ("model.weights", "imagenet", ["model", "weights is imagenet", "none for compact_fine"]),
        ("model.image_size", 256, ["model.image_size", "crop.size"]),
        ("dataset.negative", "none", ["dataset", "negative is 'none'", "one of classes"]),
        ("gradcam.target", "cat", ["gradcam.target is 'cat'", "predicted"]),
        ("audit.search", -1.0, ["audit.search", "-1"]),
        ("dataset.source", "kagle", ["dataset.source = 'kagle'", "phantom"]),
        ("dataset.clases", ["a", "b"], ["dataset.clases", "unknown", "dataset.classes?"]),
        ("plots.heatmap", "jett", ["plots.heatmap = 'jett'", "jet"]),
        ("pipeline", "both", ["pipeline = 'both'", "noaug"]),
        ("extra", 1, ["extra", "unknown"]),
    ],
)
def test_a_bad_key_is_named(tmp_path: Path, key: str, value: object, words: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        load_params(changed(tmp_path, {key: value}))
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("network", "changes", "message"),
    [
        ("efficientnet_lesion", {"augment.mixup": 0.2}, "augment.mixup is 0.2: must be 0 for efficientnet_lesion"),
        ("efficientnet_lesion", {"model.image_size": 120}, "model.image_size is 120: .* multiple of 32"),
        ("compact_lesion", {"model.image_size": 72}, "model.image_size is 72: .* multiple of 16"),
        ("compact_lesion", {"dataset.negative": None}, "model.network = compact_lesion: dataset.negative is null"),
        (
            "compact",
            {"dataset.negative": None, "augment.counterfactual.sham": 0.1},
            "augment.counterfactual: .* is null",
        ),
        (
            "compact",
            {"dataset.classes": ["glioma", "meningioma", "notumor", "pineal"], "evaluate.published": True},
            "evaluate.published is true: .* the study lacks .pituitary.",
        ),
    ],
)
def test_what_a_network_or_augmentation_needs(tmp_path: Path, network: str, changes: dict, message: str) -> None:
    assert load_params(changed(tmp_path, {"model.network": network})).model.network == network
    with pytest.raises(UserError, match=message):
        load_params(changed(tmp_path, {"model.network": network} | changes))


def test_the_paper_s_classes_are_those_of_its_tables() -> None:
    assert all(set(classes) == PAPER_CLASSES for classes in published.CLASSES.values())


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(STUDIES[0].read_text().replace("  dilate: 2 ", "  # "))
    with pytest.raises(UserError, match=r"crop\.dilate: missing"):
        load_params(file)


@pytest.mark.parametrize("text", ["", "- a\n", "a: [", "crop: 3\n"])
def test_what_is_no_params_file_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(text)
    with pytest.raises(UserError) as caught:
        load_params(file)
    assert "\n" not in str(caught.value)
    assert "params.yaml" in str(caught.value)


def test_known_keys_are_those_of_the_file() -> None:
    params = read_yaml(STUDIES[0])
    dotted = {f"{section}.{key}" for section, keys in params.items() if isinstance(keys, dict) for key in keys}
    assert dotted <= set(known_keys(Params))


def test_every_key_is_explained() -> None:
    for study in STUDIES:
        for line in study.read_text().split("\ncode:")[1].splitlines()[1:]:
            assert not line.strip() or "#" in line or line.rstrip().endswith(":"), f"{study}: {line!r}"


def test_what_dvc_writes_is_read_as_dvc_means_it(tmp_path: Path) -> None:
    """`dvc exp run -S` rewrites params.yaml as YAML 1.2, in which `1e-05` is a number and `no`, `on` and `y` are
    strings; YAML 1.1 reads a string, and booleans. The family: small and large numbers, words and dates in 1.1."""
    from dvc.utils.serialize import modify_yaml

    classes = ["no", "yes", "on", "y", "1:30", "0b1", "1_0", "1e3", "2020-01-01", "~", "null"]
    file = tmp_path / "params.yaml"
    file.write_text(STUDIES[0].read_text())
    with modify_yaml(file) as values:
        values["train"]["learning_rate"] = 0.00001
        values["train"]["plateau"]["min_learning_rate"] = 1e-20
        values["dataset"]["classes"], values["dataset"]["negative"] = classes, "no"
    assert "learning_rate: 1e-05" in file.read_text() and "negative: no " in file.read_text()
    params = load_params(file)
    assert (params.train.learning_rate, params.train.plateau.min_learning_rate) == (1e-5, 1e-20)
    assert params.dataset.classes == classes and params.dataset.negative == "no"


@pytest.mark.parametrize("text", ["a: [", "a: 1\na: 2\n", "a: !!python/object:os.system x", "a: 2020-13-45", b"\xff"])
def test_what_is_no_yaml_is_one_line(text: str | bytes, tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError, match=r"params\.yaml: not YAML: .") as error:
        load_params(file)
    assert "\n" not in str(error.value)
