"""The schema of `metrics/*.json`: what each stage measures, for those that read it.

Keys that are data (classes, sources, methods, kinds) stand in dictionaries; where a file mixes them with fixed keys,
the model has them as typed extras. A number is None, null in the file, where it is not defined.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from brain_mri.errors import UserError, first_problem
from brain_mri.files import format_json, write_bytes

T = TypeVar("T")
R = TypeVar("R", bound="Result")
Number = float | None
Interval = tuple[float, float] | None  # low, high; 95 %


class Result(BaseModel):
    """A table of a file: unknown keys and loose types are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)

    def demand(self, names: Collection[str]) -> None:
        """Raise ValueError where one of the names is not there."""
        if lacking := [name for name in names if name not in self.model_fields_set]:
            raise ValueError(f"{lacking[0]}: missing")


class Open(Result):
    """A table with fixed keys and, of one type, keys that are data."""

    model_config = ConfigDict(extra="allow")


class Both(Result, Generic[T]):
    noaug: T
    aug: T


class Parts(Result, Generic[T]):
    """By part of the test set."""

    all: T
    clean: T
    leaked: T


class FoundParts(Result, Generic[T]):
    """By part of the test set that has images."""

    all: T
    clean: T | None = None
    leaked: T | None = None


class Sample(Result):
    """What was measured of `n` images; of none, it is left out, and `reason` says why."""

    measured: ClassVar[tuple[str, ...]]
    n: int
    reason: str | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        self.demand(self.measured if self.n else ())
        return self


class Rate(Result):
    value: Number
    interval: Interval


class Mean(Rate):
    n: int


# metrics/dataset.json


class Source(Result):
    name: str
    licence: str
    citation: str
    url: str


class Patients(Source):
    """`other_class`: the images whose class is not that of most of their patient's."""

    other_class: list[str]


class Images(Source):
    images: dict[str, dict[str, int]]  # by part, then class; with_mask by class; patients known
    ignored: int
    outlines: Source | None = None
    patients: Patients | None = None
    missing: str | None = None


class Dataset(Result):
    dataset: Images
    external: Images | None = None


# metrics/crop.json


class AreaKept(Result):
    median: float
    min: float
    max: float


class Crop(Result):
    found: int
    used: int
    quarantined: int
    ignored: int
    quarantined_by_reason: dict[str, int]
    kept_whole: int
    area_kept: AreaKept
    raw_sizes: int


# metrics/split.json


class Counts(Open):
    """Images, in all and by class, and the groups that they form."""

    __pydantic_extra__: dict[str, int] = Field(init=False)
    images: int
    groups: int


class Copies(Result):
    of: int
    with_copy: int
    level: dict[str, int]
    orientation: dict[str, int]


class Chain(Result):
    group: int
    size: int
    hops: int
    weakest: float
    ends: tuple[str, str]
    ends_similarity: float


class SharedPatients(Result):
    """Held-out images, those whose patient is known, and those whose patient is shown in the part that trains: the
    train split, or `Training/` for the published test images."""

    of: int
    patient_known: int
    patient_in_training: int


class Scans(Result):
    """Links between slices of one head among images without a known patient; precision and recall on the others."""

    links: int
    images_without_patient: int
    of_these_linked: int
    known_links: int
    known_precision: Number
    known_recall: Number


class Audit(Result):
    pairs: dict[str, int]  # by level
    redundant_files: dict[str, dict[str, int]]  # by level, then class
    largest_group: int
    label_conflicts: list[list[str]]
    least_coherent_groups: list[Chain]
    test_images_with_a_copy_in_training: dict[str, Copies] | None = None  # where the images come in two parts
    patients: dict[Literal["val", "test", "published_test"], SharedPatients] | None = None  # None in older results
    scans: Scans | None = None  # None where audit.scans is
    external_left_out: dict[Literal["images"], int]


class Split(Result):
    train: Counts
    val: Counts
    test: Counts
    external: Counts
    audit: Audit


# metrics/{noaug,aug,test}.json, metrics/intervals.json, metrics/comparison.json


class Tumour(Result, Generic[T]):
    sensitivity: T
    specificity: T


class OfClass(Result, Generic[T]):
    support: int | None = None
    precision: T
    recall: T
    f1: T
    roc_auc: T
    average_precision: T


METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "macro_roc_auc", "log_loss", "brier", "classes")


class Metrics(Result, Generic[T]):
    """All metrics of a classifier, or their intervals or differences; none where they are not defined. `tumour` needs
    a negative class."""

    accuracy: T | None = None
    balanced_accuracy: T | None = None
    macro_f1: T | None = None
    macro_roc_auc: T | None = None
    log_loss: T | None = None
    brier: T | None = None
    tumour: Tumour[T] | None = None
    classes: dict[str, OfClass[T]] | None = None

    @model_validator(mode="after")
    def _all_or_none(self) -> Self:
        self.demand(METRICS if self.model_fields_set.intersection(METRICS) else ())
        return self


class Part(Metrics[Number], Sample):
    measured = METRICS


class External(Metrics[Number]):
    """An external source: the share of its tumours that are seen, and all metrics where it has two known classes."""

    n: int
    groups: int
    left_out: int
    n_with_tumour: int | None = None
    called_tumour: Number = None
    n_class_known: int | None = None
    called_true_class: Number = None


class Training(Result):
    epochs: int
    best_epoch: int
    final_train_accuracy: float
    final_val_accuracy: float
    best_val_accuracy: float
    best_val_loss: float


class Errors(Result):
    n: int
    wrong_in_both: int
    same_wrong_class: int
    pairs: dict[str, dict[str, int]]


class CalibrationErrors(Result):
    ece_equal_width: Number
    ece_equal_mass: Number


class Scaled(Result):
    before: CalibrationErrors
    after: CalibrationErrors


class Calibration(Parts[Scaled]):
    temperature: float
    external: dict[str, Scaled]


class Answered(Result):
    n: int
    n_kept: int
    coverage: Number
    error: Number


class Curve(Answered):
    aurc: Number
    aurc_best: Number
    aurc_random: Number


class Selective(Parts[Curve]):
    error_wanted: float
    threshold: Number
    val: Answered
    external: dict[str, Curve]


class SetsOf(Result):
    """How often sets of classes hold the true one, how large they are, how many are of one class."""

    n: int
    coverage: Number
    mean_size: Number
    single: Number
    by_class: dict[str, float]  # coverage


class Sets(Parts[SetsOf]):
    level: float
    thresholds: dict[str, float]
    val: SetsOf
    external: dict[str, SetsOf]


class Evaluation(Result):
    training: Training
    test: Parts[Part]
    patients: Part | None = None  # None in older results
    external: dict[str, External]
    errors: Parts[Errors]
    calibration: Calibration
    selective: Selective
    sets: Sets | None = None


class Test(Parts[Part]):
    pipeline: str
    patients: Part | None = None
    external: dict[str, External]


class ExternalIntervals(Metrics[Interval]):
    called_tumour: Interval = None
    called_true_class: Interval = None


class Intervals(FoundParts[Metrics[Interval]]):
    patients: Metrics[Interval] | None = None
    external: dict[str, ExternalIntervals]


class Difference(Result):
    a: Number
    b: Number
    difference: Number
    interval: Interval


class McNemar(Result):
    n: int
    both_right: int
    only_a_right: int
    only_b_right: int
    both_wrong: int
    p_value: Number


class Agreement(Result):
    n: int
    agree: Number
    kappa: Number
    both_wrong: int
    same_wrong_class: int


class Compared(Result, Generic[T]):
    verdict: str
    mcnemar: McNemar
    agreement: Agreement
    aug_minus_noaug: T


class Comparison(FoundParts[Compared[Metrics[Difference]]]):
    external: dict[str, Compared[dict[Literal["sensitivity"], Difference]]]


# metrics/probe.json


class Kept(Rate):
    chance: Number
    if_lesion_ignored: Number


class OfProbe(Sample):
    """What becomes of right tumour calls; `called_negative` needs a negative class."""

    measured = ("kept", "called_other")
    kept: Kept | None = None
    called_negative: Rate | None = None
    called_other: Rate | None = None


class ProbeByClass(OfProbe):
    left_out: int | None = None
    by_class: dict[str, OfProbe]


class Transplant(Sample):
    measured = ("lesion", "sham", "p_value")
    lesion: Rate | None = None
    sham: Rate | None = None
    p_value: Number = None


class OfSource(Result):
    n: int
    sources: int
    chance: float
    balanced_accuracy: Number
    interval: Interval
    images: dict[str, int]
    reason: str | None = None


class Sources(Open):
    """By class, or n = 0 and the reason."""

    __pydantic_extra__: dict[str, OfSource] = Field(init=False)
    n: Literal[0] | None = None
    reason: str | None = None


class Robustness(Open):
    """By corruption, then strength."""

    __pydantic_extra__: dict[str, dict[str, Rate]] = Field(init=False)
    n: int
    clean: Rate
    mean: dict[str, Rate]


class Probed(Result):
    verdict: str
    probes: dict[str, ProbeByClass]
    transplant: Transplant
    source: Sources
    robustness: Robustness


class Probe(Both[Probed]):
    lesion_images: int
    robustness_images: int


# metrics/gradcam.json


class OfLesions(Mean):
    chance: Number


class OfSize(OfLesions):
    pixels: tuple[int, int] | None


class Localisation(Result, Generic[T]):
    pointing_game: T
    energy_in_mask: T
    iou: T
    pixel_average_precision: T
    pointing_game_by_class: dict[str, OfLesions] | None = None
    pointing_game_by_size: dict[str, OfSize] | None = None


class ByMethod(Open, Generic[T]):
    __pydantic_extra__: dict[str, T] = Field(init=False)
    n: int


class Likeness(Result, Generic[T]):
    rank_correlation: T
    ssim: T
    hog_correlation: T


class Randomised(Likeness[list[Number]]):
    """A mean a step; `other_image` is the chance level, `left` the share of the map that is left."""

    other_image: Likeness[list[Number]]
    left: list[Number]


class Verdict(Result):
    passes: bool
    sentence: str


class Sanity(Result):
    n: int
    seeds: int
    limit: float
    layers: list[str]
    cascading: dict[str, Randomised]
    verdicts: dict[str, Verdict]
    independent: dict[str, Randomised]


class Explained(Open):
    """By method; layer and size are those of the layer that is explained."""

    __pydantic_extra__: dict[str, Localisation[Mean]] = Field(init=False)
    layer: str
    map_size: tuple[int, int]
    faithfulness: ByMethod[dict[str, Mean]]  # by curve
    sanity: Sanity
    stability: ByMethod[dict[str, Likeness[Mean]]]  # by change of the image


class Agreed(Likeness[Mean]):
    other_image: Likeness[Number]


class Gradcam(Both[Explained]):
    target: str
    test_images: int
    lesion_images: int
    tolerance: int
    threshold: float
    chance: dict[str, Localisation[Number]]  # by map that saw neither image nor network
    agreement: ByMethod[Agreed]


# metrics/guard.json


class Flagged(Result):
    n: int
    rate: float


class FlaggedByKind(Flagged):
    kinds: dict[str, float]


class Guarded(Result):
    false_alarms: dict[Literal["val", "test", "external"], Flagged]
    hits: dict[Literal["choosing", "measuring"], FlaggedByKind]


# metrics/folds.json


class View(Result):
    """All folds pooled, and each by itself."""

    metrics: Part
    intervals: Metrics[Interval]
    folds: list[Part]


class Folds(Result):
    slices: View
    patients: View | None = None  # where patients are known
    tumours_alone: View | None = None  # where there are several kinds


SCHEMAS: dict[str, type[Result]] = {
    "dataset": Dataset,
    "crop": Crop,
    "split": Split,
    "noaug": Evaluation,
    "aug": Evaluation,
    "test": Test,
    "intervals": Both[Intervals],
    "comparison": Comparison,
    "probe": Probe,
    "gradcam": Gradcam,
    "guard": Both[Guarded],
    "folds": Both[Folds],
}  # by the file's name


def write(path: Path | str, values: Mapping[str, Any]) -> None:
    """Write `metrics/NAME.json` in the order of `values`, floats with 6 decimals, NaN as null.

    Raises pydantic's ValidationError, and writes nothing, where they do not fit the schema of that name."""
    text = format_json(values)
    SCHEMAS[Path(path).stem].model_validate_json(text)
    write_bytes(path, text.encode())


def read(path: Path | str, schema: type[R]) -> R:
    """Read what `write` wrote; raises UserError that names file and key where it is missing or broken."""
    try:
        return schema.model_validate_json(Path(path).read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path}: not there; `dvc repro` makes it") from None
    except ValidationError as error:
        problem = first_problem(error, schema, "every file of this version of the code has it")
        raise UserError(f"{path}: {problem}") from None
