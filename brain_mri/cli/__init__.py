"""The command `brain-mri`: a module for each subcommand, loaded when it is asked for.

A module's docstring is its help, `add_arguments` says what it takes, and `main` does the work. Anything heavy is
imported inside `main`, so that --help and a misspelt option are answered at once.
"""

import argparse
import difflib
import importlib
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

# OpenCV explains over several lines what it does not read; the command says it in one.
os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")

COMMANDS = {
    "predict": "classify images",
    "app": "classify images on a web page",
    "report": "make a study's report, one HTML file",
    "compare": "put pipelines, studies or revisions side by side",
    "audit": "find copies within and between collections of images",
    "folds": "cross-validate a study: run its folds, pool what was held out",
    "release": "write what prediction needs of a study into released/, for git",
    "check": "run a study again from its commit and compare the results",
}


def main() -> None:
    """Run the subcommand that the command line names; a user's error is one line on stderr and exit code 2."""
    try:
        _main()
    except KeyboardInterrupt:  # what `run` does, which takes a while to load
        print(f"{Path(sys.argv[0]).name}: interrupted; run the same command again to go on", file=sys.stderr)
        sys.exit(130)


def _main() -> None:
    name, arguments = "".join(sys.argv[1:2]), sys.argv[2:]
    if name in ("", "-h", "--help"):
        print("usage: brain-mri COMMAND ...\n\nCommands; `brain-mri COMMAND --help` says more:")
        print("\n".join(f"  {command:8} {purpose}" for command, purpose in COMMANDS.items()))
        sys.exit(0 if name else 2)
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(COMMANDS)}"
        print(f"brain-mri: {name}: no such command; {hint}", file=sys.stderr)
        sys.exit(2)
    sys.argv[0] = f"brain-mri {name}"  # what error messages begin with
    module = importlib.import_module(f"brain_mri.cli.{name}")
    about, _, details = str(module.__doc__).partition("\n\n")
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(sys.argv[0], description=about, epilog=details, formatter_class=formatter)
    module.add_arguments(parser)
    options = parser.parse_args(arguments)
    from brain_mri.errors import run

    run(lambda: module.main(options))


def warn(line: str) -> None:
    """Print a line on stderr, headed by the command's name."""
    print(f"{sys.argv[0]}: {one_line(line)}", file=sys.stderr)


def one_line(text: str) -> str:
    """Return a text with what does not print, which names of files may have, escaped: a line end as `\\n`."""
    return "".join(mark if mark.isprintable() else mark.encode("unicode_escape").decode() for mark in text)


def named_path(text: str) -> Path:
    """Return what an argument names; an empty one, as an unset variable gives it, is not this folder."""
    if not text:
        raise argparse.ArgumentTypeError("empty; name a file or a folder")
    return Path(text)


def check_file_to_write(option: str, path: Path) -> None:
    """Raise UserError where a folder or a device stands in the place of the file that an option names: what is written
    would take the device's place."""
    from brain_mri.errors import UserError

    if path.exists() and not path.is_file():
        kind = "folder" if path.is_dir() else "device"
        raise UserError(f"{option} {path}: a {kind} stands there, and a file is to be written; name one")


def check_spared(written: Sequence[tuple[str, Path]], read: Iterable[Path]) -> None:
    """Raise UserError where one of the files to be written, by their options, takes the place of one that is read or of
    another one."""
    from brain_mri.errors import UserError

    places: dict[Path, str] = {}
    for option, path in written:
        if (place := _place(path)) in places:
            raise UserError(f"{option} {path}: {places[place]} writes there too; name another file")
        places[place] = option
    names = {place.name for place in places}
    for path in read:
        if path.name in names and (place := _place(path)) in places:
            raise UserError(f"{places[place]} {path}: would replace what is read; name another file")


def _place(path: Path) -> Path:
    """The entry of a folder that is replaced: of a link the link itself."""
    return path.parent.resolve() / path.name
