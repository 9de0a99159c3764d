"""What classification needs to know of a study that has been run, read and checked without loading the network."""

import hashlib
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from brain_mri.errors import UserError
from brain_mri.files import read_json
from brain_mri.params import Crop, Params, load_params

REAL = Path("studies/compact-robust")  # of the studies of real images the one that holds up best on others
CARD = "card.json"  # as in brain_mri.network.saved, whose import would load Keras


class Card(BaseModel):
    """What a model file tells about itself; see stages/train.py."""

    model_config = ConfigDict(frozen=True)

    classes: Annotated[list[str], Field(min_length=2)]
    image_size: Annotated[int, Field(ge=1)]
    crop: Crop
    temperature: Annotated[float, Field(gt=0)]


@dataclass(frozen=True)
class Study:
    """A study's model file and how to use it.

    `digest` is the model file's SHA-256, and `onnx` the same network for a quick start; None: the study has none.
    `threshold` is the calibrated confidence, 0 to 1, below which a person decides; None: never. `guard` is the file of
    the detector of what is no brain MRI; None: the study has none. `notes` say what is missing, a line each.
    """

    params: Params
    model: Path
    digest: str
    onnx: Path | None
    card: Card
    threshold: float | None
    guard: Path | None
    notes: list[str]

    @property
    def offered(self) -> str:
        """The explanation that is shown first."""
        return self.params.model.architecture.explanation


def default_study(root: Path) -> Path:
    """The study that answers where none is named: REAL once it has been run or pulled, else the one of phantoms."""
    return root / REAL if any((root / REAL / "models").glob("*.keras")) else root


def open_study(folder: Path, pipeline: str | None = None) -> Study:
    """Read a study's folder; `pipeline` is noaug or aug, None the one that its params.yaml names.

    Raises UserError where the study is none, has not been run, or has a model of another version.
    """
    if not (folder / "params.yaml").is_file():
        raise UserError(f"{folder}: no study (it has no params.yaml); name a folder such as studies/compact")
    params = load_params(folder / "params.yaml")
    pipeline = pipeline or params.pipeline
    model = folder / "models" / f"{pipeline}.keras"
    card = read_card(model, folder)
    notes = []
    metrics = folder / "metrics" / f"{pipeline}.json"
    threshold = read_threshold(metrics)
    if threshold is None:
        notes.append(f"{metrics}: no threshold of confidence; every answer stands, none is left to a person")
    guard: Path | None = folder / "models" / f"{pipeline}-guard.npz"
    if guard and not guard.is_file():
        notes.append(f"{guard}: not there; no warning of images that are no brain MRI (the stage guard makes it)")
        guard = None
    onnx = model.with_suffix(".onnx")
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    return Study(params, model, digest, onnx if onnx.is_file() else None, card, threshold, guard, notes)


def read_card(model: Path, folder: Path) -> Card:
    """Read the card inside a model file; UserError where the file is missing, broken, or of another version."""
    again = f"run `dvc repro {folder / 'dvc.yaml'}`"
    try:
        with zipfile.ZipFile(model) as file:
            return Card.model_validate(json.loads(file.read(CARD)))
    except FileNotFoundError:
        raise UserError(f"{model}: not there, the study has not been run; {again}") from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise UserError(f"{model}: made by another version (its card, {key}: {first['msg']}); {again}") from None
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        said = " ".join(str(error).split())[:160]
        raise UserError(f"{model}: not a model of this project ({said}); remove it and {again}") from None


def read_threshold(metrics: Path) -> float | None:
    """Read the confidence that the study asks of an answer; None where it found none or was not evaluated."""
    try:
        threshold = read_json(metrics)["selective"]["threshold"]
    except (UserError, KeyError, TypeError):
        return None
    return float(threshold) if isinstance(threshold, (int, float)) else None
