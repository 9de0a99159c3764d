"""What a user waits for: seconds from the data set's archive to the first training step, and where they go.

    BRAIN_MRI_DATA=... python -m bench.first_step [STUDY]      default: studies/compact; nothing is written here

The study is run by DVC in a fresh copy of this project, with an empty cache, up to `split`; then `train.py noaug` until
its first step is done. A stage's seconds hold what DVC does after its script: hashing and keeping what it wrote.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench import tiny
from bench.machine import describe
from brain_mri.errors import UserError, run

UNTIL_FIRST_STEP = """
import os, runpy, sys
from brain_mri.network.training import StepMonitor
StepMonitor.on_train_batch_end = lambda *_: os._exit(0)
sys.argv = [{script!r}, "noaug"]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", nargs="?", default="studies/compact")
    study, machine = parser.parse_args().study, describe()
    with tempfile.TemporaryDirectory() as folder:
        clone = tiny.clone(Path(folder) / "clone", {})
        environment = os.environ | {"PYTHONPATH": str(clone), "PYTHONUNBUFFERED": "1"}
        seconds = stages(clone / study, environment)
        start = time.monotonic()
        command = [sys.executable, "-c", UNTIL_FIRST_STEP.format(script=str(clone / "stages/train.py"))]
        subprocess.run(command, cwd=clone / study, env=environment, check=True)
        seconds["train, to its first step"] = time.monotonic() - start
    for name, value in seconds.items():
        print(f"{name}: {value:.1f} s")
    print(f"all: {sum(seconds.values()):.1f} s ({machine['cpu']}, {machine['cores']} cores)")


def stages(study: Path, environment: dict[str, str]) -> dict[str, float]:
    """Run the stages up to `split`; return the seconds of each, by the lines in which DVC says that it starts one."""
    command = [sys.executable, "-m", "dvc", "repro", "dvc.yaml:split"]
    seconds, name, since = {}, "dvc, before the first stage", time.monotonic()
    with subprocess.Popen(command, cwd=study, env=environment, stdout=subprocess.PIPE, text=True) as dvc:
        assert dvc.stdout
        for line in dvc.stdout:
            if started := re.match(r"Running stage '(?:.*:)?(\w+)'", line):
                seconds[name], since = time.monotonic() - since, time.monotonic()
                name = started[1]
    seconds[name] = time.monotonic() - since
    if dvc.returncode:
        raise UserError(f"{study}: the stages failed; their message stands above")
    return seconds


if __name__ == "__main__":
    run(main)
