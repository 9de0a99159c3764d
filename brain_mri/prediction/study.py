"""What classification needs to know of a study that has been run, read and checked without loading the network."""

import hashlib
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import AliasPath, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

import brain_mri
from brain_mri import results
from brain_mri.errors import UserError, first_problem, reason
from brain_mri.params import Crop, Params, load_params

RELEASED = Path("released")  # what `brain-mri release` wrote, a study's folder with what prediction needs
CARD = "card.json"  # as in brain_mri.network.saved, whose import would load Keras


class Card(BaseModel):
    """What a model file tells about itself; see stages/train.py."""

    model_config = ConfigDict(frozen=True)

    classes: Annotated[list[str], Field(min_length=2)]
    image_size: Annotated[int, Field(ge=1)]
    crop: Annotated[Crop, BeforeValidator(lambda crop: {"stretch": False, **crop})]  # older cards lack the key
    temperature: Annotated[float, Field(gt=0)]


@dataclass(frozen=True)
class Study:
    """A study's network and how to use it. A released study has no Keras file."""

    folder: Path
    pipeline: str
    params: Params
    keras: Path | None  # the model file; None: a release
    digest: str  # SHA-256 of the model file, of which the ONNX file was made
    onnx: Path | None  # the same network for a quick start; None: the study has none
    card: Card
    # The calibrated confidence, 0 to 1, below which a person decides; infinite where none is high enough; None: never.
    threshold: float | None
    excluded_below: dict[str, float] | None  # of each class, the calibrated probability; None: none is excluded
    guard: Path | None  # the detector of what is no brain MRI; None: the study has none
    notes: list[str]  # what is missing, a line each

    @property
    def offered(self) -> str:
        """The explanation that is shown first."""
        return self.params.model.architecture.explanation


def default_study(root: Path = Path(brain_mri.__file__).parent.parent) -> Path:
    """Return the study that answers where none is named: the released one, else the one of phantoms.

    Raises UserError where the package is installed without the studies."""
    for folder in (root / RELEASED, root):
        if (folder / "params.yaml").is_file():
            return folder
    raise UserError(f"{root}: brain_mri is installed there without a study; name one with --study")


def open_study(folder: Path | None = None, pipeline: str | None = None) -> Study:
    """Read a study's folder, None: the default study; `pipeline` is noaug or aug, None: the one of its params.yaml.

    Raises UserError where the study is none, has not been run, or has a file that is broken.
    """
    folder = folder or default_study()
    if not (folder / "params.yaml").is_file():
        raise UserError(f"{folder}: no study (it has no params.yaml); name a folder such as studies/compact")
    params = load_params(folder / "params.yaml")
    pipeline = pipeline or params.pipeline
    models = folder / "models"
    released, onnx_file, guard_file = (models / f"{pipeline}{end}" for end in (".json", ".onnx", "-guard.npz"))
    onnx, guard = (path if path.is_file() else None for path in (onnx_file, guard_file))
    keras = None if released.is_file() else models / f"{pipeline}.keras"
    if keras and not keras.is_file() and (others := sorted(models.glob("*.json"))):
        raise UserError(f"{folder}: a release of the pipeline {others[0].stem} alone; there is no {pipeline} in it")
    if keras is None:
        card, digest = read_released(released)
        if not onnx:
            raise UserError(f"{models}: the release lacks {onnx_file.name}; `git checkout` it")
    else:
        card = read_card(keras, f"run `dvc repro {folder / 'dvc.yaml'}`")
        digest = hashlib.sha256(keras.read_bytes()).hexdigest()
    if card.classes != params.dataset.classes:
        raise UserError(f"{folder}: params.yaml has the classes {params.dataset.classes}, the network {card.classes}")
    metrics = folder / "metrics" / f"{pipeline}.json"
    threshold, excluded_below = read_thresholds(metrics)
    notes = []
    if threshold is None:
        notes.append(f"{metrics}: not there, so there is no threshold; every answer stands, none is left to a person")
    elif threshold == np.inf:
        notes.append(f"{metrics}: no confidence was high enough on validation; every answer is left to a person")
    if not guard:
        notes.append(f"{guard_file}: not there; no warning of images that are no brain MRI (the stage guard makes it)")
    return Study(folder, pipeline, params, keras, digest, onnx, card, threshold, excluded_below, guard, notes)


class Released(Card):
    """The card of a release, which names the model that it was made of."""

    keras_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


def read_released(file: Path) -> tuple[Card, str]:
    """Read the card of a release, and the SHA-256 of the model that it was made of; UserError where it is broken."""
    try:
        card = Released.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise UserError(f"{file}: {first_problem(error, Released, '`git checkout` it')}") from None
    return card, card.keras_sha256


def read_card(model: Path, remedy: str) -> Card:
    """Read the card inside a model file; UserError, which ends with `remedy`, where the file is missing or broken."""
    try:
        with zipfile.ZipFile(model) as file:
            return Card.model_validate(json.loads(file.read(CARD)))
    except FileNotFoundError:
        raise UserError(f"{model}: not there, the study has not been run; {remedy}") from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise UserError(f"{model}: {key} in its {CARD}: {first['msg']}; {remedy}") from None
    except (zipfile.BadZipFile, KeyError, ValueError) as error:  # KeyError: no card; ValueError: a card that is no JSON
        raise UserError(f"{model}: not a model of this project ({reason(error)}); remove it and {remedy}") from None


class _Metrics(results.Result):
    """What is needed of metrics/*.json, whatever else an older study's has."""

    model_config = ConfigDict(extra="ignore")
    threshold: float | None = Field(validation_alias=AliasPath("selective", "threshold"))
    excluded_below: dict[str, float] | None = Field(None, validation_alias=AliasPath("sets", "thresholds"))


def read_thresholds(metrics: Path) -> tuple[float | None, dict[str, float] | None]:
    """Read the confidence that the study asks of an answer, infinite where it found none high enough, and below what
    probability it excludes each class, None where it did not ask; None for both where it was not evaluated."""
    if not metrics.is_file():
        return None, None
    found = results.read(metrics, _Metrics)
    return np.inf if found.threshold is None else found.threshold, found.excluded_below
