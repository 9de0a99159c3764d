"""Training on several devices and over several processes: Keras's data parallelism, on JAX.

Every device has all weights and takes its rows of each batch; the compiled step is that of the whole batch, batch
statistics included, so a training ends where that of one device does, up to the order of its sums. The devices of one
process are found by themselves. Several processes, on one machine or more, are started by hand, with the variables of
`keras.distribution.initialize` in the environment of each; process 0 alone reads and writes the state and the results.
"""

import os
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from brain_mri.errors import UserError, reason
from brain_mri.images.examples import Draw, Examples

ADDRESS, COUNT, INDEX = (f"KERAS_DISTRIBUTION_{name}" for name in ("JOB_ADDRESSES", "NUM_PROCESSES", "PROCESS_ID"))
START_SECONDS = 300  # until all processes are there
LOST_SECONDS = 20  # without a sign of life, and the process counts as dead


class DataParallel(keras.distribution.DataParallel):
    """Every device takes its rows of a batch or, where they cannot be dealt out evenly (`whole`), all of them."""

    whole = False

    def get_data_layout(self, data_shape: tuple[int, ...]) -> Any:
        if self.whole:
            return keras.distribution.TensorLayout([None] * len(data_shape), self.device_mesh)
        return super().get_data_layout(data_shape)


def processes() -> tuple[int, int]:
    """Return how many processes the environment asks for, and which of them this is: (1, 0) where it says nothing.

    Raises UserError for numbers that are none, and for several processes with a backend other than JAX."""
    try:
        count, index = int(os.environ.get(COUNT, 1)), int(os.environ.get(INDEX, 0))
    except ValueError:
        count, index = 0, 0
    if not 0 <= index < count:
        raise UserError(
            f"{COUNT} = {os.environ.get(COUNT)}, {INDEX} = {os.environ.get(INDEX)}: expected a number of processes and "
            "which of them this is, counted from 0"
        )
    if count > 1 and keras.backend.backend() != "jax":
        raise UserError(f"{COUNT} = {count}: several processes need KERAS_BACKEND=jax")
    return count, index


def is_first() -> bool:
    """Return whether this is the process that writes."""
    return processes()[1] == 0


@contextmanager
def process_group() -> Iterator[None]:
    """Meet the other processes, where there are any, and work with them; must be entered before JAX starts its devices.

    An error ends the process in here: on its way out JAX would wait for the others, which wait for this one. They are
    cut off by that, and end likewise."""
    _connect()
    try:
        yield
    except Exception as error:
        if processes()[0] == 1:
            raise
        if isinstance(error, UserError):
            line = str(error)
        elif type(error).__name__ == "JaxRuntimeError":
            line = (
                f"the connection to another process broke ({reason(error)}); see why that one "
                "ended and run the same command in all again: it goes on from the last saved state"
            )
        else:
            line = "".join(traceback.format_exception(error))
        print(f"process {processes()[1]}: {line}", file=sys.stderr, flush=True)
        sys.stdout.flush()
        os._exit(2)


def _connect() -> None:
    count, index = processes()
    if count == 1:
        return
    address = os.environ.get(ADDRESS, "").split(",")[0]
    if not re.fullmatch(r".+:\d+", address):
        raise UserError(
            f"{ADDRESS} = {address or 'not set'}: expected host:port of process 0, the same in all {count} processes"
        )
    import jax

    tqdm.write(f"train: process {index} of {count} waits at {address} for the others, up to {START_SECONDS} s")
    try:
        # What keras.distribution.initialize calls; but that waits for minutes before it holds a process for dead.
        jax.distributed.initialize(
            address,
            count,
            index,
            initialization_timeout=START_SECONDS,
            heartbeat_timeout_seconds=LOST_SECONDS,
            shutdown_timeout_seconds=LOST_SECONDS,
            coordinator_bind_address=address,  # JAX would listen on every address of the machine
        )
    except (RuntimeError, ValueError) as error:
        raise UserError(f"{ADDRESS} = {address}: the {count} processes did not meet there ({reason(error)})") from None


def use_all_devices(batch_size: int) -> None:
    """Use all devices, where there are several, for the models built from now on; UserError where the batch cannot be
    dealt out evenly."""
    if keras.backend.backend() != "jax":
        return
    import jax

    devices = jax.device_count()
    if devices == 1:
        return
    if batch_size % devices:
        raise UserError(
            f"train.batch_size = {batch_size}: does not divide by the {devices} devices of {jax.process_count()} "
            "process(es); change it, or show fewer devices (CUDA_VISIBLE_DEVICES)"
        )
    keras.distribution.set_distribution(DataParallel(auto_shard_dataset=False))


def even_parts(indices: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    """Yield the indices whole or, where their last batch cannot be dealt out evenly, without it and then that batch,
    which each device takes whole.

    Each part needs a call of Keras's own, made before the next part is asked for: Keras lays out all batches of a call
    as its first."""
    shared, rest = keras.distribution.distribution(), len(indices) % batch_size
    if shared is None or rest % shared.num_model_replicas == 0:
        yield indices
        return
    if len(indices) > rest:
        yield indices[:-rest]
    shared.whole = True
    try:
        yield indices[-rest:]
    finally:
        shared.whole = False


def draw_own_rows(draw: Draw) -> Draw:
    """Return what draws this process's rows of a batch."""
    shared = keras.distribution.distribution()
    if shared is None:
        return draw
    count, index = processes()

    def draw_rows(indices: np.ndarray, epoch: int) -> Examples:
        if len(indices) % shared.num_model_replicas == 0:
            indices = np.split(indices, count)[index]
        return draw(indices, epoch)

    return draw_rows


def broadcast(data: bytes) -> bytes:
    """Return what process 0 gives; each must call this at the same point."""
    if processes()[0] == 1:
        return data
    from jax.experimental import multihost_utils

    size = int(multihost_utils.broadcast_one_to_all(np.uint32(len(data))))
    padded = np.frombuffer(data[:size].ljust(size, b"\0"), np.uint8)
    return multihost_utils.broadcast_one_to_all(padded).tobytes()


def shut_down() -> bool:
    """End the common work; return whether there was any. A model built before still lies on all devices."""
    if keras.distribution.distribution() is None:
        return False
    import jax

    keras.distribution.set_distribution(None)
    jax.distributed.shutdown()
    return True
