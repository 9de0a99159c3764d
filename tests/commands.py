"""Calling a subcommand of `brain-mri` within the test's own process, also where a file may not be read."""

import sys
from pathlib import Path

import pytest

from brain_mri import cli


def run_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[int, list[str], list[str]]:
    """Call `brain-mri` with these words: its exit code, its lines on stdout and those on stderr."""
    monkeypatch.setattr(sys, "argv", ["brain-mri", *words])
    try:
        cli.main()
        code = 0
    except SystemExit as ended:
        code = int(ended.code or 0)
    printed = capsys.readouterr()
    return code, printed.out.splitlines(), printed.err.splitlines()


def forbid_reading(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Let `Path.read_bytes` fail for files of this name, as without the right to read them."""
    read = Path.read_bytes

    def failing(path: Path) -> bytes:
        if path.name == name:
            raise PermissionError(13, "Permission denied", str(path))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", failing)
