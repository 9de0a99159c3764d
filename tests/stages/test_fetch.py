"""fetch, in a folder of its own: what each source is told, what is said of it, and where a missing one is to be had."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from pictures import png, write_folder

from brain_mri.errors import UserError
from brain_mri.files import read_csv, read_yaml
from brain_mri.sources import archive, external, figshare
from stages import fetch

ROOT = Path(__file__).parents[2]
CLASSES = ["glioma", "notumor"]
Study = Callable[..., Path]


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """Return a function that makes a study of the given sections, the working directory, and its empty store."""

    def make(**sections: dict) -> Path:
        params = read_yaml(ROOT / "params.yaml")
        params.update({name: {**(params[name] or {}), **values} for name, values in sections.items()})
        for key in ("seed", "training_per_class", "testing_per_class"):
            del params["dataset"][key]
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("BRAIN_MRI_DATA", str(tmp_path / "store"))
        return tmp_path / "store"

    return make


def write_slice(path: Path, side: int) -> None:
    import h5py

    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        group = file.create_group("cjdata")
        group["image"] = np.arange(side * side, dtype=np.int16).reshape(side, side)
        group["tumorMask"] = np.eye(side, dtype=np.uint8)
        group["label"] = [[1.0]]
        group["PID"] = np.array([[49]], np.uint16)


def test_the_study_s_limits_hold_for_what_a_source_decodes(study: Study) -> None:
    store = study(
        dataset={"source": "figshare", "name": "cheng", "classes": ["meningioma", "glioma"], "negative": None},
        crop={"max_pixels": 2000},
    )
    write_slice(store / "cheng/1.mat", 40)
    write_slice(store / "cheng/2.mat", 50)
    fetch.main()
    assert [row["path"] for row in read_csv("data/raw.csv")] == ["meningioma/1.png"]
    (refused,) = read_csv("data/refused.csv")
    assert refused["path"] == "2.mat"
    assert "the limit is 2,000 px" in refused["reason"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"source": "figshare", "name": "cheng"}, figshare.SOURCE["url"]),
        (
            {"source": "archive", "name": "brain-tumor-mri-v1", "fingerprint": "0" * 64, "outlines": None},
            archive.SOURCE["url"],
        ),
        ({"source": "folder", "name": "mine"}, "a folder mine in"),
    ],
)
def test_a_missing_data_set_says_where_to_get_it(study: Study, values: dict, words: str) -> None:
    store = study(dataset=values)
    with pytest.raises(UserError) as caught:
        fetch.main()
    assert words in str(caught.value)
    assert str(store) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("required", [True, False])
def test_a_missing_external_set_says_where_its_images_are(
    study: Study, required: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    store = study(
        dataset={"source": "folder", "name": "mine", "classes": CLASSES},
        external={"name": "external-tumours", "classes": {"tumour": "tumour"}, "required": required},
    )
    write_folder(store / "mine", {f"{label}/{number}.png": png(number) for label in CLASSES for number in range(2)})
    if required:
        with pytest.raises(UserError, match=r"labels\.csv") as caught:
            fetch.main()
        said = str(caught.value)
    else:
        fetch.main()
        said = capsys.readouterr().err
        assert json.loads(Path("metrics/dataset.json").read_text())["external"]["missing"] == "not at hand"
    assert all(url in said for url in external.TUMOURS["url"].split(" | "))


def test_licence_and_citation_of_every_part_stand_in_the_metrics(study: Study) -> None:
    store = study(
        dataset={"source": "folder", "name": "mine", "classes": CLASSES},
        external={"name": "other", "classes": {"glioma": "glioma"}, "required": True},
    )
    write_folder(store / "mine", {f"{label}/{number}.png": png(number) for label in CLASSES for number in range(2)})
    write_folder(store / "other", {"glioma/a.png": png(7)})
    fetch.main()
    tables = json.loads(Path("metrics/dataset.json").read_text())
    assert set(tables) == {"dataset", "external"}
    for table in tables.values():
        assert {"name", "licence", "citation", "url", "images", "ignored"} <= set(table)


def test_outlines_are_a_thing_of_their_own_in_the_metrics(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        f"{part}/{label}/{number}.png": png(number) for part in archive.COUNTS for label in CLASSES for number in (0, 1)
    }
    store = study(dataset={"source": "archive", "name": "small", "classes": CLASSES, "fingerprint": "0" * 64})
    write_folder(store / "small", files)
    params = read_yaml("params.yaml")
    params["dataset"] |= {
        "fingerprint": archive.fingerprint(archive.inventory(store / "small")),
        "outlines": "outlines.csv.gz",
    }
    Path("params.yaml").write_text(yaml.safe_dump(params))
    monkeypatch.setattr(fetch.outlines, "read_outlines", lambda path: {})
    fetch.main()
    tables = json.loads(Path("metrics/dataset.json").read_text())
    assert set(tables) == {"dataset"}  # the crop adds up what each table ignored
    assert tables["dataset"]["outlines"]["licence"] == "CC BY 4.0"
    assert "Cheng" in tables["dataset"]["outlines"]["citation"]
