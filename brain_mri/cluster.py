"""The workers of a Dask cluster in place of this machine's cores: the same tasks, the same bytes.

Every worker must see the files that the work names under the same paths (a shared folder), and run the same code."""

import hashlib
import logging
import os
import platform
import warnings
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import cv2
from threadpoolctl import threadpool_limits

from brain_mri.errors import UserError, reason

SECONDS = 15  # for the scheduler to answer, and for a first worker to be there


def one_thread() -> None:
    """Keep a worker to one thread."""
    # Idle threads of the linear algebra library spin, and more than double the time.
    threadpool_limits(1)
    cv2.setNumThreads(1)


def environment() -> str:
    """What must be the same everywhere, since results hang on it: the package's code, the packages that compute."""
    package = Path(__file__).parent
    code = hashlib.sha256()
    for file in sorted(package.rglob("*.py")):
        code.update(file.relative_to(package).as_posix().encode() + b"\0" + file.read_bytes())
    others = [f"{name} {version(name)}" for name in ("numpy", "opencv-python-headless", "pillow", "scipy")]
    return ", ".join([f"code {code.hexdigest()[:12]}", f"Python {platform.python_version()}", *others])


@contextmanager
def cluster(address: str) -> Iterator[tuple[Executor, int]]:
    """Give an executor over the workers of a scheduler, and their number.

    What a worker that dies had to do, the others do. Raises UserError for a scheduler that does not answer or has no
    workers, and for a worker with other code or one that cannot see this folder."""
    try:
        from distributed import Client, KilledWorker
    except ImportError:
        raise UserError(
            f"DASK_SCHEDULER_ADDRESS = {address}: the package distributed is missing; pip install brain-mri[cluster], "
            "or unset it to use this machine alone"
        ) from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        client = Client(address, timeout=SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise UserError(
            f"DASK_SCHEDULER_ADDRESS = {address}: no scheduler answers ({reason(error)}); start one "
            "(dask scheduler), or unset it to use this machine alone"
        ) from None
    with client, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sending large graph")
        try:
            client.wait_for_workers(1, timeout=SECONDS)
        except TimeoutError:
            raise UserError(
                f"DASK_SCHEDULER_ADDRESS = {address}: the scheduler has no workers; start some (dask worker {address} "
                "--nthreads 1)"
            ) from None
        _prepare(client, address)
        try:
            yield client.get_executor(retries=2), len(client.nthreads())
        except KilledWorker as error:
            raise UserError(
                f"{address}: a task ended several workers ({reason(error)}); give them more memory"
            ) from None


def _prepare(client, address: str) -> None:  # type: ignore[no-untyped-def]
    from distributed import WorkerPlugin

    class Prepared(WorkerPlugin):
        """Brings every worker, one that comes later too, to the folder of the work."""

        name = "brain-mri"

        def __init__(self, folder: str, expected: str) -> None:
            self.folder, self.expected = folder, expected

        def setup(self, worker) -> None:  # type: ignore[no-untyped-def]
            # These two are looked up in the worker's own package.
            if (own := environment()) != self.expected:
                raise RuntimeError(f"it runs {own}, this machine {self.expected}; install the same on both")
            try:
                os.chdir(self.folder)
            except OSError:
                raise RuntimeError(
                    f"it cannot see {self.folder}; mount the shared folder there under this name"
                ) from None
            one_thread()

    try:
        client.register_plugin(Prepared(str(Path.cwd()), environment()))
    # Whatever a worker of another version raises: it may lack the very module that would say so.
    except Exception as error:
        raise UserError(f"{address}: a worker cannot be used: {reason(error)}") from None
