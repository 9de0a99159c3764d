"""Was dvc.lock made with the code and the parameters that lie beside it? DVC says so without running anything."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from brain_mri.errors import UserError

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
HEADER = ("stage", "input", "when dvc.lock was made", "now")


def stale(clone: Path, place: Path) -> list[list[str]]:
    """Return rows under HEADER of what a fresh clone holds otherwise than its study's dvc.lock says.

    Code, parameters and commands count, and metrics that are not the ones that the run wrote. Data and models, which a
    fresh clone has not got, do not.
    """
    study, rows = clone / place, []
    lock = yaml.load((study / "dvc.lock").read_bytes(), LOADER)["stages"]
    params = yaml.load((study / "params.yaml").read_bytes(), LOADER)
    for stage, notes in _status(clone, place).items():
        entry = lock.get(stage, {})
        for note in notes:
            if isinstance(note, str):
                rows.append([stage, "command", entry.get("cmd", "-"), note])
                continue
            for path, state in note.get("changed deps", {}).items():
                if isinstance(state, dict):
                    recorded = entry.get("params", {}).get("params.yaml", {})
                    rows += [[stage, *row] for key in state for row in _parameters(key, recorded, params)]
                elif state != "deleted" or not path.startswith((str(place / "data"), str(place / "models"))):
                    rows.append([stage, path, *_digests(clone, place, path, entry.get("deps", []))])
            for path, state in note.get("changed outs", {}).items():
                if path.endswith(".json") and state == "modified":
                    rows.append([stage, path, *_digests(clone, place, path, entry.get("outs", []))])
    return rows


def _status(clone: Path, place: Path) -> dict[str, Any]:
    command = ["status", "--json", str(place / "dvc.yaml")]
    done = subprocess.run([sys.executable, "-m", "dvc", *command], cwd=clone, capture_output=True, text=True)
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["no word of why"]
        raise UserError(f"dvc {' '.join(command)}: {said[0]}; mend it, commit, check again")
    # A stage of another folder is named by its file, "studies/compact/dvc.yaml:crop".
    return {name.rpartition(":")[2]: notes for name, notes in json.loads(done.stdout.splitlines()[-1]).items()}


def _parameters(key: str, recorded: dict[str, Any], params: dict[str, Any]) -> Iterator[list[str]]:
    """Yield (parameter, recorded, now) of what differs below a key that DVC found changed."""
    now: Any = params
    for name in key.split("."):
        now = now.get(name) if isinstance(now, dict) else None
    before, after = (dict(_flat(key, value)) for value in (recorded.get(key), now))
    for name in {**before, **after}:
        if _plain(before.get(name)) != _plain(after.get(name)):
            yield [name, str(before.get(name, "-")), str(after.get(name, "-"))]


def _flat(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _flat(f"{key}.{name}", inner)
    else:
        yield key, value


def _plain(value: Any) -> Any:
    """The value as it compares: YAML 1.1 takes 1e-05, as DVC writes it, for text."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return value


def _digests(clone: Path, place: Path, path: str, entries: list[dict[str, str]]) -> list[str]:
    file = clone / path
    recorded = {(place / entry["path"]).as_posix(): entry.get("md5", "-") for entry in entries}
    resolved = {(clone / name).resolve(): digest for name, digest in recorded.items()}
    now = hashlib.md5(file.read_bytes()).hexdigest()[:8] if file.is_file() else "not there"
    return [resolved.get(file.resolve(), "-")[:8], now]
