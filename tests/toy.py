"""A study that runs in a second and leaves what a real one leaves: for tests of what is done with runs."""

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
ENVIRONMENT = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"} | {
    f"GIT_{who}_{what}": "test@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
}

PARAMS = """\
code: .
pipeline: aug
dataset: {classes: [glioma, notumor], negative: notumor, seed: 7, images: 40}
train: {seed: 1, seconds: 0}
evaluate: {resamples: 100, seed: 0}
"""

DVC = """\
stages:
  fetch:
    cmd: python ${code}/stages/toy.py fetch
    deps: ["${code}/stages/toy.py"]
    params: [dataset]
    outs: [data/raw, data/cropped, data/split]
    metrics:
      - metrics/dataset.json: {cache: false}
  train:
    cmd: python ${code}/stages/toy.py train
    deps: ["${code}/stages/toy.py", data/raw]
    params: [train]
    outs: [models/aug.bin]
  evaluate:
    cmd: python ${code}/stages/toy.py evaluate
    deps: ["${code}/stages/toy.py", data/split, models/aug.bin]
    params: [dataset, pipeline]
    outs: [data/predictions]
    metrics:
      - metrics/noaug.json: {cache: false}
      - metrics/aug.json: {cache: false}
      - metrics/intervals.json: {cache: false}
"""

# TOY_CPU stands for another make of CPU: the model's bytes change, and the log loss by as much as it says.
STAGE = """\
import csv, json, os, random, sys, time
from pathlib import Path
from ruamel.yaml import YAML

KERNEL = [[1, 1, 1], [1, 1, 1], [1, 1, 1]]
params = YAML(typ="safe").load(Path("params.yaml"))
data, other_cpu = params["dataset"], os.environ.get("TOY_CPU", "")


def write(path, text):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)


def write_json(path, values):
    write(path, json.dumps(values, indent=2) + "\\n")


def images():
    return [(f"Testing/{data['classes'][i % 2]}/{i}.png", data["classes"][i % 2], i) for i in range(data["images"])]


def predictions(pipeline, seed):
    drawn = random.Random(f"{pipeline} {seed}")
    for path, label, group in images():
        shares = [0.9, 0.1] if label == data["classes"][0] else [0.1, 0.9]
        if drawn.random() < 0.2:
            shares.reverse()
        yield [path, label, group, "clean" if group % 4 else "leaked", data["classes"][shares.index(0.9)], *shares]


if sys.argv[1] == "fetch":
    for path, _, number in images():
        for folder in ("data/raw", "data/cropped/images"):
            write(f"{folder}/{path}", f"{data['seed']} {number}")
    write("data/split/external.csv", "path,source\\n")
    write_json("metrics/dataset.json", {"images": data["images"]})
elif sys.argv[1] == "train":
    began = time.time()
    time.sleep(params["train"]["seconds"])
    if params["train"]["seconds"]:
        with open(os.environ["TOY_TIMES"], "a") as file:
            file.write(f"{began} {time.time()}\\n")
    write("models/aug.bin", f"{params['train']['seed']} {sum(map(sum, KERNEL))} {other_cpu}")
else:
    seed = Path("models/aug.bin").read_text().split()[0]
    header = ["path", "label", "group", "part", "predicted", *(f"p_{name}" for name in data["classes"])]
    bounds = {}
    for pipeline in ("noaug", "aug"):
        rows = list(predictions(pipeline, seed))
        for name, table in (("test", rows), ("external", [])):
            lines = [",".join(map(str, row)) for row in [header, *table]]
            write(f"data/predictions/{pipeline}_{name}.csv", "\\n".join(lines) + "\\n")
        metrics, bounds[pipeline] = {}, {}
        for part in ("all", "clean"):
            seen = [row for row in rows if part in ("all", row[3])]
            share = sum(row[1] == row[4] for row in seen) / len(seen)
            metrics[part] = {"n": len(seen), "accuracy": share, "log_loss": 1 - share + float(other_cpu or 0)}
            bounds[pipeline][part] = {
                "accuracy": [share - 0.1, share + 0.1], "log_loss": [0.9 - share, 1.1 - share]
            }
        calibration = {part: {"after": {"ece_equal_width": 0.1}} for part in ("all", "clean")}
        write_json(
            f"metrics/{pipeline}.json",
            {"test": metrics, "external": {}, "calibration": {"temperature": 1.0, **calibration}},
        )
    write_json("metrics/intervals.json", bounds)
"""


def call(folder: Path, *command: str, code: int = 0, **environment: str) -> str:
    """Run a command that must end with this exit code; return what it printed."""
    done = subprocess.run(command, cwd=folder, env=ENVIRONMENT | environment, capture_output=True, text=True)
    assert done.returncode == code, f"{' '.join(command)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def brain_mri(folder: Path, *arguments: str, code: int = 0, **environment: str) -> str:
    """Run a subcommand of `brain-mri` in this folder; see `call`."""
    command = [sys.executable, "-P", "-m", "brain_mri"]  # -P: not the brain_mri of this folder
    return call(folder, *command, *arguments, code=code, PYTHONPATH=str(ROOT), **environment)


def commit(folder: Path, message: str) -> None:
    call(folder, "git", "add", "-A")
    call(folder, "git", "commit", "-qm", message)


def make_study(folder: Path) -> Path:
    """Make a repository whose root is the toy study, run and committed."""
    return Path(shutil.copytree(_made(), folder, symlinks=True))


@cache
def _made() -> Path:
    temporary = tempfile.mkdtemp(prefix="toy-")
    atexit.register(shutil.rmtree, temporary, ignore_errors=True)
    folder = Path(temporary) / "study"
    (folder / "stages").mkdir(parents=True)
    (folder / "stages" / "toy.py").write_text(STAGE)
    (folder / "params.yaml").write_text(PARAMS)
    (folder / "dvc.yaml").write_text(DVC)
    (folder / "requirements.txt").write_text("# nothing is locked\n")
    (folder / ".dvc").mkdir()
    (folder / ".dvcignore").write_text("__pycache__/\n")
    (folder / ".dvc" / "config").write_text("[core]\n    analytics = false\n    check_update = false\n")
    (folder / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")
    call(folder, "git", "init", "-q", "-b", "main")
    call(folder, "dvc", "repro", "-q")
    commit(folder, "results")
    return folder


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
