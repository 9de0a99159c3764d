"""The machine: its threads are fixed before it is used, and a precision that it lacks is refused or remarked on."""

from pathlib import Path

import keras
import pytest

from core.files import UserError
from core.network import machine


@pytest.fixture(autouse=True)
def _float32_again(monkeypatch: pytest.MonkeyPatch) -> object:
    for backend in ("_tensorflow", "_jax", "_torch"):
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
    class OutOfMemoryError(RuntimeError):
        pass

    assert machine.out_of_memory(OutOfMemoryError("CUDA out of memory"))
    assert machine.out_of_memory(RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate"))
    assert not machine.out_of_memory(ValueError("shapes differ"))
