"""What README and the other pages say: each command works, each quoted message exists, each link leads somewhere.

The list of commands comes from the pages. One that is not known here fails, so that none can rot unseen.
"""

import ast
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import predict
import pydicom
import pytest
import test_predict
import yaml
from dvc.cli.parser import get_main_parser

from brain_mri.errors import known_keys, run
from brain_mri.params import Params

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md"))]
PROGRAMS = ("make", "python", "dvc", "docker", "pip", "pip3", "git", "pre-commit", "pipx", "mkdir", "uv")
HEADINGS = [
    "Two commands",
    "Your own images",
    "The real data",
    "What 98 % meant, and what it takes to hold abroad",
    "Experiments",
    "Reproduce the paper",
    "How honest are the numbers",
    "Troubleshooting, by message",
    "Limits, and no medical use",
    "How to cite",
]
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


@cache
def help_of(script: str) -> str:
    done = subprocess.run([sys.executable, ROOT / script, "--help"], capture_output=True, text=True, check=True)
    return done.stdout


def known_python(words: list[str]) -> None:
    assert (ROOT / words[0]).is_file()
    for option in (word for word in words[1:] if word.startswith("-")):
        assert option in help_of(words[0]), f"{words[0]} has no {option}"


def known_dvc(words: list[str]) -> None:
    options = get_main_parser().parse_args(words)  # raises for an unknown command or option
    for file in (word for word in words if word.endswith((".yaml", ".json"))):
        assert (ROOT / file).is_file()
    for change in getattr(options, "set_param", None) or []:
        assert change.split("=")[0] in known_keys(Params)


def known_pip(words: list[str]) -> None:
    assert words[:2] == ["install", "-r"]
    assert (ROOT / words[2]).is_file()


def known_docker(words: list[str]) -> None:
    assert words[0] in ("build", "run")
    assert (ROOT / "Dockerfile").is_file()


def known_environment(words: list[str]) -> None:
    assert words == [".venv/bin/activate"]
    assert "VENV := .venv" in (ROOT / "Makefile").read_text()


def known_hooks(words: list[str]) -> None:
    assert words in (["install"], ["install", "pre-commit"])
    assert (ROOT / ".pre-commit-config.yaml").is_file()


KNOWN: dict[str, Callable[[list[str]], None]] = {
    "make": known_make,
    "python": known_python,
    "dvc": known_dvc,
    "pip": known_pip,
    "docker": known_docker,
    ".": known_environment,
    "pre-commit": known_hooks,
    "pipx": known_hooks,
    "mkdir": lambda words: None,
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_shown_command_exists(command: str) -> None:
    program, *words = shlex.split(command)
    assert program in KNOWN, f"{command}: unknown here; teach this test what it needs, or mend the page"
    KNOWN[program](words)


def test_there_are_commands_and_all_blocks_are_read() -> None:
    assert len(COMMANDS) > 25
    for page in PAGES:
        kinds = re.findall(r"^```(\w*)$", page.read_text(), re.M)[::2]
        assert set(kinds) <= {"sh", "mermaid"}, f"{page.name}: a block without a kind is read by no test"
        assert "\n    make " not in page.read_text(), f"{page.name}: commands stand in ```sh blocks"


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This project as git has it, with one commit more, so that there is one before."""
    folder = tmp_path_factory.mktemp("readme") / "clone"
    subprocess.run(["git", "clone", "-q", ROOT, folder], env=ENVIRONMENT, check=True, capture_output=True)
    subprocess.run(["git", "commit", "-q", "--allow-empty", "-m", "another"], cwd=folder, env=ENVIRONMENT, check=True)
    return folder


tiny = test_predict.study  # the fixture: a study with a tiny untrained network

READING = ("status", "params diff", "metrics diff", "metrics show", "plots diff", "exp show", "remote add")


@pytest.mark.parametrize("command", [line for line in COMMANDS if line.startswith(tuple(f"dvc {r}" for r in READING))])
def test_a_dvc_command_that_only_reads_runs(command: str, clone: Path) -> None:
    done = subprocess.run(shlex.split(command), cwd=clone, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", [line for line in COMMANDS if line.startswith("python predict.py")])
def test_predict_answers_as_shown(
    command: str,
    tiny: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With the files that the page names, and an untrained network in the place of the study's."""
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("image.jpg", test_predict.disc(1))
    Path("folder").mkdir()
    cv2.imwrite("folder/one.png", test_predict.disc(2))
    Path("scan.dcm").write_bytes(Path(pydicom.data.get_testdata_file("MR_small.dcm")).read_bytes())
    words = re.sub(r"--study \S+", "", command).split()
    monkeypatch.setattr(sys, "argv", [*words[1:], "--study", str(tiny)])
    run(lambda: predict.main(predict.parse()))
    answered = capsys.readouterr().out
    assert "glioma" in answered
    if "--explain" in words:
        assert np.asarray(cv2.imread("maps/one.png")).size > 0


def test_readme_is_in_a_newcomer_s_order() -> None:
    assert re.findall(r"^## (.*)$", README, re.M) == HEADINGS
    assert README.index("![") < README.index("## ")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.S | re.M)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target.split("#")[0]).exists(), target


def messages() -> list[str]:
    """Every text in the code, with … in the place of what is filled in."""
    found = [(ROOT / "Makefile").read_text()]
    for file in (*(ROOT / "stages").rglob("*.py"), *ROOT.glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.JoinedStr):
                found.append(
                    "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


def test_quoted_messages_are_the_code_s() -> None:
    section = README.split("## Troubleshooting, by message")[1].split("\n## ")[0]
    quoted = re.findall(r"^\| `(.+?)` \|", section, re.M)
    assert len(quoted) >= 8
    texts = messages()
    for message in quoted:
        assert any(message in text for text in texts), message


def test_the_drawing_of_the_house_is_complete() -> None:
    drawing = (ROOT / "CONTRIBUTING.md").read_text().split("```mermaid")[1].split("```")[0]
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    groups = [folder.parent.name for folder in (ROOT / "stages" / "core").glob("*/__init__.py")]
    scripts = [script.name for script in ROOT.glob("*.py")]
    assert [name for name in (*stages, *groups, *scripts) if not re.search(rf"\b{name}\b", drawing)] == []
