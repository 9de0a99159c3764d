"""The schema of metrics/*.json: what is committed fits it and comes out as the same bytes; what is broken is named."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from brain_mri import results
from brain_mri.errors import UserError

ROOT = Path(__file__).parent.parent
COMMITTED = sorted([*ROOT.glob("metrics/*.json"), *ROOT.glob("studies/*/metrics/*.json")])


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_committed_file_fits_and_is_written_as_it_is(path: Path, tmp_path: Path) -> None:
    values = json.loads(path.read_text())
    table = results.read(path, results.SCHEMAS[path.stem])
    assert table.model_dump(mode="json", exclude_unset=True) == values
    results.write(tmp_path / path.name, values)
    assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_every_file_has_a_schema() -> None:
    assert {path.stem for path in COMMITTED} | {"folds"} == set(results.SCHEMAS)


@pytest.mark.parametrize("name", sorted({path.stem for path in COMMITTED}))
@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda table, key: table.update({key: "seven"}), "'seven'"),
        (lambda table, key: table.update(no_such_key=7), "no_such_key = 7"),
        (lambda table, key: table.pop(key), "missing"),
    ],
)
def test_what_is_broken_is_one_line_with_file_and_key(name: str, spoil: Any, says: str, tmp_path: Path) -> None:
    values = json.loads(next(path for path in COMMITTED if path.stem == name).read_text())
    key = next(key for key, value in values.items() if not isinstance(value, str))
    spoil(values, key)
    path = tmp_path / f"{name}.json"
    path.write_text(json.dumps(values))
    with pytest.raises(UserError) as caught:
        results.read(path, results.SCHEMAS[name])
    message = str(caught.value)
    assert "\n" not in message and message.startswith(f"{path}: ") and says in message
    assert key in message or "no_such_key" in message
    with pytest.raises(ValidationError):
        results.write(path, values)


@pytest.mark.parametrize(
    ("file", "place", "value", "names"),
    [
        ("gradcam", "aug.grad_cam.iou.value", "high", "aug.grad_cam.iou.value = 'high'"),
        ("gradcam", "aug.stability.grad_cam.shift.ssim.n", 1.5, "aug.stability.grad_cam.shift.ssim.n = 1.5"),
        ("probe", "noaug.robustness.blur.2", {"value": 0.5}, "noaug.robustness.blur.2.interval: missing"),
        ("intervals", "aug.all.classes.glioma.f1", [0.5], "aug.all.classes.glioma.f1.1: missing"),
        ("split", "train.glioma", None, "train.glioma = null"),
        ("aug", "test.leaked.n", 7, "test.leaked: accuracy: missing"),
        ("test", "clean", {"n": 7, "accuracy": 0.5}, "clean: balanced_accuracy: missing"),
    ],
)
def test_a_broken_value_deep_in_a_file_is_named(file: str, place: str, value: Any, names: str, tmp_path: Path) -> None:
    values = json.loads((ROOT / f"metrics/{file}.json").read_text())
    *way, last = place.split(".")
    table = values
    for key in way:
        table = table[key]
    table[last] = value
    path = tmp_path / f"{file}.json"
    path.write_text(json.dumps(values))
    with pytest.raises(UserError) as caught:
        results.read(path, results.SCHEMAS[file])
    assert names in str(caught.value)


@pytest.mark.parametrize(("text", "says"), [(None, "not there"), ("{", "JSON"), ("[1]", "object")])
def test_a_file_that_holds_no_table_is_named(text: str | None, says: str, tmp_path: Path) -> None:
    path = tmp_path / "crop.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=rf"crop\.json: .*{says}"):
        results.read(path, results.Crop)


def test_numbers_are_rounded_and_nan_is_null(tmp_path: Path) -> None:
    values = json.loads((ROOT / "metrics/crop.json").read_text())
    values["area_kept"] = {"median": 1 / 3, "min": 0.1, "max": 1.0}
    results.write(tmp_path / "crop.json", values)
    assert results.read(tmp_path / "crop.json", results.Crop).area_kept.median == 0.333333
    with pytest.raises(ValidationError):
        results.write(tmp_path / "crop.json", values | {"area_kept": {"median": float("nan"), "min": 0.1, "max": 1}})
    assert results.read(tmp_path / "crop.json", results.Crop).area_kept.min == 0.1
