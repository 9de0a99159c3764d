"""Two runs of one study: which outputs differ in their bytes, which numbers by how much, and is that still the same
result?

On the machine that made a result, a run repeats it to the byte. On another make of CPU sums are taken in another order,
training grows that into other weights, and no number of a trained network repeats exactly. What must hold there:

- the data: every number of metrics/{dataset,crop,split}.json is the same, for no network is in them;
- the result: accuracy, balanced accuracy, macro F1, ROC AUC, tumour sensitivity and specificity and log loss of both
  pipelines, on all and on clean test images, lie within the first run's 95 % intervals (metrics/intervals.json).

Other numbers are listed, and not judged.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from brain_mri.errors import UserError
from brain_mri.files import read_json

DATA = ("dataset", "crop", "split")
PIPELINES = ("noaug", "aug")
JUDGED = (
    ("accuracy",),
    ("balanced_accuracy",),
    ("macro_f1",),
    ("macro_roc_auc",),
    ("tumour", "sensitivity"),
    ("tumour", "specificity"),
    ("log_loss",),
)
HEADER = ("stage", "file", "key", "first", "second", "difference", "tolerance", "held")


@dataclass(frozen=True)
class Run:
    """What a run left: the digest and the stage of each output, in the order of dvc.lock, and the numbers."""

    digests: dict[str, tuple[str, str]]  # path -> (stage, MD5)
    metrics: dict[str, dict[str, Any]]  # path of a JSON file -> dotted key -> value


@dataclass(frozen=True)
class Difference:
    """A file or a number that is not the same. `tolerance`: the interval that holds it; None: it is not judged."""

    stage: str
    file: str
    key: str
    first: Any
    second: Any
    tolerance: tuple[float, float] | None

    @property
    def held(self) -> bool | None:
        """Whether the second value lies within the tolerance; None where it is not judged."""
        if self.tolerance is None:
            return None
        if not isinstance(self.second, (int, float)):
            return False
        return self.tolerance[0] <= self.second <= self.tolerance[1]

    def row(self) -> list[str]:
        """The cells under HEADER."""
        numbers = isinstance(self.first, (int, float)) and isinstance(self.second, (int, float))
        within = "-"
        if self.tolerance is not None:
            low, high = self.tolerance
            within = f"{low:g} to {high:g}" if low < high else "the same"
        held = {None: "-", True: "yes", False: "NO"}[self.held]
        gap = f"{self.second - self.first:+.6g}" if numbers else "-"
        return [self.stage, self.file, self.key, _short(self.first), _short(self.second), gap, within, held]


def read_run(study: Path) -> Run:
    """Read what the run of a study left; UserError where it was not run."""
    try:
        lock = yaml.load((study / "dvc.lock").read_bytes(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except FileNotFoundError:
        raise UserError(f"{study / 'dvc.lock'}: not there, the study was not run; `dvc repro`, then commit") from None
    except yaml.YAMLError:
        raise UserError(f"{study / 'dvc.lock'}: not a lock file of DVC; `git checkout` it or run `dvc repro`") from None
    digests = {
        out["path"]: (stage, out["md5"]) for stage, entry in lock["stages"].items() for out in entry.get("outs", [])
    }
    metrics = {
        path: dict(_flat(read_json(study / path)))
        for path in digests
        if path.endswith(".json") and (study / path).is_file()
    }
    return Run(digests, metrics)


def differences(first: Run, second: Run) -> list[Difference]:
    """Return what differs, in the order of the stages: a row for each file that is no JSON, and for each number."""
    limits = tolerances(first)
    found = []
    for path in {**first.digests, **second.digests}:
        (stage, one), (_, two) = (run.digests.get(path, ("", None)) for run in (first, second))
        if one == two:
            continue
        stage = stage or second.digests[path][0]
        numbers = [run.metrics.get(path, {}) for run in (first, second)]
        changed = [key for key in {**numbers[0], **numbers[1]} if numbers[0].get(key) != numbers[1].get(key)]
        if not changed:
            found.append(Difference(stage, path, "bytes", one, two, None))
        for key in changed:
            old, new = (table.get(key) for table in numbers)
            found.append(Difference(stage, path, key, old, new, limits.get((path, key), _of_data(path, old))))
    return found


def tolerances(run: Run) -> dict[tuple[str, str], tuple[float, float]]:
    """Return (file, key) -> the 95 % interval of the judged numbers."""
    intervals = run.metrics.get("metrics/intervals.json", {})
    found = {}
    for pipeline in PIPELINES:
        for part in ("all", "clean"):
            for path in JUDGED:
                key = ".".join((pipeline, part, *path))
                low, high = (intervals.get(f"{key}.{place}") for place in (0, 1))
                if low is not None and high is not None:
                    found[f"metrics/{pipeline}.json", ".".join(("test", part, *path))] = (low, high)
    return found


def _of_data(path: str, value: Any) -> tuple[float, float] | None:
    if path not in [f"metrics/{name}.json" for name in DATA]:
        return None
    return (value, value) if isinstance(value, (int, float)) else (float("nan"), float("nan"))


def table(found: list[Difference], most: int = 3) -> list[list[str]]:
    """Return the rows to print: every judged number and every file, and of the other numbers of a file the `most` that
    differ most in proportion, with a count of the rest."""
    rows = []
    for file in dict.fromkeys(one.file for one in found):
        of_file = [one for one in found if one.file == file]
        plain = sorted((one for one in of_file if one.tolerance is None), key=_proportion, reverse=True)
        rows += [one.row() for one in of_file if one.tolerance is not None or one in plain[:most]]
        if len(plain) > most:
            rest = f"... and {len(plain) - most} more numbers"
            rows.append([of_file[0].stage, file, rest, "", "", "", "-", "-"])
    return rows


def judge(first: Run, second: Run, exact: bool) -> tuple[bool, str]:
    """Say whether the second run reproduces the first one, and how, as one line; `exact`: bytes must hold."""
    found = differences(first, second)
    if not found:
        return True, f"REPRODUCED TO THE BYTE: all {len(first.digests)} outputs are the same"
    changed = list(dict.fromkeys(one.file for one in found))
    begins = f"{len(changed)} of {len(first.digests)} outputs differ, the first of them in stage {found[0].stage}"
    if failed := [one for one in found if one.held is False]:
        worst = f"{failed[0].file} {failed[0].key}"
        return False, f"NOT REPRODUCED: {begins}; {len(failed)} out of tolerance, the first is {worst}"
    if not tolerances(first):
        return False, f"NOT REPRODUCED: {begins}; there are no intervals to judge the metrics by"
    if exact:
        return False, f"NOT REPRODUCED TO THE BYTE: {begins}; the numbers hold within the tolerance"
    return True, (
        f"REPRODUCED WITHIN THE TOLERANCE, not to the byte: {begins}; the numbers of the data are the same, the test"
        " metrics are in the committed 95 % intervals. Another make of CPU explains that, and nothing else should"
    )


def _proportion(one: Difference) -> float:
    if not (isinstance(one.first, (int, float)) and isinstance(one.second, (int, float))):
        return float("inf")
    return abs(one.second - one.first) / max(abs(one.first), abs(one.second), 1e-9)


def _flat(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = {str(place): entry for place, entry in enumerate(value)}.items()
    else:
        yield key, value
        return
    for name, entry in inner:
        yield from _flat(entry, f"{key}.{name}" if key else str(name))


def _short(value: Any) -> str:
    text = "-" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 24 else f"{text[:8]}..."
