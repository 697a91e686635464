"""A script in a process of its own, with interposed.c between it and the C library."""

import contextlib
import ctypes
import mmap
import os
import runpy
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

SOURCE = Path(__file__).with_name("interposed.c")
PATIENCE = 90  # seconds that a run may take
KILL, STOPS = 0, -2  # in the place of an error's number


def compiled(folder):
    """The library, compiled. Raises FileNotFoundError without a compiler."""
    library = Path(folder) / "interposed.so"
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise FileNotFoundError("no C compiler")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"], check=True)
    return library


class Script:
    """``command`` in folders under ``place``: this process has TensorFlow imported and not used, and forks."""

    def __init__(self, name, command, place):
        self.name, self.command, self.place = name, command, Path(place)
        self.library = ctypes.CDLL(None)  # interposed.so is among what is loaded
        self.seen = (ctypes.c_long * 3).from_buffer(mmap.mmap(-1, 4096))

    def run(self, folder, code=-1, at=0, lasting=False, name="", trace="", look=None):
        """The exit code, and what was printed on standard error.

        ``code``: KILL, the error's number, or STOPS: ``look()`` is called while the script stands before an operation.
        """
        log = self.place / "log"
        pid = os.fork()
        if not pid:
            self._child(folder, log, (code, at, lasting, name.encode(), str(trace).encode()))
        until = time.monotonic() + PATIENCE
        while True:
            done, status = os.waitpid(pid, os.WNOHANG | os.WUNTRACED)
            if done and os.WIFSTOPPED(status):
                began = time.monotonic()
                look()
                until += time.monotonic() - began
                os.kill(pid, signal.SIGCONT)
            elif done:
                return os.waitstatus_to_exitcode(status), log.read_text(errors="replace")
            elif time.monotonic() > until:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                return "too late", log.read_text(errors="replace")
            else:
                time.sleep(0.002)

    def _child(self, folder, log, armed):
        os.chdir(self.place)
        error = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(error, 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.argv = [*self.command, "--run-dir", str(folder)]
        how, at, lasting, name, trace = armed
        exits = 0
        try:
            self.library.fault_arm(str(folder).encode(), how, ctypes.c_long(at), int(lasting), name, trace,
                                   ctypes.byref(self.seen))
            runpy.run_path(sys.argv[0], run_name="__main__")
        except SystemExit as end:
            exits = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:
            import traceback

            traceback.print_exc()
            exits = 1
        with contextlib.suppress(Exception):
            sys.stderr.flush()
        os._exit(exits)

    @property
    def struck(self):
        """Whether the last run met its point."""
        return self.seen[1] > 0
