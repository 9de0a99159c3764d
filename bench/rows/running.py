"""Ways of doing the same work, side by side: each in a process of its own, warm, and taking turns."""

import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
WAYS = ROOT / "bench/ways"
WARMING_AT_ONCE = 2  # building a network's step keeps one core busy, and its memory is large


@dataclass(frozen=True)
class Way:
    """A script of bench/ways with its arguments. `needs`: the modules of a peer, which may be missing; our own way,
    which needs none, runs in this interpreter."""

    name: str
    script: str
    arguments: tuple[Any, ...] = ()
    needs: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)


@dataclass
class Measured:
    """What a way's process answered: to `run`, once for each repeat, and to each further question, once."""

    runs: list[dict[str, Any]]
    answers: dict[str, Any]

    def figure(self, amount: float | None = None) -> "Figure":
        """Return seconds or, of an amount of work, the rate: amount a second."""
        seconds = [run["seconds"] for run in self.runs]
        return Figure(seconds if amount is None else [amount / each for each in seconds])


@dataclass
class Figure:
    """Repeats of one measurement."""

    values: list[float]

    @property
    def median(self) -> float:
        return float(np.median(self.values))

    def __str__(self) -> str:
        spread = f" [{number(min(self.values))}, {number(max(self.values))}]" if len(self.values) > 1 else ""
        return number(self.median) + spread


def number(value: float) -> str:
    """Return three significant figures, without an exponent."""
    digits = 2 - int(np.floor(np.log10(abs(value)))) if value else 0
    return f"{round(value, digits):,.{max(digits, 0)}f}"


class Failed(Exception):
    """A way's process ended before it answered; the text is the last that it said."""


class Process:
    """A running way."""

    def __init__(self, way: Way, interpreter: str) -> None:
        # What TensorFlow does unasked is part of how a peer is used; our own code sets it by itself.
        inherited = {name: value for name, value in os.environ.items() if name != "TF_ENABLE_ONEDNN_OPTS"}
        quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONDONTWRITEBYTECODE": "1"}
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.process = subprocess.Popen(
            [interpreter, str(WAYS / way.script), *map(str, way.arguments)],
            env=inherited | quiet | way.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
        )

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()
        self.errors.close()

    def ask(self, question: str) -> dict[str, Any]:
        """Ask and wait for the answer."""
        self.tell(question)
        return self.answer()

    def tell(self, question: str) -> None:
        """Ask without waiting; `answer` waits."""
        assert self.process.stdin
        with suppress(BrokenPipeError):  # the answer says why
            print(question, file=self.process.stdin, flush=True)

    def answer(self) -> dict[str, Any]:
        """Wait for the next answer; the first tells that the process is ready."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        if line:
            return dict(json.loads(line))
        self.process.wait()
        self.errors.seek(0)
        said = self.errors.read().strip().splitlines() or [f"exit code {self.process.returncode}"]
        raise Failed(said[-1])


@cache
def has_modules(interpreter: str, modules: tuple[str, ...]) -> bool:
    """Whether an interpreter can find all of the modules."""
    script = "import importlib.util, sys; sys.exit(not all(map(importlib.util.find_spec, sys.argv[1:])))"
    return subprocess.run([interpreter, "-c", script, *modules], stderr=subprocess.DEVNULL).returncode == 0


def interpreter_for(way: Way, peers: list[str]) -> str | None:
    """Return the interpreter of a way: for a peer the first one that has its modules, None where none has."""
    if not way.needs:
        return sys.executable
    return next((path for path in (*peers, sys.executable) if has_modules(path, way.needs)), None)


def side_by_side(
    ways: list[Way], repeats: int, peers: list[str], questions: tuple[str, ...] = ()
) -> dict[str, Measured | str]:
    """Measure the ways by turns, each repeat beginning with another one; a peer that is not installed, or that fails,
    is a text that says so. Raises Failed for a way of our own."""
    found: dict[str, Measured | str] = {}
    running: dict[str, Process] = {}
    with ExitStack() as stack:

        def heard(way: Way, question: str | None = None) -> dict[str, Any] | None:
            try:
                return running[way.name].ask(question) if question else running[way.name].answer()
            except Failed as failed:
                if not way.needs:
                    raise Failed(f"{way.name}: {failed}") from None
                found[way.name] = f"failed: {failed}"
                del running[way.name]
                return None

        warming: list[Way] = []
        for way in ways:
            interpreter = interpreter_for(way, peers)
            if interpreter is None:
                found[way.name] = "not installed"
                continue
            if len(warming) == WARMING_AT_ONCE:
                heard(warming.pop(0))
            running[way.name] = stack.enter_context(Process(way, interpreter))
            found[way.name] = Measured([], {})
            warming.append(way)
        for way in warming:
            heard(way)
        for repeat in range(repeats):
            for way in (*ways[repeat % len(ways) :], *ways[: repeat % len(ways)]):
                measured = found[way.name]
                if isinstance(measured, Measured) and (answer := heard(way, "run")):
                    measured.runs.append(answer)
        for question in questions:
            for way in ways:
                measured = found[way.name]
                if isinstance(measured, Measured) and (answer := heard(way, question)):
                    measured.answers[question] = answer["result"]
    return found
