"""The machine under the backend: its threads, its determinism, its precision, its memory."""

import os
from pathlib import Path

import keras
from tqdm import tqdm

from brain_mri.errors import UserError

CPU_FACTS = Path("/proc/cpuinfo")


def set_up(threads: int, deterministic: bool = True, precision: str = "float32") -> None:
    """Fix the threads, the kind of kernels and the precision of new layers; must run before the first operation.

    With a fixed number of threads the same sums are taken in the same order on any number of cores: more threads than
    cores cost time and change no bit. Without `deterministic` kernels of a GPU may sum in any order, and faster.
    Raises UserError for another backend than TensorFlow and JAX, and for a precision that the machine lacks."""
    backend = keras.backend.backend()
    if backend not in ("tensorflow", "jax"):
        raise UserError(f"KERAS_BACKEND = {backend}: must be tensorflow or jax")
    (_tensorflow if backend == "tensorflow" else _jax)(threads, deterministic)
    set_precision(precision)


def set_precision(precision: str) -> None:
    """Set the dtype policy of new layers: float32, mixed_bfloat16 or mixed_float16 (variables stay float32).

    Raises UserError for mixed_float16 without a GPU; mixed_bfloat16 works on every CPU, and a line tells where it is
    slow."""
    if precision == "mixed_float16" and not has_gpu():
        raise UserError(
            "train.precision = mixed_float16: it needs a GPU, and there is none; use mixed_bfloat16 or float32"
        )
    if precision == "mixed_bfloat16" and not has_gpu() and not _cpu_has_bfloat16():
        tqdm.write("train.precision = mixed_bfloat16: this CPU has no instructions for it; float32 is faster here")
    keras.config.set_dtype_policy(precision)


def _tensorflow(threads: int, deterministic: bool) -> None:
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    # One alone leaves the others waiting in half of the steps, on two cores; operations side by side change no sum.
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    if deterministic:
        tf.config.experimental.enable_op_determinism()
        # Grappler lets operations share results; an AddN of three gradients adds into whichever of them is no longer
        # needed by another, so the order of its sum, and its last bits, depended on which operation came first.
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})


def _jax(threads: int, deterministic: bool) -> None:
    # JAX reads both when its first operation starts the device.
    os.environ["PJRT_NPROC"] = str(threads)
    flag = "--xla_gpu_deterministic_ops=true"
    if deterministic and flag not in os.environ.get("XLA_FLAGS", ""):
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flag}".strip()


def has_gpu() -> bool:
    """Return whether the backend has an accelerator to compute on."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return bool(tf.config.list_physical_devices("GPU"))
    import jax

    return jax.default_backend() != "cpu"


def _cpu_has_bfloat16() -> bool:
    facts = CPU_FACTS.read_text() if CPU_FACTS.exists() else "bf16"  # elsewhere nothing is known: no warning
    return "bf16" in facts


def out_of_memory(error: Exception) -> bool:
    """Return whether a backend raised this error because the device's memory, or the machine's, is full."""
    return type(error).__name__ in ("ResourceExhaustedError", "MemoryError") or "RESOURCE_EXHAUSTED" in str(error)
