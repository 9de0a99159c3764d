"""One way of doing some work, as a process that `rows/running.py` starts: it prepares, then works whenever it is asked.

A script calls `serve(work)` when all is prepared and warm. Each line on stdin asks once: `run` for the work, timed
here, or the name of a further question. Each answer is a line of JSON on stdout; all else that is printed goes to
stderr.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

_ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def serve(work: Callable[[], Any], **questions: Callable[[], Any]) -> None:
    """Answer until stdin ends. `run` gives the seconds of `work`, of the clock and of the processors, the peak memory
    of this process until then in MiB, and what `work` returned; a question gives what its
    function returns, null where there is none."""
    _answer({"ready": True})
    for line in sys.stdin:
        if (asked := line.strip()) != "run":
            _answer({"result": questions[asked]() if asked in questions else None})
            continue
        before, begin = os.times(), time.perf_counter()
        result = work()
        seconds, after = time.perf_counter() - begin, os.times()
        _answer(
            {
                "seconds": seconds,
                "processor_seconds": sum(after[:4]) - sum(before[:4]),
                "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "result": result,
            }
        )


def _answer(values: dict[str, Any]) -> None:
    print(json.dumps(values), file=_ANSWERS, flush=True)
