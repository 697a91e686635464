"""With what exit code a process among several ends, by which whoever started it knows whether another start would help.

A program of one's own that catches nothing ends with it too, after Python's traceback: Python itself would end with 1,
and bad input or a wanted stop would be taken for the death of a worker. One process alone ends as Python has it.
"""

import atexit
import contextlib
import os
import sys
from types import TracebackType

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
    """For this process, if it has partners."""
    if sys.excepthook is _noted:
        return
    atexit.register(_leave)  # first, so that it is the last of those that follow, the partners' farewell among them
    if workers().count > 1:
        _usual.append(sys.excepthook)
        sys.excepthook = _noted


_usual, _code = [sys.__excepthook__], [0]


def _noted(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    _usual[-1](kind, error, trace)
    _code.append(code_of(error))


def _leave() -> None:
    if _code[-1] > 1:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                stream.flush()
        os._exit(_code[-1])
