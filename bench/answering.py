"""One way of doing some work, as a process that `bench.turns` starts: it prepares, then works whenever it is asked.

It imports nothing but the standard library, because a peer's interpreter may have none of our packages."""

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any


def serve(work: Callable[[], Any]) -> None:
    """Work once for each line on stdin, until it ends; to be called when all is prepared and warm.

    Each answer is a line of JSON in the pipe BENCH_ANSWERS: the seconds of the clock and of the processors, the peak
    memory of this process until then in MiB, and what `work` returned."""
    with os.fdopen(int(os.environ["BENCH_ANSWERS"]), "w", buffering=1) as answers:
        print(json.dumps({"ready": True}), file=answers)
        for _ in sys.stdin:
            before, begin = os.times(), time.perf_counter()
            result = work()
            answer = {
                "seconds": time.perf_counter() - begin,
                "processor_seconds": sum(os.times()[:4]) - sum(before[:4]),
                "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "result": result,
            }
            print(json.dumps(answer), file=answers)
