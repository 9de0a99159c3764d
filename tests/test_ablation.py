"""bench/ablation.py: its rows are what they say, and each can be run."""

import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "bench"))

import ablation  # noqa: E402

from brain_mri.params import load_params  # noqa: E402


def changed(overrides: dict, folder: Path) -> Path:
    params = yaml.safe_load((ROOT / ablation.STUDY / "params.yaml").read_text())
    for name, value in overrides.items():
        *sections, key = name.split(".")
        values = params
        for section in sections:
            values = values[section]
        assert key in values, name
        values[key] = yaml.safe_load(str(value))
    file = folder / "params.yaml"
    file.write_text(yaml.safe_dump(params))
    return file


@pytest.mark.parametrize("row", ablation.rows())
def test_each_row_is_a_valid_set_of_parameters(row: str, tmp_path: Path) -> None:
    overrides, seeds = ablation.rows()[row]
    params = load_params(changed(ablation.COST | ablation.MIXTURE | overrides | {"train.seed": seeds[0]}, tmp_path))
    assert params.model.image_size == (160 if row == "study-in-full" else 96)


def test_study_in_full_is_the_study(tmp_path: Path) -> None:
    overrides, seeds = ablation.rows()["study-in-full"]
    study = load_params(ROOT / ablation.STUDY / "params.yaml")
    seed = {"train.seed": study.train.seed}
    assert load_params(changed(ablation.COST | ablation.MIXTURE | overrides | seed, tmp_path)) == study
    assert study.train.seed in seeds


def test_a_lever_alone_and_all_less_it_differ_in_that_lever() -> None:
    rows = {name: overrides for name, (overrides, _) in ablation.rows().items()}
    for lever, switch in ablation.LEVERS.items():
        assert rows[f"all-less-{lever}"] == switch
        assert rows["none"].items() - rows[f"{lever}-alone"].items() == switch.items()
    assert "augment.phantoms" in rows["phantoms-alone"]


def test_a_row_of_several_seeds_shows_their_range() -> None:
    of = {name: [0.5, 0.7] for name in ablation.MEASURES}
    assert ablation.line("all", of).startswith("| all | 2 | 0.60 (0.50-0.70) |")
