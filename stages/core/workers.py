"""A pool of processes over all cores, for loops over images."""

import os
import signal
from concurrent.futures import ProcessPoolExecutor

import cv2
from threadpoolctl import threadpool_limits


def workers() -> ProcessPoolExecutor:
    """Return a pool with a process for each core, each with one thread; ctrl-C is left to the parent."""
    return ProcessPoolExecutor(os.cpu_count(), initializer=_prepare)


def _prepare() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Idle threads of the linear algebra library spin, and more than double the time.
    threadpool_limits(1)
    cv2.setNumThreads(1)
