"""The command brain-mri itself: help at once, and one line for what it does not know."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from brain_mri.cli import COMMANDS

HEAVY = {"numpy", "cv2", "keras", "tensorflow", "matplotlib", "pydantic", "starlette", "uvicorn", "dvc", "ruamel"}


def run(*arguments: str) -> subprocess.CompletedProcess:
    code = "import sys; from brain_mri.cli import main\ntry: main()\nfinally: print('loaded:', *sys.modules)"
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_comes_at_once(command: str) -> None:
    before = os.times()
    done = run(*command.split(), "--help")
    assert os.times().children_user - before.children_user < 1
    text, _, loaded = done.stdout.partition("loaded:")
    assert done.returncode == 0
    assert f"usage: brain-mri {command or 'COMMAND'}" in text
    assert not HEAVY & set(loaded.split())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["predit"], "did you mean predict?"),
        (["zzz"], "there are predict, app, report"),
        (["predict"], "name at least one image"),
        (["predict", "--study", "nowhere", "x.png"], "no study"),
        (["report", "nowhere"], "no study"),
        (["check", "nowhere"], "no study"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_user_s_error_is_one_line(arguments: list[str], words: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("brain-mri") and words in line


@pytest.mark.parametrize(
    "arguments", [["predict", ""], ["audit", ""], ["predict", "x.png", "--explain", ""], ["folds", ""], ["report", ""]]
)
def test_an_empty_name_is_not_this_folder(arguments: list[str]) -> None:
    """As a shell gives it for a variable that is not set."""
    done = run(*arguments)
    assert done.returncode == 2 and "empty; name a file or a folder" in done.stderr


def test_a_reader_that_stops_is_no_error(tmp_path: Path) -> None:
    """As `brain-mri predict ... | head -1` does."""
    code = "from brain_mri import cli\nfrom brain_mri.cli import report\n"
    code += "report.main = lambda options: print('x' * 2**20, flush=True)\ncli.main()"
    with subprocess.Popen(
        [sys.executable, "-c", code, "report"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout and process.stderr
        process.stdout.read(1)
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1
