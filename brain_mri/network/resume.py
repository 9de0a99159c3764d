"""The saved state of a training: all that a run needs to go on after any step and to end in the same bits."""

import fcntl
import hashlib
import io
import json
import os
import sys
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from brain_mri.errors import UserError
from brain_mri.files import replacing
from brain_mri.images.examples import Examples
from brain_mri.network.distribution import broadcast, is_first, processes

FOLDER = Path(".resume")  # git-ignored and no output of a stage: DVC removes outputs before it runs a stage
Row = dict[str, float]


@contextmanager
def only_one(pipeline: str) -> Iterator[None]:
    """Hold this pipeline's lock: a killed `dvc` leaves its training running, and two must not write one model.

    Each of the processes that train together has a lock of its own. Raises UserError where another run holds it."""
    FOLDER.mkdir(exist_ok=True)
    name = pipeline if is_first() else f"{pipeline}-{processes()[1]}"
    with (FOLDER / f"{name}.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            raise UserError(
                f"train {pipeline}: process {lock.read() or '?'} still trains it in this study; wait for it or stop it"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def state_file(pipeline: str, depends_on: object, splits: Iterable[Examples]) -> Path:
    """Return the file of the state of a training, named after all that its result depends on: `depends_on`, whose repr
    tells it apart (parameters); the images; the backend and its version; the script and all modules of this project
    that have been loaded. A state under another name must not be resumed, so all must be loaded by now; a line tells
    where there is one. Raises UserError where the first of several processes has another name."""
    backend = keras.backend.backend()
    digest = hashlib.sha256(repr((pipeline, depends_on)).encode())
    digest.update(f"{keras.__version__} {backend} {sys.modules[backend].__version__}".encode())
    for file in loaded_code():
        digest.update(file.name.encode() + file.read_bytes())
    for examples in splits:
        for part in vars(examples).values():
            digest.update(b"" if part is None else part)
    name = digest.hexdigest()[:16].encode()
    if broadcast(name) != name:
        raise UserError(
            "train: process 0 has other parameters, data or code than this one; bring the same to each machine"
        )
    file = FOLDER / f"{pipeline}-{name.decode()}.npz"
    if not file.exists() and (others := sorted(FOLDER.glob(f"{pipeline}-*.npz"))):
        tqdm.write(f"train: {others[0]} is of a run with other parameters, data or code; training starts anew")
    return file


def loaded_code() -> list[Path]:
    """Return the files of the script that runs and of all modules of the package `brain_mri` loaded by now."""
    names = sorted(name for name in sys.modules if name.partition(".")[0] == "brain_mri")
    files = [getattr(sys.modules[name], "__file__", None) for name in ("__main__", *names)]
    return [Path(file) for file in files if file]


def discard_states(pipeline: str) -> None:
    """Remove all saved states of the pipeline: its result is safe."""
    for file in FOLDER.glob(f"{pipeline}-*.npz"):
        file.unlink()


@dataclass
class State:
    """Where a training stands, besides the variables of model and optimiser (dropout's seeds are among the model's).

    The counters of the rules that stop it or lower the rate are no part of it: they follow from the history."""

    history: list[Row] = field(default_factory=list)  # of the finished epochs
    best_weights: list[np.ndarray] = field(default_factory=list)  # of the finished epoch with the lowest val_loss
    step: int = 0  # steps taken in the epoch after them
    sums: list[np.ndarray] = field(default_factory=list)  # the metrics' running sums over these steps


def values_of(variables: list[Any]) -> list[np.ndarray]:
    """Return copies of the variables' values."""
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def assign(variables: list[Any], values: list[np.ndarray]) -> None:
    """Give each variable its value."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _variables(trainee: keras.Model) -> list[Any]:
    return [*trainee.variables, *trainee.optimizer.variables]


def save(file: Path, trainee: keras.Model, state: State) -> bool:
    """Write the state, whole or not at all, and say whether that was possible; of several processes, the first does.

    Where it was not (a full disk), one line tells so and the state before stays: hours of training in memory are worth
    more than the right to stop them."""
    if not is_first():
        return True
    facts = {"history": state.history, "step": state.step}
    try:
        with replacing(file) as temporary, temporary.open("wb") as target:
            with zipfile.ZipFile(target, "w") as archive:
                archive.writestr("facts.json", json.dumps(facts))
                for name, variables in _parts(trainee, state):
                    for place, variable in enumerate(variables):  # one after the other: the model is not copied whole
                        with archive.open(f"{name}{place}.npy", "w", force_zip64=True) as entry:
                            np.lib.format.write_array(entry, np.asarray(keras.ops.convert_to_numpy(variable)))
            target.flush()
            os.fsync(target.fileno())
    except OSError as error:
        tqdm.write(f"{file}: {error.strerror or error}; the state saved before is kept, training goes on")
        return False
    return True


def _parts(trainee: keras.Model, state: State) -> Iterator[tuple[str, list[Any]]]:
    yield "variable", _variables(trainee)
    yield "best", state.best_weights
    yield "sum", state.sums


def restore(file: Path, trainee: keras.Model, rules: list[keras.callbacks.Callback]) -> State:
    """Return the saved state and put model, optimiser and rules into it; a new state where none is saved.

    A damaged file is left aside under another name, and one line tells so. Several processes get the first one's."""
    source: Any = file
    found = file.exists()
    if processes()[0] > 1:
        data = broadcast(file.read_bytes() if is_first() and found else b"")
        source, found = io.BytesIO(data), bool(data)
    if not found:
        return State()
    try:
        with zipfile.ZipFile(source) as archive:
            facts = json.loads(archive.read("facts.json"))
            values, best, sums = (_read(archive, name) for name in ("variable", "best", "sum"))
        state = State(facts["history"], best, facts["step"], sums)
        if len(values) != len(_variables(trainee)) or len(best) != (len(trainee.weights) if state.history else 0):
            raise ValueError("it lacks variables")
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        tqdm.write(f"{file}: the saved state is damaged ({error}); left aside, training starts anew")
        if is_first():
            file.replace(file.with_suffix(".damaged"))
        return State()
    for epoch, row in enumerate(state.history):
        for rule in rules:
            rule.on_epoch_end(epoch, dict(row))
    assign(_variables(trainee), values)
    tqdm.write(f"train: goes on after epoch {len(state.history)}" + f", step {state.step}" * bool(state.step))
    return state


def _read(archive: zipfile.ZipFile, name: str) -> list[np.ndarray]:
    count = sum(entry.startswith(name) for entry in archive.namelist())
    arrays = []
    for place in range(count):
        with archive.open(f"{name}{place}.npy") as entry:
            arrays.append(np.lib.format.read_array(entry))
    return arrays
