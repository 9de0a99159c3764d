"""The pool: one thread a process, and ctrl-C ends it in one line."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
from threadpoolctl import threadpool_info

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


IMPORTS = (
    "import cv2, numpy, os, signal, time\nfrom brain_mri.errors import run\nfrom brain_mri.workers import workers\n"
)


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


def test_ctrl_c_ends_in_one_line() -> None:
    # A worker that is still starting would show where; what starts the tests may ignore the signal.
    process = run_script("""
def main():
    with workers(2) as pool:
        at_work = set()
        while len(at_work) < 2:
            at_work.update(future.result() for future in [pool.executor.submit(os.getpid) for _ in range(8)])
        futures = [pool.executor.submit(time.sleep, 1) for _ in range(4)]
        print("started", flush=True)
        [future.result() for future in futures]
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    run(main)
""")
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert errors.strip().count("\n") == 0, errors
    assert "interrupted" in errors
