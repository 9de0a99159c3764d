"""The saved state: whole or not at all, and a full disk costs no training."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from brain_mri.network.model import build
from brain_mri.network.objective import compile_for_training
from brain_mri.network.resume import State, restore, save
from test_training import RECIPE, tiny

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
file, trainee = Path(sys.argv[1]), compile_for_training(tiny(), RECIPE, 3)
assert save(file, trainee, State(step=1))
before = file.read_bytes()
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
assert not save(file, trainee, State(step=2))
assert file.read_bytes() == before
assert [path.name for path in file.parent.iterdir()] == [file.name]
assert restore(file, trainee, []).step == 1
"""


def test_a_full_disk_keeps_the_old_state_and_says_so(tmp_path: Path) -> None:
    code = f"import sys; sys.path[:0] = [{str(ROOT / 'stages')!r}, {str(ROOT / 'tests')!r}]\n{FULL_DISK}"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "state.npz")], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.strip().splitlines()
    assert len([line for line in lines if "the state saved before is kept" in line]) == 1, lines
    assert "Traceback" not in done.stderr
