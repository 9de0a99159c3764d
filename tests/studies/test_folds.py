"""The folds of a study, pooled."""

from pathlib import Path

import numpy as np
import pytest

from brain_mri import results
from brain_mri.errors import UserError
from brain_mri.params import load_params
from brain_mri.studies import folds
from brain_mri.studies.folds import HeldOut, paired_verdict, pool_held_out, pooled_sides, summary, views
from brain_mri.studies.sides import Files, Side

ROOT = Path(__file__).parents[2]
CLASSES = ["glioma", "meningioma", "notumor"]


def held_out(right: float, seed: int, count: int = 90) -> HeldOut:
    """Slices of 30 patients, half of which have a number; each is called right with the given chance."""
    rng = np.random.default_rng(seed)
    people = np.arange(count) // 3
    labels = people % 3
    called = np.where(rng.random(count) < right, labels, (labels + 1) % 3)
    names = np.where(people % 2, [f"{seed}-{number}" for number in people], "")
    return HeldOut(labels, np.eye(3)[called] * 0.8 + 0.2 / 3, people + 100 * seed, names)


def test_slices_patients_and_tumours_are_counted() -> None:
    seen = views(held_out(0.8, 0), CLASSES, "notumor")
    assert {name: len(view.labels) for name, view in seen.items()} == {
        "slices": 90,
        "patients": 15,
        "tumours_alone": 60,
    }
    assert seen["tumours_alone"].classes == ["glioma", "meningioma"]
    # Two of three slices right are a right patient.
    assert seen["patients"].metrics()["accuracy"] > seen["slices"].metrics()["accuracy"]


def test_without_patients_or_a_negative_class_slices_alone_are_counted() -> None:
    nobody = held_out(0.8, 0)._replace(patients=np.full(90, ""))
    assert list(views(nobody, CLASSES, None)) == ["slices"]


def side(fold: int, images: int = 3, **changes: object) -> Side:
    """A fold that holds out some images of its own, run with its parameters but for some changes."""

    def read(path: str) -> str:
        if path.endswith("external.csv"):
            return "path,source\n"
        rows = [f"{fold}-{place},glioma,{place},clean,0.8,0.1,0.1,p{place}" for place in range(images)]
        return "\n".join(["path,label,group,part,p_glioma,p_meningioma,p_notumor,patient", *rows])

    params = {"dataset": {"classes": CLASSES}, "split": {"fold": fold, "folds": 2}, "train": {"epochs": 5}}
    return Side(f"fold {fold}", "aug", params | changes, Files(Path(), None, "", "", "", read, read))


def test_folds_that_belong_together_alone_are_pooled() -> None:
    params = load_params(Path(__file__).parents[2] / "params.yaml")
    params = params.model_copy(update={"dataset": params.dataset.model_copy(update={"classes": CLASSES})})
    assert [len(fold.labels) for fold in pooled_sides([side(0), side(1, 4)], params)] == [3, 4]
    for sides, words in (
        ([side(0), side(1, train={"epochs": 6})], "fold 1: run with other parameters"),
        ([side(0), side(1), side(2)], "a split into 2 folds, and split.folds is 3"),
    ):
        with pytest.raises(UserError, match=words):
            pooled_sides(sides, params)


def test_a_fold_that_was_not_run_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    study = Path("studies/paper")  # of which no fold is in git
    with pytest.raises(UserError, match=r"studies/paper: fold 0 was not run, .*brain-mri folds studies/paper --run"):
        folds.held_out(study, load_params(study / "params.yaml"))


def test_folds_are_pooled_and_told_apart(tmp_path: Path) -> None:
    pooled = pool_held_out([held_out(0.9, 0), held_out(0.5, 1)], CLASSES, "notumor", 200, 0)
    assert pooled["slices"]["metrics"]["n"] == 180
    apart = [fold["accuracy"] for fold in pooled["slices"]["folds"]]
    assert pooled["slices"]["metrics"]["accuracy"] == pytest.approx(np.mean(apart))
    low, high = pooled["slices"]["intervals"]["accuracy"]
    assert min(apart) < low < np.mean(apart) < high < max(apart)
    both = {"noaug": pooled, "aug": pooled}
    results.write(tmp_path / "folds.json", both)
    spread = np.std([fold["balanced_accuracy"] for fold in pooled["slices"]["folds"]], ddof=1)
    assert summary(both)[0][-1].endswith(f"{spread:.3f}")


def test_pipelines_are_compared_on_all_held_out_slices_at_once() -> None:
    worse = [held_out(0.6, 0), held_out(0.6, 1)]
    better = [fold._replace(probabilities=np.eye(3)[fold.labels] * 0.8 + 0.2 / 3) for fold in worse]
    params = load_params(Path(__file__).parents[2] / "params.yaml")
    params = params.model_copy(update={"dataset": params.dataset.model_copy(update={"classes": CLASSES})})
    assert paired_verdict({"noaug": worse, "aug": better}, params).startswith("The images can tell")
    assert "cannot tell" in paired_verdict({"noaug": worse, "aug": worse}, params)
