"""A contestant that is set up once and timed in turns: it answers requests, a line of JSON each way.

  {"do": "time", "seconds": 0.5}   -> {"cycles_per_second": ...}
  {"do": "profile"}                -> what ``trace.profile`` gives, of TensorFlow
  {"do": "end"}                    -> the facts of the loop, and it ends
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

WARM_SECONDS = 0.3  # between the first cycle and being ready
PROFILE_SECONDS = 0.2  # of training


def answer(make: Callable[[], Any], began: float, lines: Any = None) -> int:
    """Make the ``worker.Loop``, say that it is ready, and answer ``lines`` (default: standard input).

    Args:
      began: Time when the process began, of ``time.monotonic``.
    """
    loop = make()
    loop.run(1)
    setup = time.monotonic() - began
    rate = _rate(loop.run, 1.0, WARM_SECONDS)
    _say({"ready": True, "setup_seconds": setup, "cycles_per_second": rate})
    for line in sys.stdin if lines is None else lines:
        request = json.loads(line)
        if request["do"] == "end":
            _say(loop.facts())
            break
        if request["do"] == "profile":
            from benchmarks import trace

            _say(trace.profile(loop.run, max(2, round(PROFILE_SECONDS * rate))))
        else:
            rate = _rate(loop.run, rate, request["seconds"])
            _say({"cycles_per_second": rate})
    return 0


def _rate(run: Callable[[int], int], expected: float, seconds: float) -> float:
    """Cycles per second over ``seconds``, in one go, after two shorter ones that do not count."""
    for part in (0.05, 0.2, 1.0):
        before = time.perf_counter()
        done = run(max(1, round(expected * seconds * part)))
        expected = done / max(time.perf_counter() - before, 1e-9)
    return expected


def _say(line: dict[str, Any]) -> None:
    print(json.dumps(line), flush=True)
