"""What README and the other pages say: each command exists, each quoted message too, each link leads somewhere.

The list of commands comes from the pages. One that is not known here fails, so that none can rot unseen.
"""

import argparse
import ast
import importlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from dvc.cli.parser import get_main_parser

from brain_mri.cli import COMMANDS as SUBCOMMANDS
from brain_mri.errors import known_keys
from brain_mri.files import read_yaml
from brain_mri.params import Params

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md"))]
PROGRAMS = ("make", "python", "dvc", "brain-mri", "docker", "pip", "pip3", "git", "pre-commit", "pipx", "mkdir", "uv")
ENVIRONMENT = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"} | {
    f"GIT_{who}_{what}": "test@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
}


def commands_of(page: str) -> list[str]:
    """The commands of a page: lines of its shell blocks, and code within the text that begins with a program's name."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page, re.S | re.M)
    lines = [line for block in blocks for line in block.splitlines() if line.strip()]
    text = re.sub(r"^```.*?^```", "", page, flags=re.S | re.M)
    inline = [code for code in re.findall(r"`([^`\n]+)`", text) if code.split()[0] in PROGRAMS and " " in code.strip()]
    return [re.sub(r"\s+#.*", "", line).strip() for line in (*lines, *inline)]


COMMANDS = sorted({command for page in PAGES for command in commands_of(page.read_text())} - {""})


def known_make(words: list[str]) -> None:
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M)
    assert words, "a bare make says nothing"
    assert [word for word in words if "=" not in word and word not in targets] == []
    subprocess.run(["make", "-n", *words], cwd=ROOT, check=True, capture_output=True)


def known_python(words: list[str]) -> None:
    script = words[1].replace(".", "/") + ".py" if words[0] == "-m" else words[0]
    assert (ROOT / script).is_file()


def known_brain_mri(words: list[str]) -> None:
    assert words[0] in SUBCOMMANDS
    parser = argparse.ArgumentParser()
    importlib.import_module(f"brain_mri.cli.{words[0]}").add_arguments(parser)
    parser.parse_args(words[1:])  # ends in SystemExit for an unknown option


def known_dvc(words: list[str]) -> None:
    options = get_main_parser().parse_args(words)  # raises for an unknown command or option
    for file in (word for word in words if word.endswith((".yaml", ".json"))):
        assert (ROOT / file).is_file()
    for change in getattr(options, "set_param", None) or []:
        file, _, key = change.split("=")[0].rpartition(":")
        assert key in known_keys(Params)
        assert not file or (ROOT / file).is_file()


def requirements() -> list[str]:
    return re.findall(r"^([\w.-]+)==", (ROOT / "requirements.txt").read_text(), re.M)


def known_pip(words: list[str]) -> None:
    if words[0] == "download" or "wheels/*.whl" in words:
        assert all(word.partition("==")[0] in requirements() for word in words if "==" in word)
    elif words != ["install", "--no-deps", "-e", "."]:
        assert words[:2] == ["install", "-r"]
        assert (ROOT / words[2]).is_file()


def known_docker(words: list[str]) -> None:
    assert words[0] in ("build", "run")
    assert (ROOT / "Dockerfile").is_file()


def known_dask(words: list[str]) -> None:
    assert words[0] in ("scheduler", "worker")


def known_environment(words: list[str]) -> None:
    assert words == [".venv/bin/activate"]
    assert "VENV := .venv" in (ROOT / "Makefile").read_text()


def known_hooks(words: list[str]) -> None:
    assert words in (["install"], ["install", "pre-commit"])
    assert (ROOT / ".pre-commit-config.yaml").is_file()


KNOWN: dict[str, Callable[[list[str]], None]] = {
    "make": known_make,
    "python": known_python,
    "brain-mri": known_brain_mri,
    "dvc": known_dvc,
    "pip": known_pip,
    "docker": known_docker,
    "dask": known_dask,
    ".": known_environment,
    "export": lambda words: None,
    "pre-commit": known_hooks,
    "pipx": known_hooks,
    "mkdir": lambda words: None,
    "tar": lambda words: None,
    "cat": lambda words: None,
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_shown_command_exists(command: str) -> None:
    words = shlex.split(command.partition(" && ")[0])
    while words and re.match(r"[A-Z_]+=", words[0]):  # KERAS_BACKEND=jax dvc repro
        words.pop(0)
    program, *rest = words
    assert program in KNOWN, f"{command}: unknown here; teach this test what it needs, or fix the page"
    KNOWN[program](rest)


def test_there_are_commands_and_all_blocks_are_read() -> None:
    assert len(COMMANDS) > 25
    for page in PAGES:
        kinds = re.findall(r"^```(\w*)$", page.read_text(), re.M)[::2]
        assert set(kinds) <= {"sh", "mermaid"}, f"{page.name}: a block without a kind is read by no test"
        assert not re.search(r"\n    (make|export|dvc|python) ", page.read_text()), f"{page.name}: use ```sh blocks"


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This project as git has it, with one commit more, so that there is one before."""
    folder = tmp_path_factory.mktemp("readme") / "clone"
    subprocess.run(["git", "clone", "-q", ROOT, folder], env=ENVIRONMENT, check=True, capture_output=True)
    subprocess.run(["git", "commit", "-q", "--allow-empty", "-m", "another"], cwd=folder, env=ENVIRONMENT, check=True)
    return folder


READING = tuple(
    f"dvc {command}" for command in ("status", "params diff", "metrics", "plots diff", "exp show", "remote add")
)


@pytest.mark.parametrize("command", [line for line in COMMANDS if line.startswith(READING)])
def test_a_dvc_command_that_only_reads_runs(command: str, clone: Path) -> None:
    done = subprocess.run(shlex.split(command), cwd=clone, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_bytes()) <= 9000


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.S | re.M)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not target.startswith(("http://", "https://")):
            path, _, anchor = target.partition("#")
            assert (page.parent / path).exists(), target
            assert not anchor or anchor in anchors(page.parent / path), target


def messages() -> list[str]:
    """Every text in the code, with … in the place of what is filled in."""
    found = [(ROOT / "Makefile").read_text()]
    for file in (*(ROOT / "stages").rglob("*.py"), *(ROOT / "brain_mri").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.JoinedStr):
                found.append(
                    "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


def test_quoted_messages_are_the_code_s() -> None:
    quoted = re.findall(r"^\| `(.+?)` \|", (ROOT / "docs/troubleshooting.md").read_text(), re.M)
    assert len(quoted) >= 8
    texts = messages()
    assert [message for message in quoted if not any(message in text for text in texts)] == []


def test_the_picture_of_the_package_is_complete() -> None:
    picture = (ROOT / "CONTRIBUTING.md").read_text().split("```mermaid")[1].split("```")[0]
    stages = read_yaml(ROOT / "dvc.yaml")["stages"]
    packages = [folder.parent.name for folder in (ROOT / "brain_mri").glob("*/__init__.py")]
    assert [name for name in (*stages, *packages, *SUBCOMMANDS) if not re.search(rf"\b{name}\b", picture)] == []
