"""bench: ways take turns, a missing peer is a word in its cell, rows keep their place; ablation; hostile input."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from heads import head

from bench import ablation, fuzz, photographs, turns
from bench.speed import Line, number, shown
from bench.turns import Failed, Way, take_turns
from brain_mri.files import parse_yaml, read_yaml, write_png
from brain_mri.params import load_params

ROOT = Path(__file__).parents[2]


def call(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench.speed", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


def test_quick_row_is_printed_and_written_and_others_stay(tmp_path: Path) -> None:
    file = tmp_path / "speed.json"
    file.write_text(json.dumps({"step": {"lines": ["of an earlier run"]}, "gone": 1}))
    done = call("crop", "--quick", "--repeats", 1, "--output", file)
    assert done.returncode == 0, done.stderr
    assert "| crop | crop, resize, write: 24 " in done.stdout
    written = json.loads(file.read_text())
    assert list(written) == ["crop", "step"]
    assert written["step"] == {"lines": ["of an earlier run"]}
    (line,) = written["crop"]["lines"]
    assert line["ratio"] == pytest.approx(line["ours"][0] / line["theirs"][0], abs=1e-5)


def test_unknown_row_is_one_line() -> None:
    done = call("croop")
    assert done.returncode == 2
    assert "no row croop; there are crop, predict, step" in done.stderr


def test_copies_of_photographs_are_planted_and_what_was_found_is_counted(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    for seed in range(2):
        write_png(tmp_path / f"in/{seed}.png", head(seed))
    planted = photographs.write_copies(tmp_path / "in", tmp_path / "out")
    copies = [name for name, (kind, strength, _) in planted.items() if (kind, strength) == ("crop", 0.1)]
    assert sorted(path.name for path in (tmp_path / "out/crop-0.1").iterdir()) == sorted([*copies, "0.png", "1.png"])
    # Of one photograph both copies are found, whichever stands first; of the other one none; and one pair is wrong.
    first, mirrored = (name for name in copies if name.startswith("0--"))
    found = photographs.score([[first, "0.png"], ["0.png", mirrored], ["1.png", first]], planted)
    shares = {(row["kind"], row["strength"], row["pose"]): row["share"] for row in found["recall"]}
    assert shares["crop", 0.1, "as it is"] == shares["crop", 0.1, "mirrored"] == 0.5
    assert shares["jpeg", 30, "as it is"] == 0
    assert (found["wrong"], found["pairs"]) == (1, 3)


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the ways write; they are modules of a package `bench` of their own."""
    monkeypatch.setattr(turns, "ROOT", tmp_path)
    (tmp_path / "bench").mkdir()
    for name in ("__init__.py", "answering.py"):
        (tmp_path / "bench" / name).write_text((ROOT / "bench" / name).read_text())
    log = tmp_path / "log"
    work = f"lambda: open({str(log)!r}, 'a').write(sys.argv[1])"
    good = f"import sys\nfrom bench.answering import serve\nprint('noise')\nserve({work})\n"
    (tmp_path / "bench/good.py").write_text(good)
    (tmp_path / "bench/bad.py").write_text("raise RuntimeError('no such kernel')\n")
    return log


def test_ways_take_turns_and_answer(log: Path) -> None:
    found = take_turns([Way("a", "good", ("a",)), Way("b", "good", ("b",))], 3, [])
    assert log.read_text() == "abbaab"
    for runs in found.values():
        assert not isinstance(runs, str)
        assert [run["result"] for run in runs] == [1, 1, 1] and all(run["seconds"] > 0 for run in runs)


def test_peer_that_is_missing_or_fails_is_a_word(log: Path) -> None:
    missing, failing = Way("missing", "good", ("m",), ("no_such_module",)), Way("failing", "bad", (), ("json",))
    found = take_turns([Way("ours", "good", ("o",)), missing, failing], 1, [])
    assert found["missing"] == "not installed"
    assert found["failing"] == "failed: RuntimeError: no such kernel"
    assert Line("step", "images/s", [2.0], "missing", "not installed").cells()[3:] == ["not installed", ""]
    with pytest.raises(Failed, match="ours: RuntimeError: no such kernel"):
        take_turns([Way("ours", "bad")], 1, [])


def test_median_spread_and_ratio() -> None:
    assert shown([4.0, 2.0, 3.0]) == "3.00 [2.00, 4.00]"
    assert Line("x", "images/s", [4.0, 2.0, 3.0], "peer", [2.0]).ratio == 1.5
    assert Line("x", "MiB", [1.0], "peer", [2.0], better="less").ratio == 2
    assert [number(value) for value in (0.0, 0.01234, 1234.5, -2.5)] == ["0", "0.0123", "1,230", "-2.50"]


def params_of(row: str, folder: Path, **more: object) -> object:
    """The parameters of an ablation's row, as DVC would change the study's."""
    params = read_yaml(ROOT / ablation.STUDY / "params.yaml")
    for name, value in (ablation.COST | ablation.MIXTURE | ablation.rows()[row][0] | more).items():
        *sections, key = name.split(".")
        values = params
        for section in sections:
            values = values[section]
        assert key in values, name
        values[key] = parse_yaml(str(value), name)
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    return load_params(folder / "params.yaml")


@pytest.mark.parametrize("row", ablation.rows())
def test_each_row_of_the_ablation_is_a_valid_set_of_parameters(row: str, tmp_path: Path) -> None:
    study = load_params(ROOT / ablation.STUDY / "params.yaml")
    assert study.train.seed in ablation.SEEDS
    found = params_of(row, tmp_path, **{"train.seed": study.train.seed})
    assert (found == study) == (row == "study-in-full")


def test_a_lever_alone_and_all_less_it_differ_in_that_lever() -> None:
    rows = {name: overrides for name, (overrides, _) in ablation.rows().items()}
    for lever, switch in ablation.LEVERS.items():
        assert rows[f"all-less-{lever}"] == switch
        assert rows["none"].items() - rows[f"{lever}-alone"].items() == switch.items()


def test_a_row_of_several_seeds_shows_their_range() -> None:
    values = {name: [0.5, 0.7] for name in ablation.MEASURES}
    assert ablation.line("all", values).startswith("| all | 2 | 0.60 (0.50-0.70) |")


@pytest.mark.filterwarnings("ignore:Duplicate name")  # of an archive
@pytest.mark.parametrize("start", range(0, 500, 50))
def test_hostile_input_is_accepted_or_refused_in_one_line(start: int) -> None:
    outcomes = [fuzz.attempt(index) for index in range(start, start + 50)]
    assert not [outcome for outcome in outcomes if "PROBLEM" in outcome.result]
    assert outcomes[0].result == fuzz.attempt(start).result, "an input is not the same each time"


def test_a_step_is_measured_beside_pytorch_or_without_it() -> None:
    command = [sys.executable, "-m", "bench.gpu", "--quick", "--repeats", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    what, ours, peer, theirs, _ = (cell.strip() for cell in done.stdout.splitlines()[-1].split("|")[1:-1])
    assert what == "step: compact, 32 px, batch 4, bfloat16, images/s" and peer.startswith("PyTorch")
    assert float(ours.replace(",", "")) > 0
    assert re.match(r"[\d.,]+$|not installed|failed: ", theirs)


def test_the_way_to_the_first_step_is_timed_by_part() -> None:
    command = [sys.executable, "-m", "bench.first_step", "."]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    rows = dict(re.findall(r"^(.+): ([\d.]+) s", done.stdout, re.M))
    parts = ["dvc, before the first stage", "fetch", "crop", "split", "train, to its first step"]
    assert list(rows) == [*parts, "all"]
    assert sum(float(rows[part]) for part in parts) == pytest.approx(float(rows["all"]), abs=0.5)
