"""Checkpoints as PyTorch before version 1.6 wrote them, read without PyTorch.

Such a file is five pickles (magic number, version, machine, tensors as views of storages, storages' keys), then each
storage: its length as eight bytes, and its numbers.
"""

import collections
import io
import pickle
from typing import Any, ClassVar, NamedTuple

import numpy as np


def read_checkpoint(data: bytes) -> dict[str, np.ndarray]:
    """Return a checkpoint's tensors by name; raises UnpicklingError where anything else is in it, and runs no code."""
    file = io.BytesIO(data)
    *_, tensors, keys = [_Unpickler(file).load() for _ in range(5)]
    dtypes = {view.storage[2]: view.storage[1] for view in tensors.values()}
    storages = {}
    for key in keys:
        length = int.from_bytes(file.read(8), "little")
        storages[key] = np.frombuffer(file.read(length * dtypes[key].itemsize), dtypes[key])
    return {name: view.of(storages[view.storage[2]]) for name, view in tensors.items()}


class _View(NamedTuple):
    storage: tuple[Any, ...]
    offset: int
    shape: tuple[int, ...]
    steps: tuple[int, ...]  # from one number to the next along each axis, counted in numbers

    def of(self, storage: np.ndarray) -> np.ndarray:
        steps = [step * storage.itemsize for step in self.steps]
        return np.lib.stride_tricks.as_strided(storage[self.offset :], self.shape, steps, writeable=False)


class _Unpickler(pickle.Unpickler):
    _allowed: ClassVar = {
        ("collections", "OrderedDict"): collections.OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): lambda *view: _View(*view[:4]),
        ("torch", "FloatStorage"): np.dtype("<f4"),
        ("torch", "LongStorage"): np.dtype("<i8"),
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._allowed:
            raise pickle.UnpicklingError(f"{module}.{name} has no place in a checkpoint")
        return self._allowed[module, name]

    def persistent_load(self, pid: Any) -> Any:
        return pid
