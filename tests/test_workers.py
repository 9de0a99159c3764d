"""The pool: one thread a process, and ctrl-C ends it in one line."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
from threadpoolctl import threadpool_info

from core.workers import workers

STAGES = Path(__file__).parent.parent / "stages"


def threads(_: int) -> list[int]:
    return [cv2.getNumThreads(), *(library["num_threads"] for library in threadpool_info())]


def test_each_process_has_one_thread() -> None:
    with workers() as pool:
        for counts in pool.map(threads, range(4)):
            assert set(counts) == {1}


def test_ctrl_c_ends_in_one_line() -> None:
    script = (
        "import time\nfrom core.files import progress, run\nfrom core.workers import workers\n"
        "def main():\n"
        "    with workers() as pool:\n"
        "        futures = [pool.submit(time.sleep, 1) for _ in range(4)]\n"
        "        print('started', flush=True)\n"
        "        [future.result() for future in futures]\n"
        "run(main)"
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
