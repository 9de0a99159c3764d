"""Calling a subcommand of `brain-mri` within the test's own process."""

import sys

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
