"""The saved state: whole or not at all, named after all that a training depends on; a full disk costs no training."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from settings import VALUES

from brain_mri.files import write_png
from brain_mri.images.dataset import Sample, write_samples
from brain_mri.images.examples import Examples
from brain_mri.network.resume import discard_states, state_file

ROOT = Path(__file__).parents[2]
FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from brain_mri.network.objective import compile_for_training
from brain_mri.network.resume import State, restore, save
from test_training import settings, tiny

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
file, trainee = Path(sys.argv[1]), compile_for_training(tiny(), settings(), 3)
assert save(file, trainee, State(step=1))
before = file.read_bytes()
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
assert not save(file, trainee, State(step=2))
assert file.read_bytes() == before
assert [path.name for path in file.parent.iterdir()] == [file.name]
assert restore(file, trainee, []).step == 1
"""
# The stage as it runs, up to where it names its state: the code that the name covers.
LOADED = """
import runpy, sys
from brain_mri.network import resume

def show(*given):
    print(*resume.loaded_code(), sep="\\n")
    sys.exit()

resume.state_file = show
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def python(code: str, folder: Path, *arguments: str) -> subprocess.Popen:
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "tests", Path(__file__).parent)))
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env=os.environ | {"PYTHONPATH": paths},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_full_disk_keeps_the_old_state_and_tells_of_it(tmp_path: Path) -> None:
    done = python(FULL_DISK, tmp_path, str(tmp_path / "state.npz"))
    out, errors = done.communicate()
    assert done.returncode == 0, errors
    assert out.count("the state saved before is kept") == 1
    assert "Traceback" not in errors


def examples() -> Examples:
    return Examples(np.zeros((3, 8, 8, 1), np.uint8), np.arange(3))


def test_a_changed_byte_in_any_loaded_module_names_another_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = state_file("noaug", (), [examples()])
    modules = [module for name, module in sys.modules.items() if name.startswith("brain_mri.")]
    files = {module: Path(module.__file__) for module in modules if module.__file__}
    assert len(files) > 10
    for module, file in files.items():
        changed = tmp_path / file.name
        changed.write_bytes(file.read_bytes() + b"#")
        with monkeypatch.context() as patched:
            patched.setattr(module, "__file__", str(changed))
            assert state_file("noaug", (), [examples()]) != before, file
    assert state_file("noaug", (), [examples()]) == before


def test_other_parameters_images_or_labels_name_another_state() -> None:
    other = replace(examples(), labels=np.array([0, 1, 1])), replace(examples(), images=examples().images + 1)
    names = [state_file("noaug", given, [examples()]) for given in ((1, 2), (1, 3))]
    names += [state_file("noaug", (1, 2), [changed]) for changed in other] + [state_file("aug", (1, 2), [examples()])]
    assert len(set(names)) == 5


def test_another_run_s_state_is_told_of_and_goes_with_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    old = state_file("aug", 1, [])
    old.parent.mkdir()
    old.touch()
    assert "other parameters, data or code" not in capsys.readouterr().out
    state_file("aug", 2, [])
    assert f"{old} is of a run with other parameters, data or code" in capsys.readouterr().out
    discard_states("aug")
    assert not old.exists()


def test_the_name_covers_the_script_and_all_it_loads_and_noaug_loads_no_augmentation(tmp_path: Path) -> None:
    values = VALUES | {"model": VALUES["model"] | {"image_size": 32}, "train": VALUES["train"] | {"batch_size": 4}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    samples = [Sample(f"{i}.png", values["dataset"]["classes"][i % 4], "", group="0") for i in range(8)]
    for sample in samples:
        write_png(tmp_path / "data/cropped/images" / sample.path, np.full((40, 40), 9, np.uint8))
    for name in ("train", "val"):
        write_samples(tmp_path / f"data/split/{name}.csv", samples)
    started = {which: python(LOADED, tmp_path, str(ROOT / "stages/train.py"), which) for which in ("noaug", "aug")}
    loaded = {}
    for which, process in started.items():
        out, errors = process.communicate()
        assert process.returncode == 0, errors
        loaded[which] = {str(Path(file).relative_to(ROOT)) for file in out.splitlines() if file.startswith(str(ROOT))}
    network = {str(file.relative_to(ROOT)) for file in ROOT.glob("brain_mri/network/*.py")}
    assert loaded["noaug"] >= network - {"brain_mri/network/features.py"} | {"stages/train.py", "brain_mri/params.py"}
    added = loaded["aug"] - loaded["noaug"]
    folders = {file.split("/")[1] for file in added}
    assert folders >= {"augmentation", "phantoms"} and not folders & {"network", "params.py"}
    names = {Path(file).name for file in added | loaded["noaug"]}
    changing = {"corruptions.py", "inpainting.py", "crop.py", "phantom.py", "head.py", "lesions.py", "anatomy.py"}
    assert names >= changing
    assert not {file for file in loaded["noaug"] if file.startswith(("brain_mri/augmentation", "brain_mri/phantoms"))}
