"""The machine: its threads are fixed before it is used, and a precision that it lacks is refused or remarked on."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

from brain_mri.errors import UserError
from brain_mri.network import machine

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _float32_again(monkeypatch: pytest.MonkeyPatch) -> object:
    for backend in ("_tensorflow", "_jax"):
        monkeypatch.setattr(machine, backend, lambda threads, deterministic: None)
    monkeypatch.setattr(machine, "has_gpu", lambda: False)
    yield
    keras.config.set_dtype_policy("float32")


def test_threads_are_fixed_before_the_first_operation(monkeypatch: pytest.MonkeyPatch) -> None:
    if keras.backend.backend() != "tensorflow":
        pytest.skip("only TensorFlow says when it is too late")
    import tensorflow as tf

    monkeypatch.undo()
    keras.ops.ones(1)
    with pytest.raises(RuntimeError):  # it must not pass silently
        machine.set_up(tf.config.threading.get_intra_op_parallelism_threads() + 1)


def test_another_backend_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(UserError, match="KERAS_BACKEND = torch: must be tensorflow or jax"):
        machine.set_up(1)


def test_half_precision_of_gpus_is_refused_on_a_cpu() -> None:
    with pytest.raises(UserError, match=r"train.precision = mixed_float16.*GPU") as caught:
        machine.set_up(1, True, "mixed_float16")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("flags", "told"), [("flags : avx2 avx512_bf16", False), ("flags : sse avx2", True)])
def test_a_slow_precision_works_and_is_remarked_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], flags: str, told: bool
) -> None:
    facts = tmp_path / "cpuinfo"
    facts.write_text(flags)
    monkeypatch.setattr(machine, "CPU_FACTS", facts)
    machine.set_up(1, True, "mixed_bfloat16")
    assert ("float32 is faster" in capfd.readouterr().out) == told
    layer = keras.layers.Dense(2)
    assert (layer.compute_dtype, layer.variable_dtype) == ("bfloat16", "float32")


def test_full_memory_is_recognised() -> None:
    assert machine.out_of_memory(MemoryError())
    assert machine.out_of_memory(RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate"))
    assert not machine.out_of_memory(ValueError("shapes differ"))


GRADIENTS = """
import brain_mri.network
import keras, tensorflow as tf
from brain_mri.network.batches import logits_of
from brain_mri.network.machine import set_up
from settings import network
set_up(2)
model = logits_of(network("efficientnet_lesion", 128, dropout=0.0))
images = keras.random.uniform((16, 128, 128, 1), 0, 255, seed=1)

@tf.function
def gradients():
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model(images, training=True) ** 2)
    return tape.gradient(loss, model.trainable_variables)

print(len({b"".join(part.numpy().tobytes() for part in gradients()) for _ in range(20)}))
"""


def test_operations_side_by_side_change_no_bit() -> None:
    if keras.backend.backend() != "tensorflow":
        pytest.skip("the others run one operation after the other")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(str(folder) for folder in (ROOT, ROOT / "tests"))}
    ran = subprocess.run([sys.executable, "-c", GRADIENTS], env=environment, capture_output=True, text=True)
    assert ran.stdout == "1\n", f"{ran.stdout} different gradients of the same images\n{ran.stderr[-2000:]}"
