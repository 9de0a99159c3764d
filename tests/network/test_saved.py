"""The networks in their files: the same bytes, opened by plain Keras, refused when broken."""

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
import scipy.special
from settings import network

from brain_mri.errors import UserError
from brain_mri.network.batches import logits_of
from brain_mri.network.saved import load, save

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def compact() -> keras.Model:
    return network()


def test_saving_twice_in_two_processes_gives_the_same_bytes(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from settings import network\n"
        "from brain_mri.network.saved import save\n"
        "for _ in range(int(sys.argv[2])): model = network('compact_fine')\n"
        "save(model, Path(sys.argv[1]), {'classes': ['a']})"
    )
    digests = set()
    for count in (1, 2):  # an earlier model in the process must not change the layers' names either
        file = tmp_path / f"{count}.keras"
        subprocess.run(
            [sys.executable, "-c", script, str(file), str(count)],
            check=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tests")))},
        )
        digests.add(hashlib.sha256(file.read_bytes()).hexdigest())
    assert len(digests) == 1


def test_a_saved_model_opens_with_plain_keras_and_carries_its_card(tmp_path: Path, compact: keras.Model) -> None:
    file = tmp_path / "m.keras"
    save(compact, file, {"classes": ["a", "b"], "image_size": 32})
    image = np.random.default_rng(0).integers(0, 255, (2, 32, 32, 1)).astype(np.float32)
    plain = keras.models.load_model(file, safe_mode=True)
    assert np.array_equal(plain.predict(image, verbose=0), compact.predict(image, verbose=0))
    loaded, card = load(file)
    assert card == {"classes": ["a", "b"], "image_size": 32}
    logits = logits_of(loaded).predict(image, verbose=0)
    assert np.allclose(scipy.special.softmax(logits, axis=-1), loaded.predict(image, verbose=0), atol=1e-6)


@pytest.mark.parametrize("content", [b"", b"no zip", None])
def test_a_broken_or_missing_model_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "m.keras"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UserError, match=r"m\.keras"):
        load(file)


def test_a_truncated_model_is_named(tmp_path: Path, compact: keras.Model) -> None:
    file = tmp_path / "m.keras"
    save(compact, file, {})
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(UserError, match=r"m\.keras: not a model"):
        load(file)


def test_a_keras_file_without_a_card_is_refused(tmp_path: Path, compact: keras.Model) -> None:
    compact.save(tmp_path / "m.keras")
    with pytest.raises(UserError, match="not a model of this project"):
        load(tmp_path / "m.keras")


def test_no_date_and_no_address_stay_in_the_file(tmp_path: Path, compact: keras.Model) -> None:
    save(compact, tmp_path / "m.keras", {})
    with zipfile.ZipFile(tmp_path / "m.keras") as file:
        assert {info.date_time for info in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert json.loads(file.read("metadata.json"))["date_saved"].startswith("1980")
