"""Checkpoints of PyTorch, read without it."""

import collections
import io
import pickle
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from brain_mri.network.checkpoint import read_checkpoint


def write_checkpoint(
    storages: dict[str, np.ndarray], views: dict[str, tuple], monkeypatch: pytest.MonkeyPatch
) -> bytes:
    """Write what `torch.save` wrote before version 1.6; a view is (storage, offset, shape, steps)."""
    torch, utils = ModuleType("torch"), ModuleType("torch._utils")
    kinds = {np.dtype("<f4"): "FloatStorage", np.dtype("<i8"): "LongStorage"}
    for module, name in ((torch, "FloatStorage"), (torch, "LongStorage"), (utils, "_rebuild_tensor_v2")):
        setattr(module, name, type(name, (), {"__module__": module.__name__}))
        monkeypatch.setitem(sys.modules, module.__name__, module)

    class Storage(str):
        """A storage's key; pickled as what PyTorch calls a persistent id."""

    class Tensor(tuple):
        def __reduce__(self) -> Any:
            return utils._rebuild_tensor_v2, (*self, False, collections.OrderedDict())

    class Pickler(pickle.Pickler):
        def persistent_id(self, value: Any) -> Any:
            if not isinstance(value, Storage):
                return None
            kind = getattr(torch, kinds[storages[value].dtype])
            return "storage", kind, str(value), "cpu", storages[value].size, None

    file = io.BytesIO()
    tensors = {name: Tensor((Storage(view[0]), *view[1:])) for name, view in views.items()}
    for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, tensors, list(storages)):
        Pickler(file, protocol=2).dump(part)
    for storage in storages.values():
        file.write(storage.size.to_bytes(8, "little") + storage.tobytes())
    return file.getvalue()


def test_tensors_are_views_of_their_storages(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers, counts = np.arange(24, dtype=np.float32), np.array([7, 8])
    views = {
        "plain": ("0", 0, (2, 3, 4), (12, 4, 1)),
        "turned": ("0", 0, (4, 2, 3), (1, 12, 4)),
        "part": ("0", 12, (3, 4), (4, 1)),
        "count": ("1", 0, (2,), (1,)),
    }
    read = read_checkpoint(write_checkpoint({"0": numbers, "1": counts}, views, monkeypatch))
    plain = numbers.reshape(2, 3, 4)
    expected = {"plain": plain, "turned": plain.transpose(2, 0, 1), "part": plain[1], "count": counts}
    assert read.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(read[name], values)


def test_a_checkpoint_runs_no_code() -> None:
    with pytest.raises(pickle.UnpicklingError, match="has no place in a checkpoint"):
        read_checkpoint(pickle.dumps(print))
