"""The network: what it is, how it is trained, how it is saved."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def _quietly() -> Iterator[None]:
    """Hold back what is written to the process's stderr; it is shown after all when the import fails."""
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held_back:
        os.dup2(held_back.fileno(), 2)
        try:
            yield
        except BaseException:
            held_back.seek(0)
            os.write(kept, held_back.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)


# TensorFlow reports missing GPUs while it is loaded, before its log level counts.
with _quietly():
    import keras  # noqa: F401
