"""What a user can fix ends in one line that says where, what was found, what was expected and what to do."""

import difflib
import errno
import io
import os
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

GRACE = 10  # seconds for an interrupted command to clean up
REMEDY = "free disk space or fix the permissions"
REMEDIES = {
    errno.ENAMETOOLONG: "take a shorter name",
    errno.ENOENT: "put it there, or name another",
    errno.EEXIST: "move what is there, or name another",
    errno.ENOTDIR: "move the file that stands in a folder's place, or name another",
    errno.EISDIR: "move the folder that stands in a file's place, or name another",
    errno.ELOOP: "remove the link that leads back to itself",
    errno.EMFILE: "close programs, or raise the limit (ulimit -n)",
    errno.ENFILE: "close programs, or raise the limit (ulimit -n)",
    errno.ENOMEM: "close other programs",
    errno.EAGAIN: "close other programs, or raise the limit (ulimit -u)",
    errno.EIO: "look at the disk or the network that holds it",
    errno.ESTALE: "look at the network that holds it",
}


class UserError(Exception):
    """Something that the user can fix: the message is the one line that they read."""


def reason(error: Exception) -> str:
    """What an error says, on one line and cut where it is long; its type where it says nothing."""
    return " ".join(str(error).split())[:400] or type(error).__name__


def run(main: Callable[[], None]) -> None:
    """Run a stage's `main`; what a user or the machine does wrong ends in one line on stderr and exit code 2, ctrl-C in
    130, SIGTERM in 143, an output that nobody reads any more in 1. What a terminal's encoding lacks is written as
    `\\xfc`.

    A stage runs the package that lies beside it. Where another one is installed, as for a clone or the workspace of an
    experiment, it starts again with its own."""
    script, package = Path(sys.argv[0]).resolve(), Path(__file__).resolve().parent
    own = script.parent.parent / package.name
    if script.parent.name == "stages" and own.is_dir() and own != package:
        path = os.pathsep.join(filter(None, [str(own.parent), os.environ.get("PYTHONPATH")]))
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "PYTHONPATH": path})
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    _raise_on_signals()
    try:
        main()
    except UserError as error:
        message, code = str(error), 2
    except KeyboardInterrupt:
        # One more, as the interpreter ends and sets its handlers back, would take the exit code's place.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        message, code = "interrupted; run the same command again to go on", 130
    except BrokenPipeError:  # the reader of the output has stopped, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        # Of two names the second is what was to be written; the first is a temporary file.
        named = error.filename2 or error.filename
        where = f"{named}: " if named else ""
        what = os.strerror(error.errno) if error.errno else reason(error)
        message, code = f"{where}{what}; {REMEDIES.get(error.errno or 0, REMEDY)}, then run again", 2
    except MemoryError:
        message, code = "not enough memory; close other programs, or take smaller images and batches, then run again", 2
    except BrokenExecutor:
        message, code = "a worker process was ended, most often for want of memory; free some, then run again", 2
    except UnicodeEncodeError as error:
        what = ascii(error.object)[:120]
        message, code = f"{what}: no name in {error.encoding}; set LC_ALL=C.UTF-8, then run again", 2
    else:
        return
    print(f"{Path(sys.argv[0]).name}: {message}", file=sys.stderr)
    sys.exit(code)


def _raise_on_signals() -> None:
    """Let SIGINT and SIGTERM raise, so that what is open is cleaned up, unless the process was told to ignore them."""
    until = 0.0

    def end(number: int, _: object) -> None:
        nonlocal until
        # Another one, as of a key that is pressed twice, would break off the cleaning up.
        if time.monotonic() < until:
            return
        until = time.monotonic() + GRACE
        raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, end)


def first_problem(error: ValidationError, schema: type[BaseModel], missing: str) -> str:
    """Return the first of the error's details in words, and how many more there are; `schema` is what the values were
    held to, `missing` what to add of a key that is not there."""
    # An unknown key comes first: it is most often the misspelling of one that is also reported as missing.
    details = sorted(error.errors(), key=lambda detail: detail["type"] != "extra_forbidden")
    more = f" ({len(details) - 1} more)" if len(details) > 1 else ""
    return _describe(details[0], known_keys(schema), _tags(schema), missing) + more


def known_keys(schema: type[BaseModel]) -> list[str]:
    """Return every key of the schema, dotted, such as `crop.blur`."""

    def walk(section: type[BaseModel], prefix: str) -> list[str]:
        keys = []
        for name, field in section.model_fields.items():
            keys.append(prefix + name)
            for candidate in (field.annotation, *get_args(field.annotation)):
                if isinstance(candidate, type) and issubclass(candidate, BaseModel):
                    keys += walk(candidate, f"{prefix}{name}.")
        return keys

    return walk(schema, "")


def _tags(schema: type[BaseModel]) -> set[str]:
    """Return the values that tell the members of a union apart; pydantic puts them into the place of an error."""
    found: set[str] = set()
    for field in schema.model_fields.values():
        if isinstance(field.discriminator, str):
            members = get_args(field.annotation)
            found.update(*(get_args(member.model_fields[field.discriminator].annotation) for member in members))
    return found


def _describe(detail: Any, known: list[str], tags: set[str], missing: str) -> str:
    key = ".".join(str(part) for part in detail["loc"] if part not in tags)
    kind, message = detail["type"], detail["msg"].removeprefix("Value error, ")
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
        return f"{key} = {detail['input']!r}: unknown key; " + (f"did you mean {near[0]}?" if near else "remove it")
    if kind == "missing":
        return f"{key}: missing; {missing}"
    if kind == "union_tag_invalid":
        return f"{key}.source = {detail['ctx']['tag']!r}: must be one of {detail['ctx']['expected_tags']}"
    if kind == "union_tag_not_found":
        return f"{key}.source: missing; it names where the images come from"
    if not key or isinstance(detail["input"], (dict, BaseModel)):
        return f"{key}: {message}" if key else message
    return f"{key} = {'null' if detail['input'] is None else repr(detail['input'])}: {message}"
