"""Several devices and several processes: the training of one, its rows dealt out, its end together.

The processes are started from this file: python tests/test_distribution.py OUT IMAGES [SIGNAL INDEX], see `main`."""

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from test_training import examples, moved
from test_training import settings as short

from brain_mri.errors import UserError
from brain_mri.images.examples import Examples
from brain_mri.network import distribution
from brain_mri.network.batches import predict_logits
from brain_mri.network.interruption import Stopped
from brain_mri.network.resume import only_one
from brain_mri.network.training import fit

with_jax = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed")
ROOT = Path(__file__).parents[2]
SECONDS = 300  # on a machine that has much else to do
# The last batch has three of 21 images, as many as a device has of a full one, or one of 19: two cannot halve them.
SETTINGS = short(batch_size=6, epochs=3)


def main() -> None:
    """Train as the environment says and let the first process write the end to OUT.npz; a state is saved each step.

    Process INDEX sends itself SIGNAL in the second epoch."""
    out, count, *shot = sys.argv[1], int(sys.argv[2]), *sys.argv[3:]
    distribution.use_all_devices(SETTINGS.batch_size)

    def draw(indices: np.ndarray, epoch: int) -> Examples:
        if epoch == 1 and shot:
            if os.environ[distribution.INDEX] == shot[1]:
                os.kill(os.getpid(), int(shot[0]))
            time.sleep(0.5)  # JAX looks for SIGTERM once a second
        return moved(indices % 20, epoch)

    settings = SETTINGS.model_copy(update={"checkpoint_minutes": 1e-9}) if shot else SETTINGS
    model = tiny()
    try:
        history = fit(
            model, draw, np.ones(count), examples(14, 1), settings, Path(f"{out}.state.npz"), lambda row: None
        )
    except Stopped as stopped:
        print(stopped)
        sys.exit(128 + stopped.number)
    trained = model.get_weights()
    distribution.shut_down()
    if distribution.is_first():
        local = tiny()
        local.set_weights(trained)
        rows = np.array([list(row.values()) for row in history])
        np.savez(f"{out}.npz", *trained, predict_logits(local, examples(12, 2).images, 8), rows)


def tiny() -> keras.Model:
    """Batch statistics and dropout; no bias before them, whose gradient is nothing but rounding."""
    keras.utils.set_random_seed(3)
    image = keras.layers.Input((32, 32, 1), name="image")
    x = keras.layers.Conv2D(4, 3, strides=4, use_bias=False)(keras.layers.Rescaling(1 / 255)(image))
    x = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.5)(x))
    x = keras.layers.Dropout(0.4, seed=3)(keras.layers.GlobalAveragePooling2D()(x))
    return keras.Model(image, keras.layers.Softmax()(keras.layers.Dense(4, name="logits")(x)))


def start(out: Path, count: int, *shot: int, processes: int = 1, devices: int = 1) -> list[subprocess.Popen]:
    """Start the processes of one training; each writes its log beside OUT."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    common = {
        "KERAS_BACKEND": "jax",
        "JAX_PLATFORMS": "cpu",
        "PJRT_NPROC": "1",
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tests"))),
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
        distribution.ADDRESS: address,
        distribution.COUNT: str(processes),
    }
    started: list[subprocess.Popen] = []
    for index in range(processes):
        with Path(f"{out}.{index}.log").open("w") as log:
            started.append(
                subprocess.Popen(
                    [sys.executable, __file__, str(out), str(count), *map(str, shot)],
                    env=os.environ | common | {distribution.INDEX: str(index)},
                    stdout=log,
                    stderr=log,
                )
            )
    return started


def end(out: Path, *started: subprocess.Popen) -> list[np.ndarray]:
    """Wait for a training; return its weights, its logits and its history."""
    for index, process in enumerate(started):
        assert process.wait(SECONDS) == 0, Path(f"{out}.{index}.log").read_text()
    with np.load(f"{out}.npz") as file:
        return list(file.values())


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[np.ndarray]]:
    """The ends of undisturbed trainings, by the number of their images and who trained."""
    folder = tmp_path_factory.mktemp("undisturbed")
    trainings = {
        "19 one": start(folder / "19 one", 19),
        "19 two devices": start(folder / "19 two devices", 19, devices=2),
        "21 one": start(folder / "21 one", 21),
        "21 two processes": start(folder / "21 two processes", 21, processes=2),
    }
    return {name: end(folder / name, *started) for name, started in trainings.items()}


@with_jax
def test_devices_and_processes_do_not_change_the_result(ends: dict[str, list[np.ndarray]]) -> None:
    for one, two in (("19 one", "19 two devices"), ("21 one", "21 two processes")):
        for a, b in zip(ends[one], ends[two], strict=True):
            assert np.allclose(a, b, rtol=1e-5, atol=1e-6), (two, np.abs(a - b).max())
    assert not np.allclose(ends["19 one"][0], ends["21 one"][0], rtol=1e-3)


@with_jax
def test_one_that_is_killed_ends_the_others_and_all_go_on_to_the_same_bits(
    tmp_path: Path, ends: dict[str, list[np.ndarray]]
) -> None:
    first, second = start(tmp_path / "end", 21, signal.SIGKILL, 1, processes=2)
    assert second.wait(SECONDS) == -signal.SIGKILL
    assert first.wait(60) == 2
    assert "process 0: the connection to another process broke" in (tmp_path / "end.0.log").read_text()
    resumed = end(tmp_path / "end", *start(tmp_path / "end", 21, processes=2))
    assert "goes on after epoch 1" in (tmp_path / "end.1.log").read_text()
    assert all(np.array_equal(a, b) for a, b in zip(ends["21 two processes"], resumed, strict=True))


@with_jax
def test_a_signal_to_one_stops_all_after_the_same_step(tmp_path: Path) -> None:
    for process in start(tmp_path / "end", 21, signal.SIGTERM, 1, processes=2):
        assert process.wait(SECONDS) == 128 + signal.SIGTERM
    stops = [(tmp_path / f"end.{index}.log").read_text().splitlines()[-1] for index in range(2)]
    assert stops[0].startswith("stopped by SIGTERM after epoch 1 and")
    assert stops[0] == stops[1]


def told(monkeypatch: pytest.MonkeyPatch, count: str, index: str, backend: str = "jax") -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    monkeypatch.setenv(distribution.COUNT, count)
    monkeypatch.setenv(distribution.INDEX, index)


@pytest.mark.parametrize(("count", "index"), [("two", "0"), ("2", "2"), ("0", "0"), ("2", "-1")])
def test_numbers_that_are_none(monkeypatch: pytest.MonkeyPatch, count: str, index: str) -> None:
    told(monkeypatch, count, index)
    with pytest.raises(UserError, match=rf"NUM_PROCESSES = {count}, .*PROCESS_ID = {index}: expected"):
        distribution.processes()


def test_several_processes_need_jax(monkeypatch: pytest.MonkeyPatch) -> None:
    told(monkeypatch, "2", "0", "tensorflow")
    with pytest.raises(UserError, match="several processes need KERAS_BACKEND=jax"), distribution.process_group():
        pass
    told(monkeypatch, "1", "0", "tensorflow")
    with distribution.process_group():
        assert distribution.is_first()


@pytest.mark.parametrize("address", ["", "10.0.0.1", "1234"])
def test_an_address_without_a_port(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    told(monkeypatch, "2", "0")
    monkeypatch.setenv(distribution.ADDRESS, address)
    with pytest.raises(UserError, match="expected host:port of process 0"), distribution.process_group():
        pass


@with_jax
def test_a_batch_that_cannot_be_dealt_out(monkeypatch: pytest.MonkeyPatch) -> None:
    import jax

    told(monkeypatch, "1", "0")
    monkeypatch.setattr(jax, "device_count", lambda: 4)
    with pytest.raises(UserError, match=r"train\.batch_size = 30: does not divide by the 4 devices"):
        distribution.use_all_devices(30)


def test_the_processes_of_one_run_have_a_lock_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    told(monkeypatch, "2", "0")
    with only_one("noaug"):
        with pytest.raises(UserError, match="still trains it"), only_one("noaug"):
            pass
        told(monkeypatch, "2", "1")
        with only_one("noaug"), pytest.raises(UserError, match="still trains it"), only_one("noaug"):
            pass


if __name__ == "__main__":
    with distribution.process_group():
        main()
