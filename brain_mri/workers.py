"""A pool of workers for loops over images: processes over all cores of this machine, or a cluster's."""

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context, parent_process
from multiprocessing.synchronize import Event
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
    parent, which none of them outlives. What still waits when the block ends is dropped. Where one is enough, the work
    is done here. Where the environment variable DASK_SCHEDULER_ADDRESS names a scheduler, its workers are taken
    instead, see `cluster`.

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
    context = get_context("spawn")
    try:
        all_started = context.Event()
        executor = ProcessPoolExecutor(size, context, _begin, (all_started,))
    except (OSError, ImportError, NotImplementedError) as error:
        raise UserError(
            f"worker processes cannot be had ({reason(error)}): they share memory in /dev/shm; mount "
            "it, writable and with free space (docker run --shm-size=1g), then run again"
        ) from None
    try:
        with _starting():
            try:
                for _ in range(size):
                    executor.submit(int)
            finally:
                all_started.set()
        yield Pool(executor, size)
    finally:
        executor.shutdown(cancel_futures=True)


@contextmanager
def _starting() -> Iterator[None]:
    """What starts in this block ignores SIGINT from its first moment; SIGTERM comes after the block, since a start that
    it broke off would leave a process that the pool does not know and waits for in vain."""
    came: list[signal.Signals] = []
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.SIG_IGN),
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda number, _: came.append(signal.Signals(number))),
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for number in came:
        signal.raise_signal(number)


def _begin(all_started: Event) -> None:
    """Make a worker ready, and wait for the others: while one is idle, the executor starts no other."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    one_thread()
    all_started.wait()


def _end_with_parent() -> None:
    # A worker holds both ends of its queue, and would wait in it for good.
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def cores() -> int:
    return os.cpu_count() or 1


def _each(function: Callable[[Task], Result], tasks: list[Task]) -> list[Result]:
    return [function(task) for task in tasks]
