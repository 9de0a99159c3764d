"""A study's network as `stages/export.py` wrote it, run without Keras: loading TensorFlow alone takes seconds."""

from pathlib import Path

import numpy as np
import onnxruntime  # type: ignore[import-untyped]

from brain_mri.errors import UserError, reason


class Network:
    """An ONNX file of this project, made of a certain Keras file."""

    def __init__(self, path: Path | str, digest: str, threads: int = 0):
        """Open the file; `digest` is the SHA-256 of the Keras file, and 0 threads are as many as there are cores.

        Raises UserError where the file is broken or made of another Keras file."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4  # what it reports of a broken file is in the exception
        again = "`dvc repro` makes it"
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        # A damaged file makes the reader fail in any way at all.
        except Exception as error:
            raise UserError(f"{path}: not an ONNX file of this project ({reason(error)}); remove it, {again}") from None
        if self._session.get_modelmeta().custom_metadata_map.get("keras_sha256") != digest:
            raise UserError(f"{path}: made of another model than the one beside it; {again}")

    def run(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Return what `brain_mri.prediction.outputs.with_all_outputs` gives of images, uint8 (N, size, size, 1)."""
        names = [output.name for output in self._session.get_outputs()]
        return dict(zip(names, self._session.run(names, {"image": images.astype(np.float32)}), strict=True))
