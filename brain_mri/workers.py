"""A pool of workers for loops over images: processes over all cores of this machine, or a cluster's."""

import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from typing import Any, TypeVar

from brain_mri.cluster import cluster, one_thread
from brain_mri.errors import UserError, reason

Task = TypeVar("Task")
Result = TypeVar("Result")

AHEAD = 4  # chunks a worker that are taken and not yet returned


@dataclass(frozen=True)
class Pool:
    """`size` workers behind an executor."""

    executor: Executor
    size: int

    def map(self, function: Callable[[Task], Result], tasks: Iterable[Task], chunk: int = 1) -> Iterator[Result]:
        """Map in order; `chunk` tasks travel together. Few are taken from the iterable before they are needed, so that
        memory stays flat."""
        waiting: deque[Future[list[Result]]] = deque()
        left = iter(tasks)
        while some := list(islice(left, chunk)):
            if len(waiting) == AHEAD * self.size:
                yield from waiting.popleft().result()
            waiting.append(self.executor.submit(_each, function, some))
        while waiting:
            yield from waiting.popleft().result()


class _AtOnce(Executor):
    """Does what it is given here and now."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(function(*arguments, **named))
        return future


@contextmanager
def workers(most: int | None = None) -> Iterator[Pool]:
    """Give a pool of fresh processes, each with one thread, one for each core but at most `most`; ctrl-C is left to the
    parent. Where one is enough, the work is done here. Where the environment variable DASK_SCHEDULER_ADDRESS names a
    scheduler, its workers are taken instead, see `cluster`.

    To be called from the main thread, which alone may set how a signal is handled. Raises UserError where the system
    has no locks to share between processes.
    """
    size = min(most or cores(), cores())
    if (address := os.environ.get("DASK_SCHEDULER_ADDRESS")) and most != 1:
        with cluster(address) as found:
            yield Pool(*found)
        return
    if size <= 1:
        yield Pool(_AtOnce(), 1)
        return
    # "spawn": a fork would hang on the threads of OpenCV, which do not survive it.
    try:
        executor = ProcessPoolExecutor(size, get_context("spawn"), initializer=one_thread)
    except (OSError, ImportError, NotImplementedError) as error:
        raise UserError(
            f"worker processes cannot be had ({reason(error)}): they share memory in /dev/shm; mount "
            "it, writable and with free space (docker run --shm-size=1g), then run again"
        ) from None
    with executor:
        # What is ignored as a process starts stays ignored in it; the first task starts them all.
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            executor.submit(int)
        finally:
            signal.signal(signal.SIGINT, handler)
        yield Pool(executor, size)


def cores() -> int:
    return os.cpu_count() or 1


def _each(function: Callable[[Task], Result], tasks: list[Task]) -> list[Result]:
    return [function(task) for task in tasks]
