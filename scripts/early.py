"""Signals while nothing is being trained: there is nothing to save, so the process ends at once."""

import os
import shlex
import signal
import sys
from typing import Any

STDERR = 2  # while wiring.quiet holds standard error back: what it was


def install() -> None:
    """Until the Trainer collects signals, and after it: one line, and the exit code of the signal."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"):
        signum = getattr(signal, name, None)
        ignored = signum is not None and signal.getsignal(signum) == signal.SIG_IGN  # as SIGHUP is under nohup
        if signum is not None and (not ignored or name in ("SIGINT", "SIGTERM")):
            signal.signal(signum, _leave)


def _leave(signum: int, frame: Any) -> None:
    sys.stdout.flush()
    name, command = signal.Signals(signum).name, shlex.join(["python", *sys.argv])
    line = f"\n{name}: nothing was being trained, nothing is lost; continue with: {command}\n"
    os.write(STDERR, line.encode(errors="surrogateescape"))
    os._exit(128 + signum)  # not an exception: those that pass through an import or a C++ callback may be swallowed
