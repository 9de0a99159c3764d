"""A pool of processes over all cores, for loops over images."""

import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import TypeVar

import cv2
from threadpoolctl import threadpool_limits

from brain_mri.errors import UserError

Task = TypeVar("Task")
Result = TypeVar("Result")


@contextmanager
def workers(processes: int | None = None) -> Iterator[ProcessPoolExecutor]:
    """Give a pool of fresh processes (default: one for each core), each with one thread; ctrl-C is left to the parent.

    To be called from the main thread, which alone may set how a signal is handled. Raises UserError where the system
    has no locks to share between processes.
    """
    # "spawn": a fork would hang on the threads of OpenCV, which do not survive it.
    try:
        executor = ProcessPoolExecutor(processes or os.cpu_count(), get_context("spawn"), initializer=_one_thread)
    except (OSError, ImportError, NotImplementedError) as error:
        raise UserError(
            f"worker processes cannot be had ({' '.join(str(error).split())}): they share memory in /dev/shm; mount "
            "it, writable and with room (docker run --shm-size=1g), then run again"
        ) from None
    with executor as pool:
        # What is ignored as a process starts stays ignored in it; the first task starts them all.
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            pool.submit(int)
        finally:
            signal.signal(signal.SIGINT, handler)
        yield pool


def bounded_map(
    pool: ProcessPoolExecutor, function: Callable[[Task], Result], tasks: Iterable[Task], ahead: int = 8
) -> Iterator[Result]:
    """Map in order, with at most `ahead` tasks taken from the iterable and not yet returned: memory stays flat."""
    waiting: deque[Future[Result]] = deque()
    for task in tasks:
        if len(waiting) == ahead:
            yield waiting.popleft().result()
        waiting.append(pool.submit(function, task))
    while waiting:
        yield waiting.popleft().result()


def _one_thread() -> None:
    # Idle threads of the linear algebra library spin, and more than double the time.
    threadpool_limits(1)
    cv2.setNumThreads(1)
