"""With what exit code a process among several ends, by which whoever started it knows whether another start would help.

A program of one's own that catches nothing ends with it too, after Python's traceback: Python itself would end with 1,
and bad input or a wanted stop would be taken for the death of a worker. One process alone ends as Python has it.
"""

import atexit
import contextlib
import os
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any

from engine.cycle.health import BadUpdate
from engine.errors import Invalid
from engine.run.signals import Interrupted
from engine.workers.links import OutOfStep, WorkerLost
from engine.workers.workers import workers

LOST = 75  # this process is well, and a partner is lost: EX_TEMPFAIL of <sysexits.h>


def code_of(error: BaseException) -> int:
    """2 for bad input, 3 for a stop by the health watch, 128 + signal, 75; 1 for any other error."""
    if isinstance(error, Interrupted):
        return 128 + error.signum
    codes = {Invalid: 2, OutOfStep: 2, WorkerLost: LOST, BadUpdate: 3}
    return next((code for kind, code in codes.items() if isinstance(error, kind)), 1)


def install() -> None:
    """For this process, if it has partners; they are waited for."""
    if not _usual:
        _usual.append(sys.excepthook)
        if os.environ.get("TF_CONFIG", "").strip():
            sys.excepthook = _noted
            atexit.register(_leave)  # before others are, so that it comes after them: the partners' farewell, say
    workers()


_usual: list[Callable[..., Any]] = []  # what sys.excepthook was
_code = [0]


def _noted(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    _usual[0](kind, error, trace)
    _code.append(code_of(error))


def _leave() -> None:
    if _code[-1] > 1:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                stream.flush()
        os._exit(_code[-1])
