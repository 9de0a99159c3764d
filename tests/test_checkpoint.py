"""Checkpoints of PyTorch, read without it."""

import io
import pickle

import numpy as np
import pytest

from brain_mri.network.checkpoint import read_checkpoint


def test_a_checkpoint_is_read_as_pytorch_writes_it() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: make test-backend BACKEND=torch")
    tensor = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4)
    written = {"plain": tensor, "turned": tensor.permute(2, 0, 1), "part": tensor[1:], "count": torch.tensor([7, 8])}
    file = io.BytesIO()
    torch.save(written, file, _use_new_zipfile_serialization=False)
    read = read_checkpoint(file.getvalue())
    for name, values in written.items():
        np.testing.assert_array_equal(read[name], values.numpy())


def test_a_checkpoint_runs_no_code() -> None:
    with pytest.raises(pickle.UnpicklingError, match="has no place in a checkpoint"):
        read_checkpoint(pickle.dumps(print))
