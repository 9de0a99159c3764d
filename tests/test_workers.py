"""The pool: one thread a process, and whatever ends the parent ends all of it, quietly."""

import importlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

import cv2
import pytest
from threadpoolctl import threadpool_info

from brain_mri import cli
from brain_mri.workers import AHEAD, workers

ROOT = Path(__file__).parent.parent


def threads(_: int) -> list[int]:
    return [cv2.getNumThreads(), *(library["num_threads"] for library in threadpool_info())]


def test_each_process_has_one_thread() -> None:
    with workers() as pool:
        for counts in pool.map(threads, range(4)):
            assert set(counts) == {1}


def test_map_keeps_order_and_takes_few_tasks_ahead() -> None:
    taken = []
    tasks = (taken.append(number) or -number for number in range(100))
    with workers(2) as pool:
        results = pool.map(abs, tasks, chunk=3)
        assert next(results) == 0
        assert len(taken) == 3 * (2 * AHEAD + 1)
        assert list(results) == list(range(1, 100))


def test_what_waits_is_dropped_when_the_block_ends() -> None:
    with pytest.raises(ZeroDivisionError), workers(2) as pool:
        futures = [pool.executor.submit(time.sleep, 0.1) for _ in range(100)]
        raise ZeroDivisionError
    assert sum(future.cancelled() for future in futures) > 80


IMPORTS = """
import cv2, numpy, os, signal, tempfile, time
from brain_mri.errors import run
from brain_mri.workers import workers
"""


def run_script(body: str) -> subprocess.Popen:
    command = [sys.executable, "-c", IMPORTS + body]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=ROOT, text=True, start_new_session=True, **pipes)


def test_threads_of_the_parent_do_not_hang_the_pool() -> None:
    process = run_script("""
if __name__ == "__main__":
    cv2.setNumThreads(4)
    cv2.GaussianBlur(numpy.zeros((2000, 2000)), (9, 9), 0)
    with workers() as pool:
        print(list(pool.map(abs, [-1, -2])))
""")
    output, errors = process.communicate(timeout=120)
    assert output == "[1, 2]\n", errors


def start_pool(folder: Path, *, at_work: bool) -> subprocess.Popen:
    """A pool that is starting or, `at_work`, has begun, with more to do than a minute's work and something in the
    folder to clean up."""
    process = run_script(f"""
def main():
    with tempfile.TemporaryDirectory(dir={str(folder)!r}), workers(2) as pool:
        if {at_work}:
            pool.executor.submit(abs, 1).result()
        print("ready", flush=True)
        list(pool.map(time.sleep, [0.5] * 200))
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what starts the tests may ignore it
    run(main)
""")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("at_work", [False, True])
def test_ctrl_c_ends_in_one_line_however_often_it_is_pressed(tmp_path: Path, at_work: bool) -> None:
    process = start_pool(tmp_path, at_work=at_work)
    for _ in range(4):
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.1)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert len(errors.splitlines()) == 1 and "interrupted" in errors, errors
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("at_work", [False, True])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)])
def test_no_worker_outlives_its_parent(tmp_path: Path, number: signal.Signals, code: int, at_work: bool) -> None:
    process = start_pool(tmp_path, at_work=at_work)
    process.send_signal(number)
    # The workers hold the output: it ends when they have.
    _, errors = process.communicate(timeout=30)
    assert process.returncode == code, errors
    if number == signal.SIGTERM:
        assert not errors and not any(tmp_path.iterdir())


def test_ctrl_c_while_a_command_is_loaded_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: str) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(importlib, "import_module", interrupted)
    monkeypatch.setattr(sys, "argv", ["brain-mri", "audit", "."])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 130
    assert capsys.readouterr().err == "brain-mri audit: interrupted; run the same command again to go on\n"
