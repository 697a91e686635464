"""Signals while nothing is being trained: there is nothing to save, so the process ends at once."""

import errno
import os
import shlex
import signal
import sys
from collections.abc import Callable
from typing import Any


class Lasting:
    """Standard error whose reader may go (a closed pipe, a terminal that hung up): then the process gets a SIGTERM,
    by which training saves and ends, and what is printed from then on goes nowhere.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """As a stream's."""
        return self._kept(lambda: self._stream.write(text)) or len(text)

    def flush(self) -> None:
        """As a stream's."""
        self._kept(self._stream.flush)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _kept(self, act: Callable[[], Any]) -> Any:
        try:
            return act()
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.EIO):
                raise
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)
        signal.raise_signal(signal.SIGTERM)
        return None


def install() -> None:
    """Until the Trainer collects signals, and after it: one line, and the exit code of the signal."""
    if not isinstance(sys.stderr, Lasting):
        sys.stderr = Lasting(sys.stderr)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"):
        signum = getattr(signal, name, None)
        ignored = signum is not None and signal.getsignal(signum) == signal.SIG_IGN  # as SIGHUP is under nohup
        if signum is not None and (not ignored or name in ("SIGINT", "SIGTERM")):
            signal.signal(signum, _leave)


def _leave(signum: int, frame: Any) -> None:
    sys.stdout.flush()
    name, command = signal.Signals(signum).name, shlex.join(["python", *sys.argv])
    line = f"\n{name}: nothing was being trained, nothing is lost; continue with: {command}\n"
    quiet = sys.modules.get("engine.quiet")  # which may hold standard error back
    os.write(quiet.STDERR if quiet else 2, line.encode(errors="surrogateescape"))
    os._exit(128 + signum)  # not an exception: those that pass through an import or a C++ callback may be swallowed
