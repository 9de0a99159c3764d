"""Kill and go on: does a `dvc repro` that was killed at a random moment end in the bytes of an undisturbed one?

    python -m bench.kill              20 moments over all stages of a tiny study, each in a clone of its own
    python -m bench.kill 5            5 moments; KERAS_BACKEND=jax before it for the other backend

`kill -9` hits the whole process group: dvc, the stage, its workers. Then `dvc repro` is called again, and its dvc.lock,
which holds the digest of every output, must be the undisturbed one's. Prints a line a moment, with the outputs that
differ, and `n of n`; exit code 1 when any does. Takes about the time of 1.5 undisturbed runs a moment:
two to three minutes on 2 cores.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from bench.tiny import clone
from brain_mri.files import read_yaml

SEED = 20261123
CHANGES = {
    # A state every three seconds or so, and enough epochs that most moments fall into the training of one pipeline.
    "train": {"epochs": 30, "batch_size": 4, "checkpoint_minutes": 0.05},
    "evaluate": {"resamples": 100},
    "gradcam": {"samples_per_class": 1},
}


def repro(folder: Path, seconds: float | None = None) -> tuple[int, str]:
    """Run `dvc repro`, killed after so many seconds; return its exit code and the name of the last stage it began."""
    log = folder.with_suffix(".log")
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": programs, "PYTHONPATH": str(folder)}  # the clone's own package
    with log.open("w") as output:
        process = subprocess.Popen(
            ["dvc", "repro"], cwd=folder, stdout=output, stderr=output, env=environment, start_new_session=True
        )
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    stages = re.findall(r"Running stage '(\w+)'", log.read_text())
    return process.returncode, stages[-1] if stages else "none"


def digests(folder: Path) -> dict[str, str]:
    """The outputs of dvc.lock; the order of its stages says nothing, as DVC runs any of those that are ready."""
    stages = read_yaml(folder / "dvc.lock")["stages"]
    return {out["path"]: out["md5"] for stage in stages.values() for out in stage["outs"]}


def main() -> None:
    moments = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with tempfile.TemporaryDirectory() as temporary:
        undisturbed = clone(Path(temporary) / "undisturbed", CHANGES)
        begin = time.monotonic()
        code, stage = repro(undisturbed)
        if code:
            sys.exit(f"undisturbed: {stage} failed\n{undisturbed.with_suffix('.log').read_text()[-2000:]}")
        length, expected, same = time.monotonic() - begin, digests(undisturbed), 0
        print(f"undisturbed: {length:.0f} s", flush=True)
        for place, moment in enumerate(np.random.default_rng(SEED).uniform(0, length, moments), start=1):
            folder = clone(Path(temporary) / f"killed{place}", CHANGES)
            killed, stage = repro(folder, moment)
            code, _ = repro(folder)
            if code:
                print(folder.with_suffix(".log").read_text()[-1000:])
            found = {} if code else digests(folder)
            changed = [path for path in expected | found if expected.get(path) != found.get(path)]
            same += not changed
            end = "killed" if killed == -signal.SIGKILL else "ended by itself"
            differ = f"{', '.join(changed)} differ" if found else "it failed"
            print(f"{place}: {end} after {moment:.0f} s in {stage}: {differ if changed else 'same'}", flush=True)
            shutil.rmtree(folder)
        print(f"{same} of {moments} end in the undisturbed run's outputs")
        sys.exit(same < moments)


if __name__ == "__main__":
    main()
