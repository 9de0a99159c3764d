"""Files appear whole or not at all, and errors end in one line."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from brain_mri.errors import UserError
from brain_mri.files import parse_yaml, progress, read_csv, read_json, replacing, write_csv, write_json, write_png

ROOT = Path(__file__).parent.parent
ASCII = {**os.environ, "PYTHONIOENCODING": "ascii"}
IMPORTS = "from brain_mri.errors import *\nfrom brain_mri.files import *\n"


def test_a_stage_runs_the_package_beside_it(tmp_path: Path) -> None:
    """Whichever is installed: an experiment in a workspace of its own must not run the code of another checkout."""
    shutil.copytree(ROOT / "brain_mri", tmp_path / "brain_mri", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "stages").mkdir()
    stage = "import brain_mri\nfrom brain_mri.errors import run\nrun(lambda: print(brain_mri.__file__))\n"
    (tmp_path / "stages/one.py").write_text(stage)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "stages/one.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(tmp_path / "brain_mri/__init__.py")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("old")
    with pytest.raises(RuntimeError), replacing(file) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "old.png").touch()
    with replacing(folder) as temporary:
        temporary.mkdir()
        (temporary / "new.png").touch()
    assert [path.name for path in folder.iterdir()] == ["new.png"]
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


def test_json_is_plain_and_rounded(tmp_path: Path) -> None:
    write_json(tmp_path / "m.json", {"a": np.float32(0.1), "b": float("nan"), "c": np.arange(2), "d": {"e": True}})
    assert json.loads((tmp_path / "m.json").read_text()) == {"a": 0.1, "b": None, "c": [0, 1], "d": {"e": True}}


def test_tables_come_back_and_an_empty_one_has_its_header(tmp_path: Path) -> None:
    rows = [{"a": "x,y", "b": "2"}, {"a": "a\rb", "b": "c\nd"}, {"a": '"', "b": ""}]
    write_csv(tmp_path / "t.csv", rows, ["a", "b"])
    assert read_csv(tmp_path / "t.csv") == rows
    write_csv(tmp_path / "t.csv", [], ["a", "b"])
    assert (tmp_path / "t.csv").read_text() == "a,b\n"


def test_images_come_back(tmp_path: Path) -> None:
    import cv2

    image = np.arange(35, dtype=np.uint8).reshape(5, 7)
    write_png(tmp_path / "deep" / "a.png", image)
    assert np.array_equal(cv2.imread(str(tmp_path / "deep" / "a.png"), cv2.IMREAD_GRAYSCALE), image)


def test_missing_and_broken_files_are_named(tmp_path: Path) -> None:
    for read in (read_json, read_csv):
        with pytest.raises(UserError, match="gone: not there"):
            read(tmp_path / "gone")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(UserError, match=r"bad\.json: not JSON"):
        read_json(tmp_path / "bad.json")
    (tmp_path / "bad.csv").write_text("a,b\n1\n")
    with pytest.raises(UserError, match=r"bad\.csv: not a table \(rows of different lengths\)"):
        read_csv(tmp_path / "bad.csv")
    with pytest.raises(UserError, match="deep: not YAML"):
        parse_yaml("[" * 5000, "deep")


def test_progress_yields_all_and_ends_with_a_line(capfd: pytest.CaptureFixture[str]) -> None:
    assert list(progress([1, 2, 3], "work")) == [1, 2, 3]
    assert "work: 3 of 3" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ("raise UserError('a.csv: bad')", 2, "a.csv: bad"),
        ("raise KeyboardInterrupt", 130, "interrupted"),
        ("raise OSError(28, 'x', 'data/raw')", 2, "data/raw: No space left"),
        ("open('a' * 300)", 2, "File name too long; take a shorter name"),
        ("raise OSError('no such\\ndevice')", 2, "no such device"),
        ("raise OSError(5, 'x')", 2, "Input/output error; look at the disk"),
        ("open('/etc/passwd/x')", 2, "/etc/passwd/x: Not a directory"),
        ("import os; os.mkdir('/tmp')", 2, "/tmp: File exists"),
        ("import os; os.unlink('/tmp/none/x')", 2, "No such file"),
        ("raise MemoryError", 2, "not enough memory"),
        ("from concurrent.futures import BrokenExecutor; raise BrokenExecutor", 2, "for want of memory"),
        ("'ü'.encode('ascii')", 2, "set LC_ALL"),
        ("raise UserError('ü')", 2, "\\xfc"),
    ],
)
def test_errors_end_in_one_line_and_a_code(body: str, code: int, words: str) -> None:
    """The family: every OSError, and every state of a machine that can be foreseen."""
    script = IMPORTS + f"def main():\n    {body}\nrun(main)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=ASCII, capture_output=True, text=True)
    assert done.returncode == code
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path) -> None:
    """A file size limit is how a test without root can fill a disk."""
    script = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        f"run(lambda: write_bytes({str(tmp_path / 'big')!r}, bytes(5000)))"
    )
    done = subprocess.run([sys.executable, "-c", IMPORTS + script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert f"{tmp_path / 'big'}: File too large" in done.stderr
    assert "\n" not in done.stderr.strip()
    assert list(tmp_path.iterdir()) == []
