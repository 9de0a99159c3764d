"""How a signal stops a training: after a step, with the state saved, and all processes after the same one."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from brain_mri.network.distribution import processes


class Stopped(Exception):
    """A signal ended the training; `number` is the signal's."""

    def __init__(self, asked: signal.Signals, where: str, saved: bool) -> None:
        end = "the state is saved" if saved else "the state could not be saved, an older one is kept"
        super().__init__(f"stopped by {asked.name} {where}; {end}; run the same command again to go on")
        self.number = int(asked)


@contextmanager
def stop_signals() -> Iterator[list[signal.Signals]]:
    """Collect SIGTERM and SIGINT in the list, so that a step can end and be saved; a second SIGINT interrupts at once.

    A signal that the process was told to ignore stays ignored. Several processes must stop after the same step: JAX
    waits for SIGTERM and lets them agree on it (`agree_to_stop`), and SIGINT counts as that."""
    asked: list[signal.Signals] = []

    def note(number: int, _: object) -> None:
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        if several:
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            asked.append(signal.Signals(number))

    several = processes()[0] > 1
    noted = (signal.SIGINT,) if several else (signal.SIGTERM, signal.SIGINT)
    numbers = [n for n in noted if signal.getsignal(n) is not signal.SIG_IGN]
    before = {number: signal.signal(number, note) for number in numbers}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def agree_to_stop(asked: list[signal.Signals], step: int) -> bool:
    """Return whether to stop after this step, which counts all calls: where a signal has come or, with several
    processes, where all are at the step on which they agreed after one of them got SIGTERM; then it stands in `asked`.
    """
    if processes()[0] > 1:
        from jax.experimental import multihost_utils

        if multihost_utils.reached_preemption_sync_point(step):
            asked.append(signal.SIGTERM)
    return bool(asked)
