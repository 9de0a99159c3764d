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

from brain_mri.errors import UserError
from brain_mri.files import read_json, read_yaml
from brain_mri.studies.sides import METRICS, PIPELINES

DATA = ("dataset", "crop", "split")
JUDGED = {".".join(("test", part, *path)) for part in ("all", "clean") for path in METRICS.values()}
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
    def numeric(self) -> bool:
        return isinstance(self.first, (int, float)) and isinstance(self.second, (int, float))

    @property
    def held(self) -> bool | None:
        """Whether the second value lies within the tolerance; None where it is not judged."""
        if self.tolerance is None:
            return None
        return isinstance(self.second, (int, float)) and self.tolerance[0] <= self.second <= self.tolerance[1]

    @property
    def proportion(self) -> float:
        if not self.numeric:
            return float("inf")
        return abs(self.second - self.first) / max(abs(self.first), abs(self.second), 1e-9)

    def row(self) -> list[str]:
        """The cells under HEADER."""
        low, high = self.tolerance or (0, 0)
        within = "-" if self.tolerance is None else f"{low:g} to {high:g}" if low < high else "the same"
        held = {None: "-", True: "yes", False: "NO"}[self.held]
        gap = f"{self.second - self.first:+.6g}" if self.numeric else "-"
        return [self.stage, self.file, self.key, _short(self.first), _short(self.second), gap, within, held]


def read_run(study: Path) -> Run:
    """Read what the run of a study left; UserError where it was not run."""
    try:
        lock = read_yaml(study / "dvc.lock")
    except FileNotFoundError:
        raise UserError(f"{study / 'dvc.lock'}: not there, the study was not run; `dvc repro`, then commit") from None
    except UserError:
        raise UserError(f"{study / 'dvc.lock'}: not a lock file of DVC; `git checkout` it or run `dvc repro`") from None
    if not isinstance(lock, dict) or "stages" not in lock:
        raise UserError(f"{study / 'dvc.lock'}: has no stages; `git checkout` it or run `dvc repro`")
    digests = {
        out["path"]: (stage, out["md5"]) for stage, entry in lock["stages"].items() for out in entry.get("outs", [])
    }
    tables = [path for path in digests if path.endswith(".json") and (study / path).is_file()]
    return Run(digests, {path: dict(_flat(read_json(study / path))) for path in tables})


def differences(first: Run, second: Run) -> list[Difference]:
    """Return what differs, in the order of the stages: a row for each file that is no JSON, and for each number."""
    found = []
    for path in {**first.digests, **second.digests}:
        (stage, one), (other_stage, two) = (run.digests.get(path, ("", None)) for run in (first, second))
        if one == two:
            continue
        stage = stage or other_stage
        old, new = (run.metrics.get(path, {}) for run in (first, second))
        changed = [key for key in {**old, **new} if old.get(key) != new.get(key)]
        if not changed:
            found.append(Difference(stage, path, "bytes", one, two, None))
        for key in changed:
            found.append(Difference(stage, path, key, old.get(key), new.get(key), tolerance(first, path, key)))
    return found


def tolerance(run: Run, file: str, key: str) -> tuple[float, float] | None:
    """Return the interval in which a number of another run must lie; None where it is not judged."""
    name = Path(file).stem
    if name in DATA:
        value = run.metrics.get(file, {}).get(key)
        return (value, value) if isinstance(value, (int, float)) else (float("nan"), float("nan"))
    if name not in PIPELINES or key not in JUDGED:
        return None
    intervals = run.metrics.get("metrics/intervals.json", {})
    low, high = (intervals.get(f"{name}.{key.removeprefix('test.')}.{end}") for end in (0, 1))
    return None if low is None or high is None else (low, high)


def table(found: list[Difference], most: int = 3) -> list[list[str]]:
    """Return the rows to print: every judged number and every file, and of the other numbers of a file the `most` that
    differ most in proportion, with a count of the rest."""
    rows = []
    for file in dict.fromkeys(one.file for one in found):
        of_file = [one for one in found if one.file == file]
        plain = sorted((one for one in of_file if one.tolerance is None), key=lambda one: one.proportion, reverse=True)
        rows += [one.row() for one in of_file if one.tolerance is not None or one in plain[:most]]
        if len(plain) > most:
            rows.append([of_file[0].stage, file, f"... and {len(plain) - most} more numbers", "", "", "", "-", "-"])
    return rows


def judge(first: Run, second: Run, exact: bool) -> tuple[bool, str]:
    """Return whether the second run reproduces the first one, and one line on how; `exact`: bytes must hold."""
    found = differences(first, second)
    if not found:
        return True, f"REPRODUCED TO THE BYTE: all {len(first.digests)} outputs are the same"
    changed = len({one.file for one in found})
    begins = f"{changed} of {len(first.digests)} outputs differ, the first of them in stage {found[0].stage}"
    if failed := [one for one in found if one.held is False]:
        worst = f"{failed[0].file} {failed[0].key}"
        return False, f"NOT REPRODUCED: {begins}; {len(failed)} out of tolerance, the first is {worst}"
    if not first.metrics.get("metrics/intervals.json"):
        return False, f"NOT REPRODUCED: {begins}; there are no intervals to judge the metrics by"
    if exact:
        return False, f"NOT REPRODUCED TO THE BYTE: {begins}; the numbers hold within the tolerance"
    return True, (
        f"REPRODUCED WITHIN THE TOLERANCE, not to the byte: {begins}; the numbers of the data are the same, the test"
        " metrics are in the committed 95 % intervals. Another make of CPU explains that, and nothing else should"
    )


def _flat(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(value, (dict, list)):
        yield key, value
        return
    for name, entry in value.items() if isinstance(value, dict) else enumerate(value):
        yield from _flat(entry, f"{key}.{name}" if key else str(name))


def _short(value: Any) -> str:
    text = "-" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 24 else f"{text[:8]}..."
