"""One worker of a launch: a process in a session of its own, which does not outlive the launcher."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

LAST = 20  # lines of its standard error that are kept
KEPT = 2**16  # bytes of it, as a line may be long
SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of <sys/prctl.h>


class Worker:
    """A process that is started here.

    The chief, worker 0, writes to the launcher's terminal itself, so its bar is as without a launcher. Of the others
    only the end of their standard error is kept. A session of its own gives each a signal of the terminal once, from
    the launcher, and lets it write to a terminal that stops background processes (``stty tostop``).

    Attributes:
      index: Place among the workers.
      code: Exit code, negative for a signal; None while it runs.
      stopped: Whether the launcher has told it to end, because of what another did.

    Raises:
      OSError: If it cannot be started.
    """

    def __init__(self, index: int, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.index, self.stopped = index, False
        self.code: int | None = None
        self._said = b""
        pipes: Any = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE} if index else {}
        self._process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, bufsize=0,
                                         start_new_session=True, preexec_fn=_bound_to(os.getpid()), **pipes)
        if self._process.stderr:
            os.set_blocking(self._process.stderr.fileno(), False)

    def look(self) -> None:
        """See whether it has ended, and read what it has said."""
        self.code = self._process.poll()
        if self._process.stderr:
            self._said = (self._said + (self._process.stderr.read(KEPT) or b""))[-KEPT:]
            if self.code is not None:
                self._process.stderr.close()
                self._process.stderr = None

    def last_lines(self) -> list[str]:
        """The end of what it wrote to standard error."""
        lines = self._said.decode(errors="replace").splitlines()
        return [line for line in lines if line.strip()][-LAST:]

    def send(self, signum: int) -> None:
        """Hand a signal on to it, if it runs."""
        self._process.send_signal(signum)

    def stop(self, signum: int) -> None:
        """End it, if it runs: by SIGKILL with all that it has started."""
        if self._process.poll() is not None:  # by itself, since the last look
            return
        self.stopped = True
        if signum == signal.SIGKILL:
            os.killpg(self._process.pid, signum)
        else:
            self.send(signum)


def _bound_to(launcher: int) -> Callable[[], None] | None:
    """What a worker does before its program begins: it asks for a SIGTERM at the launcher's death, however that comes.

    Linux alone knows this. Elsewhere a worker outlives a launcher that is killed.
    """
    if sys.platform != "linux":
        return None
    control = ctypes.CDLL(None, use_errno=True).prctl

    def bind() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the launcher's handler would lose one until the program begins
        control(SET_DEATH_SIGNAL, ctypes.c_ulong(signal.SIGTERM))
        if os.getppid() != launcher:  # it died before that
            os._exit(128 + signal.SIGTERM)
    return bind
