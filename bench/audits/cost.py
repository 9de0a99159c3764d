"""What work costs: seconds of the processors, and memory, of a process and its workers."""

import re
import resource
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil


@contextmanager
def peak_memory(pid=None):
    """The largest sum, in GiB, of the process's (default: this one's) and its workers' anonymous memory, looked at ten
    times a second. Pages of files, such as the thumbnails', are not counted: the kernel takes them back when it needs
    them."""
    peak, over = [0.0], threading.Event()

    def watch():
        with suppress(psutil.NoSuchProcess):  # it has ended, and there is nothing more to look at
            process = psutil.Process(pid)
            while not over.wait(0.1):
                anonymous = 0
                for one in [process, *process.children(recursive=True)]:
                    with suppress(OSError):  # a worker that has just ended
                        status = Path(f"/proc/{one.pid}/status").read_text()
                        anonymous += sum(map(int, re.findall(r"RssAnon:\s+(\d+)", status)))  # a zombie has none
                peak[0] = max(peak[0], anonymous / 2**20)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield peak
    finally:
        over.set()
        watching.join()


def processor_seconds():
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)
