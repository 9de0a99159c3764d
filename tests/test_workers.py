"""The pool: one thread a process, and ctrl-C ends it in one line."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
from threadpoolctl import threadpool_info

from brain_mri.workers import bounded_map, workers

STAGES = Path(__file__).parent.parent / "stages"


def threads(_: int) -> list[int]:
    return [cv2.getNumThreads(), *(library["num_threads"] for library in threadpool_info())]


def test_each_process_has_one_thread() -> None:
    with workers() as pool:
        for counts in pool.map(threads, range(4)):
            assert set(counts) == {1}


def test_bounded_map_keeps_order_and_takes_few_tasks_ahead() -> None:
    taken = []
    tasks = (taken.append(number) or -number for number in range(20))
    with workers(2) as pool:
        results = bounded_map(pool, abs, tasks, ahead=3)
        assert next(results) == 0
        assert len(taken) == 4
        assert list(results) == list(range(1, 20))


def test_threads_of_the_parent_do_not_hang_the_pool() -> None:
    script = (
        "import cv2, numpy\nfrom brain_mri.workers import workers\n"
        "if __name__ == '__main__':\n"
        "    cv2.setNumThreads(4)\n"
        "    cv2.GaussianBlur(numpy.zeros((2000, 2000)), (9, 9), 0)\n"
        "    with workers() as pool:\n"
        "        print(list(pool.map(abs, [-1, -2])))"
    )
    process = subprocess.run(
        [sys.executable, "-c", script], cwd=STAGES, capture_output=True, text=True, timeout=120, start_new_session=True
    )
    assert process.stdout == "[1, 2]\n", process.stderr


def test_ctrl_c_ends_in_one_line() -> None:
    script = (
        "import os\nimport signal\nimport time\nfrom brain_mri.errors import run\nfrom brain_mri.workers import workers\n"
        "def main():\n"
        "    with workers(2) as pool:\n"
        "        at_work = set()\n"
        "        while len(at_work) < 2:\n"  # a worker that is still starting would show where
        "            at_work.update(future.result() for future in [pool.submit(os.getpid) for _ in range(8)])\n"
        "        futures = [pool.submit(time.sleep, 1) for _ in range(4)]\n"
        "        print('started', flush=True)\n"
        "        [future.result() for future in futures]\n"
        "if __name__ == '__main__':\n"
        "    signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # what starts the tests may ignore it
        "    run(main)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=STAGES,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert errors.strip().count("\n") == 0, errors
    assert "interrupted" in errors
