"""bench/table.py: it runs, its JSON keeps rows, and a peer that is missing or fails is a word in its cell."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parent.parent / "bench"
sys.path.insert(0, str(BENCH))

from rows import running  # noqa: E402
from rows.lines import Settings, against, rate_of  # noqa: E402
from rows.running import Failed, Figure, Measured, Way, number, side_by_side  # noqa: E402


def call(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, BENCH / "table.py", *map(str, arguments)], capture_output=True, text=True, timeout=300
    )


def test_quick_row_is_printed_and_written_and_others_stay(tmp_path: Path) -> None:
    file = tmp_path / "table.json"
    file.write_text(json.dumps({"step": {"lines": ["of an earlier run"]}, "gone": 1}))
    done = call("crop", "--quick", "--repeats", 1, "--output", file)
    assert done.returncode == 0, done.stderr
    assert sum(line.startswith("| crop |") for line in done.stdout.splitlines()) == 3
    written = json.loads(file.read_text())
    assert list(written) == ["crop", "step"]
    assert written["step"] == {"lines": ["of an earlier run"]}
    assert written["crop"]["quick"] and written["crop"]["machine"]["cores"] >= 1
    ours, _, pixels = written["crop"]["lines"]
    assert ours["ratio"] == pytest.approx(ours["ours"]["median"] / ours["theirs"]["median"], abs=1e-5)
    assert pixels["met"] and ours["equal_of_grey"] == ours["grey"] > 0


def test_unknown_row_is_one_line() -> None:
    done = call("croop")
    assert done.returncode == 2
    assert "no row croop; there are crop, step" in done.stderr


@pytest.fixture
def scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(running, "WAYS", tmp_path)
    head = f"import sys; sys.path.insert(0, {str(BENCH / 'ways')!r})\nimport serving\n"
    log = tmp_path / "log"
    body = f"print('noise'); serving.serve(lambda: open({str(log)!r}, 'a').write(sys.argv[1]), size=lambda: 7)\n"
    (tmp_path / "good.py").write_text(head + body)
    (tmp_path / "bad.py").write_text(head + "raise RuntimeError('no such kernel')\n")
    return tmp_path


def test_ways_take_turns_and_answer(scripts: Path) -> None:
    found = side_by_side([Way("a", "good.py", ("a",)), Way("b", "good.py", ("b",))], 3, [], ("size", "unknown"))
    assert (scripts / "log").read_text() == "abbaab"
    for measured in found.values():
        assert isinstance(measured, Measured)
        assert len(measured.runs) == 3 and all(run["seconds"] > 0 and run["result"] == 1 for run in measured.runs)
        assert measured.answers == {"size": 7, "unknown": None}


def test_peer_that_is_missing_or_fails_is_a_word(scripts: Path) -> None:
    missing, failing = Way("missing", "good.py", ("m",), ("no_such_module",)), Way("failing", "bad.py", (), ("json",))
    found = side_by_side([Way("ours", "good.py", ("o",)), missing, failing], 1, [])
    assert found["missing"] == "not installed"
    assert found["failing"] == "failed: RuntimeError: no such kernel"
    line = against("step", "images/s", Figure([2.0]), "missing", rate_of(found["missing"], 1), 1.4)
    assert line.cells()[3:] == ["not installed", "-", ">= 1.4x"]
    with pytest.raises(Failed, match="ours: RuntimeError: no such kernel"):
        side_by_side([Way("ours", "bad.py")], 1, [])


def test_median_spread_and_ratio() -> None:
    figure = Figure([4.0, 2.0, 3.0])
    assert str(figure) == "3.00 [2.00, 4.00]"
    assert str(against("x", "s", figure, "peer", Figure([2.0]), 1.4).cells()[4:]) == "['1.50', '>= 1.4x: met']"
    assert [number(value) for value in (0.0, 0.01234, 1234.5, -2.5)] == ["0", "0.0123", "1,230", "-2.50"]
    assert Settings(quick=True).take(100, 1) == 1
