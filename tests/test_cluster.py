"""A Dask cluster in place of the cores: a scheduler and workers on loopback; the same bytes, though one is lost."""

import errno
import hashlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from heads import head
from pictures import LIMITS, encoded, write_folder

from brain_mri.audit.collections import describe_collections, open_collections
from brain_mri.cli.predict import batches
from brain_mri.errors import UserError
from brain_mri.files import progress, write_bytes
from brain_mri.params import load_params
from brain_mri.prediction.inputs import list_inputs
from brain_mri.workers import workers

pytest.importorskip("distributed", reason="distributed is not installed: pip install brain-mri[cluster]")

ROOT = Path(__file__).parent.parent
Start = Callable[..., subprocess.Popen]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a worker, in an environment and folder of its own if asked."""
    address = tmp_path / "scheduler.json"
    started = []

    def run(kind: str, *arguments: str, folder: Path = ROOT, path: Path = ROOT) -> subprocess.Popen:
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--scheduler-file", str(address), *arguments]
        environment = {**os.environ, "PYTHONPATH": str(path), "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "60s"}
        process = subprocess.Popen([*command, "--host", "127.0.0.1"], cwd=folder, env=environment, stderr=-3, stdout=-3)
        started.append(process)
        return process

    run("scheduler", "--port", "0", "--no-dashboard")
    while not address.exists():
        time.sleep(0.1)
    yield partial(run, "worker", "--nthreads", "1", "--no-nanny", "--no-dashboard")
    for process in reversed(started):
        process.kill()
        process.wait()


@pytest.fixture
def scheduler(tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    address = json.loads((tmp_path / "scheduler.json").read_text())["address"]
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", address)


def digest(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_the_same_crops(tmp_path: Path, start: Start, scheduler: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `brain-mri predict` gives the network, and what it says of a file that cannot be read."""
    monkeypatch.setattr("brain_mri.cli.predict.MANY", 1)
    write_folder(tmp_path / "images", {f"{seed:02d}.png": encoded(head(seed % 7)) for seed in range(40)})
    (tmp_path / "images/07.png").write_text("no image")
    start(), start()
    settings, found = load_params(ROOT / "params.yaml").crop, []
    for _ in range(2):
        with list_inputs([tmp_path / "images"], None, LIMITS) as (images, bad):
            found.append((np.concatenate([crops for _, crops in batches(images, settings, None, bad)]), bad))
        monkeypatch.delenv("DASK_SCHEDULER_ADDRESS", raising=False)
    (crops, bad), (alone, bad_alone) = found
    assert len(crops) == 39 and np.array_equal(crops, alone)
    assert bad == bad_alone and [Path(file.name).name for file in bad] == ["07.png"]


def test_the_same_descriptions_with_a_worker_lost_in_between(
    tmp_path: Path, start: Start, scheduler: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_folder(Path("images"), {f"{seed:03d}.png": encoded(head(seed % 7)) for seed in range(320)})
    lost, _ = start(), start()
    with open_collections([Path("images")], LIMITS) as collections:

        def losing(items, what, total):  # type: ignore[no-untyped-def]
            for place, item in enumerate(progress(items, what, total)):
                if place == 40:
                    lost.send_signal(signal.SIGKILL)
                yield item

        with monkeypatch.context() as patched:
            patched.setattr("brain_mri.audit.collections.progress", losing)
            describe_collections(collections, LIMITS, Path("cluster"))
        assert lost.wait(10) == -signal.SIGKILL
        monkeypatch.delenv("DASK_SCHEDULER_ADDRESS")
        describe_collections(collections, LIMITS, Path("alone"))
    assert digest(Path("cluster")) == digest(Path("alone"))


def test_a_worker_whose_disk_is_full_names_the_file_and_leaves_nothing(
    tmp_path: Path, start: Start, scheduler: None
) -> None:
    """A file size limit fills the disk of one process alone; the worker's own files fit below it."""
    worker = start()
    file = tmp_path / "crops/first.png"
    with pytest.raises(OSError) as error, workers() as pool:
        resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (2**20, 2**20))
        list(pool.map(partial(write_bytes, data=bytes(2**21)), [file]))
    assert (error.value.errno, error.value.filename) == (errno.EFBIG, str(file))
    assert list(file.parent.iterdir()) == []


def test_a_scheduler_that_does_not_answer_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brain_mri.cluster.SECONDS", 1)
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", "tcp://127.0.0.1:9")
    with pytest.raises(UserError, match=r"tcp://127.0.0.1:9: no scheduler answers") as error, workers():
        pass
    assert "\n" not in str(error.value)


def test_workers_that_cannot_take_part_are_one_line(
    tmp_path: Path, start: Start, scheduler: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("brain_mri.cluster.SECONDS", 1)
    with pytest.raises(UserError, match="the scheduler has no workers"), workers():
        pass
    monkeypatch.setattr("brain_mri.cluster.SECONDS", 60)
    # It runs in the same machine, so that only a folder that is gone is one that it cannot see.
    worker = start()
    gone = tmp_path / "gone"
    monkeypatch.setattr("pathlib.Path.cwd", lambda: gone)
    with pytest.raises(UserError, match=f"cannot see {gone}") as error, workers():
        pass
    assert "\n" not in str(error.value)
    monkeypatch.undo()
    worker.kill()
    worker.wait()


def test_another_version_of_the_package_is_one_line(
    tmp_path: Path, start: Start, scheduler: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    shutil.copytree(ROOT / "brain_mri", other / "brain_mri")
    write_bytes(other / "brain_mri/errors.py", (other / "brain_mri/errors.py").read_bytes() + b"# changed\n")
    monkeypatch.setattr("brain_mri.cluster.SECONDS", 60)
    start(folder=other, path=other)
    with pytest.raises(UserError, match="install the same on both") as error, workers():
        pass
    assert "\n" not in str(error.value)
