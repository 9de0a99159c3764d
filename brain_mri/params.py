"""The schema of `params.yaml`: every key of every study, its type and its range. What a key does stands in the file."""

import difflib
import unicodedata
from pathlib import Path
from typing import Annotated, Literal

import matplotlib
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from brain_mri.architectures import ARCHITECTURES, Architecture
from brain_mri.errors import UserError, first_problem
from brain_mri.files import read_yaml

PIPELINES = ("noaug", "aug")  # without and with augmentation
PAPER_CLASSES = frozenset({"glioma", "meningioma", "notumor", "pituitary"})  # of brain_mri/evaluation/published.py


class Section(BaseModel):
    """A section of the file: unknown keys and loose types are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError("must be odd")
    return value


def _colormap(name: str) -> str:
    if name not in matplotlib.colormaps:
        near = difflib.get_close_matches(name, list(matplotlib.colormaps), n=1)
        raise ValueError("no colour map of Matplotlib" + (f"; did you mean {near[0]}?" if near else ""))
    return name


def _network(name: str) -> str:
    if name not in ARCHITECTURES:
        raise ValueError(f"must be one of {', '.join(ARCHITECTURES)}")
    return name


Colormap = Annotated[str, AfterValidator(_colormap)]
Share = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]
Count = Annotated[int, Field(ge=1)]
FileName = Annotated[str, Field(min_length=1)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
# macOS gives the names of folders decomposed (NFD): what names a class, or may, is compared in one form.
Name = Annotated[str, Field(min_length=1), AfterValidator(lambda name: unicodedata.normalize("NFC", name))]
Classes = Annotated[list[Name], Field(min_length=2)]


class Images(Section):
    """What every source of images has."""

    classes: Classes
    negative: Name | None
    groups: FileName | None

    @property
    def negative_class(self) -> int | None:
        """The number of `negative` among the classes."""
        return None if self.negative is None else self.classes.index(self.negative)

    @model_validator(mode="after")
    def _negative_is_a_class(self) -> "Images":
        if self.negative is not None and self.negative not in self.classes:
            raise ValueError(f"negative is {self.negative!r}: must be one of classes, or null")
        if len(set(self.classes)) < len(self.classes):
            raise ValueError("classes names a class twice")
        return self


class Phantoms(Images):
    source: Literal["phantom"]
    seed: Seed
    training_per_class: Count
    testing_per_class: Count


class Published(Images):
    """The Brain Tumor MRI Dataset: from a zip or folder at hand, or fetched from Kaggle."""

    source: Literal["archive", "kaggle"]
    name: FileName
    fingerprint: Sha256
    outlines: FileName | None


class Local(Images):
    """Images in a folder or zip at hand: Cheng's MATLAB files, or the user's own."""

    source: Literal["figshare", "folder"]
    name: FileName


class External(Section):
    name: FileName
    classes: Annotated[dict[Name, Name], Field(min_length=1)]
    required: bool


class Crop(Section):
    stretch: bool
    blur: Annotated[int, Field(ge=1, le=31), AfterValidator(_odd)]
    threshold: Annotated[int, Field(ge=0, le=254)]
    erode: Annotated[int, Field(ge=0, le=20)]
    dilate: Annotated[int, Field(ge=0, le=20)]
    padding: Annotated[int, Field(ge=0, le=200)]
    size: Annotated[int, Field(ge=32, le=1024)]
    interpolation: Literal["area", "linear"]
    min_side: Annotated[int, Field(ge=8)]
    max_pixels: Annotated[int, Field(ge=1024)]
    max_quarantined: Share


class Audit(Section):
    search: Annotated[float, Field(gt=-1, le=1)]
    same: Annotated[float, Field(ge=-1, le=1)]
    neighbours: Count
    scans: Annotated[float, Field(gt=-1, le=1)] | None


class Split(Section):
    policy: Literal["official", "leak_free", "grouped"]
    patients: bool
    folds: Annotated[int, Field(ge=2, le=20)]
    fold: Annotated[int, Field(ge=0)]
    validation: Annotated[float, Field(gt=0, lt=0.9)]
    seed: Seed

    @model_validator(mode="after")
    def _fold_is_there(self) -> "Split":
        if self.fold >= self.folds:
            raise ValueError(f"fold is {self.fold}: must be less than folds, {self.folds}; they are counted from 0")
        return self


class Model(Section):
    network: Annotated[str, AfterValidator(_network)]
    image_size: Annotated[int, Field(ge=32, le=512)]
    standardise: bool
    weights: Annotated[str, Field(min_length=1)]
    weights_sha256: Sha256 | None
    dropout: Annotated[float, Field(ge=0, lt=1)]
    batch_norm_momentum: Annotated[float, Field(gt=0, lt=1)]

    @property
    def architecture(self) -> Architecture:
        return ARCHITECTURES[self.network]

    @model_validator(mode="after")
    def _weights_can_be_had(self) -> "Model":
        if self.weights in ("none", "imagenet"):
            if self.weights_sha256 is not None:
                raise ValueError(f"weights_sha256 belongs to a weights file, but weights is {self.weights!r}: use null")
            if self.weights == "imagenet" and not self.architecture.imagenet:
                raise ValueError(f"weights is imagenet: there are none for {self.network}; use none")
        elif self.weights_sha256 is None:
            raise ValueError(f"weights names the file {self.weights!r}: weights_sha256 must give its sha256")
        return self


class Plateau(Section):
    factor: Annotated[float, Field(gt=0, lt=1)]
    patience: Count
    min_learning_rate: Annotated[float, Field(ge=0)]


class Train(Section):
    seed: Seed
    threads: Annotated[int, Field(ge=1, le=64)]
    deterministic: bool
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"]
    jit: bool
    checkpoint_minutes: Annotated[float, Field(gt=0, le=1440)]
    epochs: Count
    batch_size: Count
    accumulate: Annotated[int, Field(ge=1, le=1024)]
    optimizer: Literal["adam", "adamw"]
    learning_rate: Annotated[float, Field(gt=0, le=1)]
    weight_decay: Annotated[float, Field(ge=0, le=1)]
    schedule: Literal["plateau", "cosine"]
    warmup_epochs: Annotated[int, Field(ge=0)]
    plateau: Plateau
    early_stopping_patience: Count
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]
    lesion_map: Annotated[float, Field(ge=0, le=1000)]
    sampling: Literal["images", "groups"]

    @model_validator(mode="after")
    def _warmup_fits(self) -> "Train":
        if self.warmup_epochs >= self.epochs:
            raise ValueError(f"warmup_epochs is {self.warmup_epochs}: must be less than epochs, {self.epochs}")
        return self


class Counterfactual(Section):
    """How often an image is changed; each is a share of the images that it can come to."""

    remove: Share  # of the images with an outlined lesion: it is taken out, the label becomes the negative class
    insert: Share  # of the images of the negative class: a training lesion is put in, the label becomes its own
    sham: Share  # of the images then left alone: a patch without lesion is painted over, or put in; the label stays

    @property
    def changes_any(self) -> bool:
        return bool(self.remove or self.insert or self.sham)


class Appearance(Section):
    """The largest strength of each change, in the unit of its function; 0, or 1 pixel for `low_resolution`: never."""

    invert: Share
    gamma: Annotated[float, Field(ge=0, le=2)]
    contrast: Annotated[float, Field(ge=0, lt=1)]
    brightness: Annotated[float, Field(ge=0, le=2)]
    bias_field: Annotated[float, Field(ge=0, lt=2)]
    ghosting: Annotated[float, Field(ge=0, lt=1)]
    motion: Annotated[float, Field(ge=0, le=0.2)]
    low_resolution: Annotated[float, Field(ge=1, le=8)]
    blur: Annotated[float, Field(ge=0, le=0.1)]
    sharpen: Annotated[float, Field(ge=0, le=5)]
    rician_noise: Annotated[float, Field(ge=0, le=0.5)]

    @property
    def changes_any(self) -> bool:
        return any(strength > (name == "low_resolution") for name, strength in self)


class Plain(Section):
    epochs: Annotated[int, Field(ge=0)]
    share: Share


class Augment(Section):
    rotation: Annotated[float, Field(ge=0, le=180)]
    shift: Annotated[float, Field(ge=0, le=0.5)]
    zoom: Annotated[float, Field(ge=0, lt=1)]
    flip: bool
    phantoms: Annotated[float, Field(ge=0, lt=1)]
    counterfactual: Counterfactual
    appearance: Appearance
    plain: Plain
    mixup: Annotated[float, Field(ge=0, le=10)]


class Evaluate(Section):
    published: bool
    mirrored: bool
    batch_size: Count
    resamples: Annotated[int, Field(ge=100, le=100_000)]
    seed: Seed
    error: Annotated[float, Field(gt=0, lt=1)]
    sets: Annotated[float, Field(gt=0, lt=1)]


class Probe(Section):
    images: Count


class Gradcam(Section):
    layer: Annotated[str, Field(min_length=1)]
    target: Name
    samples_per_class: Annotated[int, Field(ge=1, le=20)]
    images: Annotated[int, Field(ge=2)]

    @property
    def named_layer(self) -> str | None:
        """The layer's name; None for the last convolution's activation."""
        return None if self.layer == "last" else self.layer


class Plots(Section):
    dpi: Annotated[int, Field(ge=40, le=600)]
    colormap: Colormap
    heatmap: Colormap
    overlay: Share


class Params(Section):
    code: str
    pipeline: Literal["noaug", "aug"]
    dataset: Annotated[Phantoms | Published | Local, Field(discriminator="source")]
    external: External | None
    crop: Crop
    audit: Audit
    split: Split
    model: Model
    train: Train
    augment: Augment
    evaluate: Evaluate
    probe: Probe
    gradcam: Gradcam
    plots: Plots

    @model_validator(mode="after")
    def _sections_agree(self) -> "Params":
        network, rates = self.model.architecture, self.augment.counterfactual
        known = ["predicted", "actual", *self.dataset.classes]
        if self.gradcam.target not in known:
            raise ValueError(f"gradcam.target is {self.gradcam.target!r}: must be one of {', '.join(known)}")
        for key, needs_negative in (
            (f"model.network = {self.model.network}", network.lesion_map),
            ("augment.counterfactual", rates.changes_any),
        ):
            if needs_negative and self.dataset.negative is None:
                raise ValueError(f"{key}: dataset.negative is null; name the class that means 'no tumour'")
        if self.evaluate.published and (missing := PAPER_CLASSES.difference(self.dataset.classes)):
            raise ValueError(
                "evaluate.published is true: the paper's numbers are of classes that the study lacks "
                f"({', '.join(sorted(missing))}); set false"
            )
        if self.augment.plain.epochs > self.train.epochs:
            raise ValueError(
                f"augment.plain.epochs is {self.augment.plain.epochs}: must be at most train.epochs, "
                f"{self.train.epochs}"
            )
        if network.lesion_map and self.augment.mixup:
            raise ValueError(
                f"augment.mixup is {self.augment.mixup}: must be 0 for {self.model.network}, whose lesion map has one "
                "class at each place"
            )
        size = self.model.image_size
        if size % network.stride:
            raise ValueError(
                f"model.image_size is {size}: must be a multiple of {network.stride} for {self.model.network}"
            )
        if size > self.crop.size:
            raise ValueError(f"model.image_size is {size}: must be at most crop.size, {self.crop.size}")
        return self


def load_params(path: Path | str = "params.yaml") -> Params:
    """Read and check the study's parameters; raises UserError with one line that names the key."""
    try:
        values = read_yaml(path)
    except FileNotFoundError:
        raise UserError(f"{path}: not there; run a stage in a study's folder, or let `dvc repro` do it") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: holds no keys; expected the sections {', '.join(Params.model_fields)}")
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        missing = "it stands in every study's params.yaml with its range"
        raise UserError(f"{path}: {first_problem(error, Params, missing)}") from None
