"""The stage `evaluate` on logits by hand, and the errors that `figures` shows of it."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from brain_mri.files import read_csv, read_yaml, write_arrays, write_csv, write_png
from brain_mri.images.dataset import ImageRecord, Sample, write_records, write_samples
from brain_mri.params import PIPELINES, load_params
from stages import evaluate, figures

ROOT = Path(__file__).parents[2]
CLASSES = ["glioma", "meningioma", "notumor", "pituitary"]
COUNTS = {"train": 4, "val": 40, "test": 60, "external": 12}


def samples(name: str, count: int) -> list[Sample]:
    """Images of three of the four classes; every third test image is a copy of the first of training."""
    table = []
    for place in range(count):
        label = "tumour" if name == "external" else CLASSES[place % 3]
        part = "External" if name == "external" else ""
        group = {"train": place, "test": 100 + place if place % 3 else 0}.get(name, 1000 + place)
        path = f"{part or name}/{label}/{place}.png"
        table.append(Sample(path, label, part, source="elsewhere" if part else "", group=str(group)))
    return table


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that evaluates a study: its source of images, and how sure and how right its pipelines are."""
    monkeypatch.chdir(tmp_path)

    def evaluated(source: str, counts: dict[str, int], scale: float = 2.0, wrong: float = 0.3) -> None:
        params = read_yaml(ROOT / "params.yaml")
        dataset = {key: params["dataset"][key] for key in ("classes", "negative", "groups")}
        params["dataset"] = params["dataset"] if source == "phantom" else {**dataset, "source": source, "name": "mine"}
        params["evaluate"]["resamples"], params["plots"]["dpi"] = 100, 40
        Path("params.yaml").write_text(yaml.safe_dump(params))
        tables = {name: samples(name, count) for name, count in counts.items()}
        for name, table in tables.items():
            write_samples(f"data/split/{name}.csv", table)
            for sample in table:
                folder = "external" if name == "external" else "cropped"
                write_png(f"data/{folder}/images/{sample.path}", np.full((40, 40), 80, np.uint8))
        left_out = [Sample("External/tumour/copy.png", "tumour", "External", source="elsewhere", group="0")]
        records = [*itertools.chain(*tables.values()), *left_out] if counts["external"] else []
        write_records(
            "data/cropped.csv",
            [ImageRecord(record.path, record.label, record.part, source=record.source) for record in records],
        )
        rng = np.random.default_rng(0)
        for pipeline in PIPELINES:
            epoch = {"epoch": 1, "accuracy": 0.5, "val_accuracy": 0.5, "loss": 1.0, "val_loss": 1.0}
            write_csv(f"plots/history/{pipeline}.csv", [epoch], list(epoch))
            logits = {}
            for name in ("val", "test", "external"):
                truth = np.array([place % 3 for place in range(counts[name])], int)
                said = np.where(rng.random(len(truth)) < wrong, 2 - truth, truth)
                logits[name] = scale * (2 * np.eye(4)[said] + rng.normal(0, 0.5, (len(truth), 4)))
            write_arrays(f"data/logits/{pipeline}.npz", {**logits, "temperature": np.array(1.5)})
        evaluate.main()

    return evaluated


def strictly(text: str) -> dict:
    return json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} in JSON"))


def test_every_deliverable_is_in_the_metrics(study: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    study("folder", COUNTS)
    metrics, comparison, bounds = (
        strictly(Path(f"metrics/{name}.json").read_text()) for name in ("aug", "comparison", "intervals")
    )
    for part in ("all", "clean", "leaked"):
        row = metrics["test"][part]
        assert row["classes"]["pituitary"] == {"support": 0} | dict.fromkeys(
            ("precision", "recall", "f1", "roc_auc", "average_precision")
        )
        assert bounds["aug"][part]["accuracy"][0] <= row["accuracy"] <= bounds["aug"][part]["accuracy"][1]
        for when in ("before", "after"):
            assert set(metrics["calibration"][part][when]) == {"ece_equal_width", "ece_equal_mass"}
        assert {"aurc", "coverage", "error"} <= set(metrics["selective"][part])
        assert metrics["errors"][part]["n"] == round((1 - row["accuracy"]) * row["n"])
        assert comparison[part]["verdict"].startswith("The images")
    assert {"aurc", "coverage", "error"} <= set(metrics["selective"]["external"]["elsewhere"])
    assert comparison["external"]["elsewhere"]["verdict"].startswith("The images")
    outside = metrics["external"]["elsewhere"]
    assert (outside["n"], outside["left_out"]) == (12, 1)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("external elsewhere: of 12 images with a tumour these shares are called any tumour: noaug ")
    assert f"aug {outside['called_tumour']:.3f} (" in line
    assert line.endswith("; left out as copies of images that train or validate: 1")


@pytest.mark.parametrize(("source", "most"), [("phantom", 24), ("folder", 8)])
def test_few_patients_and_more_phantoms_are_shown(study: Callable[..., None], source: str, most: int) -> None:
    study(source, COUNTS, wrong=0.5)
    pictures = figures.choose_errors(load_params())
    shown = [row["image"] for rows in pictures.values() for row in rows]
    assert 0.7 * most <= len(shown) <= most
    groups = {row["path"]: row["group"] for name in ("val", "test") for row in read_csv(f"data/split/{name}.csv")}
    assert len({groups[image] for image in shown}) == len(shown)
    rows = read_csv("data/errors/errors.csv")
    assert {row["part"] for row in rows} == {"clean", "leaked"}
    assert {row["kind"] for row in rows} == {"confident error", "unsure right answer"}
    assert {row["part"] for row in read_csv("data/errors/label_suspects.csv")} <= {"clean", "leaked", "validation"}


@pytest.mark.parametrize("scale", [2.0, 1e4], ids=["soft", "probabilities of 0 and 1"])
@pytest.mark.parametrize("n", [1, 5])
def test_a_test_set_of_one_image_and_none_from_elsewhere(
    study: Callable[..., None], n: int, scale: float, capsys: pytest.CaptureFixture[str]
) -> None:
    study("folder", {**COUNTS, "test": n, "external": 0}, scale, wrong=0.0)
    metrics = strictly(Path("metrics/aug.json").read_text())
    assert metrics["test"]["all"]["n"] == n
    assert metrics["errors"]["all"]["n"] == 0
    assert metrics["external"] == {}
    assert capsys.readouterr().out == ""
