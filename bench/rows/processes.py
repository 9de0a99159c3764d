"""Row `processes`: two processes that share every batch, against one; what does the second bring?"""

import os
import socket
from contextlib import ExitStack
from typing import Any

from rows import step
from rows.lines import Line, Settings, against
from rows.running import Figure, Process, Way, interpreter_for

ONE, TWO, BOTH = "one process, one core", "two processes, a core each", "one process, two cores"
# As Keras names them, see docs/several-machines.md.
ADDRESS, COUNT, INDEX = (f"KERAS_DISTRIBUTION_{name}" for name in ("JOB_ADDRESSES", "NUM_PROCESSES", "PROCESS_ID"))
NEEDS = ("jax", "dvclive", "scmrepo", "pydantic")  # of our own code, but with the backend that spreads over processes


def measure(settings: Settings) -> list[Line]:
    """By turns, each time in new processes. Wall efficiency is the images/s of two processes over twice those of one;
    the processor's, its seconds for an image with one process over those with two, hardly feels other work."""
    case = step.sized(step.Case("compact", "compact", 96, 32, 8), settings)
    what = f"{TWO}, {case} shared"
    cores = [str(core) for core in sorted(os.sched_getaffinity(0))[:2]]
    interpreter = interpreter_for(Way(TWO, "", needs=NEEDS), settings.peers)
    missing = "two cores are needed" if len(cores) < 2 else "JAX is not installed" if interpreter is None else None
    if missing:
        return [Line(what, "images/s", missing, ONE, missing)]
    assert interpreter
    ways = {ONE: cores[:1], TWO: cores, BOTH: [",".join(cores)]}
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    for _ in range(settings.repeats):
        for name, own in ways.items():
            runs[name].append(train(case, own, interpreter))
    rates = {name: Figure([run["images"] / run["seconds"] for run in found]) for name, found in runs.items()}
    costs = {name: Figure([run["processor_seconds"] / run["images"] for run in found]) for name, found in runs.items()}
    efficiency = {
        "wall_efficiency": rates[TWO].median / rates[ONE].median / 2,
        "processor_efficiency": costs[ONE].median / costs[TWO].median,
    }
    return [
        against(what, "images/s", rates[TWO], ONE, rates[ONE], **efficiency),
        against(what, "images/s", rates[TWO], BOTH, rates[BOTH]),
    ]


def train(case: step.Case, cores: list[str], interpreter: str) -> dict[str, float]:
    """Train with a process for each entry of `cores`; return the images, the seconds and all processors' seconds."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    fixed = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", ADDRESS: address, COUNT: str(len(cores))}
    with ExitStack() as stack:
        started = [
            stack.enter_context(
                Process(
                    Way(TWO, "processes_ours.py", (*case.arguments(), "--cores", own), (), fixed | {INDEX: str(index)}),
                    interpreter,
                )
            )
            for index, own in enumerate(cores)
        ]
        for process in started:
            process.answer()
        for process in started:
            process.tell("run")
        found: list[dict[str, Any]] = [process.answer()["result"] for process in started]
    return {
        "images": found[0]["images"],
        "seconds": max(run["seconds"] for run in found),
        "processor_seconds": sum(run["processor_seconds"] for run in found),
    }
