"""Kill and go on: does a `dvc repro` that was killed at a random moment end in the bytes of an undisturbed one?

    python bench/kill.py              20 moments over all stages of a tiny study, each in a clone of its own
    python bench/kill.py 5            5 moments; KERAS_BACKEND=jax or torch before it for another backend

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
import yaml
from tiny import clone

SEED = 20261123
CHANGES = {
    # A state every three seconds or so, and enough epochs that most moments fall into the training of one pipeline.
    "train": {"epochs": 30, "batch_size": 4, "checkpoint_minutes": 0.05},
    "evaluate": {"resamples": 100},
    "gradcam": {"samples_per_class": 1},
}
PROGRAMS = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def repro(folder: Path, seconds: float | None = None) -> tuple[int, str]:
    """Run `dvc repro`, killed after so many seconds; return its exit code and the name of the last stage it began."""
    log = folder.with_suffix(".log")
    with log.open("w") as output:
        process = subprocess.Popen(
            ["dvc", "repro"],
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | {"PATH": PROGRAMS},
            start_new_session=True,
        )
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    stages = re.findall(r"Running stage '(\w+)'", log.read_text())
    return process.returncode, stages[-1] if stages else "none"


def differing(one: Path, other: Path) -> list[str]:
    """Return the outputs whose digests differ between two dvc.lock; the file itself where something else does.

    Of stages that do not need each other DVC runs, and writes down, any one first: their order says nothing."""
    stages, others = (yaml.safe_load((folder / "dvc.lock").read_text())["stages"] for folder in (one, other))
    if stages == others:
        return []
    digests, found = (
        {out["path"]: out["md5"] for stage in lock.values() for out in stage["outs"]} for lock in (stages, others)
    )
    return [f"{path} differs" for path in digests if found.get(path) != digests[path]] or ["dvc.lock differs"]


def main() -> None:
    moments = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with tempfile.TemporaryDirectory() as temporary:
        undisturbed = clone(Path(temporary) / "undisturbed", CHANGES)
        begin = time.monotonic()
        code, stage = repro(undisturbed)
        if code:
            sys.exit(f"undisturbed: {stage} failed\n{undisturbed.with_suffix('.log').read_text()[-2000:]}")
        length = time.monotonic() - begin
        print(f"undisturbed: {length:.0f} s", flush=True)
        same = 0
        for place, moment in enumerate(np.random.default_rng(SEED).uniform(0, length, moments), start=1):
            folder = clone(Path(temporary) / f"killed{place}", CHANGES)
            killed, stage = repro(folder, moment)
            code, _ = repro(folder)
            changed = differing(undisturbed, folder) if code == 0 else ["it failed"]
            same += not changed
            how = "killed" if killed == -signal.SIGKILL else "ended by itself"
            print(f"{place}: {how} after {moment:.0f} s in {stage}: {', '.join(changed) or 'same'}", flush=True)
            if code:
                print(folder.with_suffix(".log").read_text()[-1000:])
            shutil.rmtree(folder)
        print(f"{same} of {moments} end in the undisturbed run's dvc.lock")
        sys.exit(same < moments)


if __name__ == "__main__":
    main()
