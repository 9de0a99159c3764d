"""Ways of doing the same work: each in a process of its own, warm, and taking turns."""

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

ROOT = Path(__file__).resolve().parent.parent
Runs = list[dict[str, Any]]  # what a way answered to each of its turns, see `bench.answering.serve`


@dataclass(frozen=True)
class Way:
    """A module of bench with its arguments. `needs`: the packages of a peer, which may be missing; our own way, which
    names none, runs in this interpreter."""

    name: str
    module: str
    arguments: tuple[Any, ...] = ()
    needs: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)

    def interpreter(self, peers: list[str]) -> str | None:
        """Return the first interpreter that has what the way needs, None where none has."""
        if not self.needs:
            return sys.executable
        return next((path for path in (*peers, sys.executable) if has_packages(path, self.needs)), None)


@cache
def has_packages(interpreter: str, names: tuple[str, ...]) -> bool:
    script = "import importlib.util, sys; sys.exit(not all(map(importlib.util.find_spec, sys.argv[1:])))"
    return subprocess.run([interpreter, "-c", script, *names], stderr=subprocess.DEVNULL).returncode == 0


class Failed(Exception):
    """A way's process ended before it answered; the text is the last line of its output."""


class Process:
    """A running way."""

    def __init__(self, way: Way, interpreter: str = sys.executable) -> None:
        # What TensorFlow does unasked is part of how a peer is used; our own code sets it by itself.
        inherited = {name: value for name, value in os.environ.items() if name != "TF_ENABLE_ONEDNN_OPTS"}
        reading, writing = os.pipe()
        self.output = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.process = subprocess.Popen(
            [interpreter, "-m", f"bench.{way.module}", *map(str, way.arguments)],
            cwd=ROOT,
            env=inherited | {"TF_CPP_MIN_LOG_LEVEL": "3", "BENCH_ANSWERS": str(writing)} | way.environment,
            stdin=subprocess.PIPE,
            stdout=self.output,
            stderr=self.output,
            pass_fds=(writing,),
            text=True,
        )
        os.close(writing)
        self.answers = os.fdopen(reading)

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()
        self.answers.close()
        self.output.close()

    def ask(self) -> None:
        """Let it work; `answer` waits for the end."""
        assert self.process.stdin
        with suppress(BrokenPipeError):
            print(file=self.process.stdin, flush=True)

    def answer(self) -> dict[str, Any]:
        """Wait for the next answer; the first says that it is ready. Raises Failed."""
        if line := self.answers.readline():
            return dict(json.loads(line))
        self.process.wait()
        self.output.seek(0)
        lines = self.output.read().strip().splitlines()
        raise Failed(lines[-1] if lines else f"exit code {self.process.returncode}")


def take_turns(ways: list[Way], repeats: int, peers: list[str]) -> dict[str, Runs | str]:
    """Measure the ways by turns, each repeat beginning with another one; a peer that is not installed, or that fails,
    is a text that says so. Raises Failed for a way of our own."""
    found: dict[str, Runs | str] = {}
    running: dict[str, Process] = {}

    def heard(way: Way) -> dict[str, Any] | None:
        try:
            return running[way.name].answer()
        except Failed as failed:
            if not way.needs:
                raise Failed(f"{way.name}: {failed}") from None
            found[way.name] = f"failed: {failed}"
            del running[way.name]
            return None

    with ExitStack() as stack:
        for way in ways:  # one after the other: to build a network takes a core and much memory
            interpreter = way.interpreter(peers)
            found[way.name] = [] if interpreter else "not installed"
            if interpreter:
                running[way.name] = stack.enter_context(Process(way, interpreter))
                heard(way)
        for repeat in range(repeats):
            first = repeat % len(ways)
            for way in (*ways[first:], *ways[:first]):
                if way.name in running:
                    running[way.name].ask()
                    runs, answer = found[way.name], heard(way)
                    if answer and isinstance(runs, list):
                        runs.append(answer)
    return found
