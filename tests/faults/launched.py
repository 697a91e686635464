"""scripts/launch.py and a training script under it, in processes that have TensorFlow from this one.

Only the import is spared: launcher and workers are processes of their own, each worker in its own session, with the
environment, streams and death signal that the launcher gives it. ``command`` is the same from a shell, import and all.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(ROOT / "scripts")]

import keras  # noqa: F401, E402
import launch  # noqa: E402
import worker_process  # noqa: E402

import engine  # noqa: F401, E402
from tests.faults import held, workloads  # noqa: E402

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)


class Forked:
    """A worker's process, as much of ``subprocess.Popen`` as a ``Worker`` uses."""

    def __init__(self, command, *, env, stdin, bufsize, start_new_session, preexec_fn, stdout=None, stderr=None):
        assert (stdin, bufsize, start_new_session) == (subprocess.DEVNULL, 0, True)
        reader, writer = os.pipe() if stderr == subprocess.PIPE else (None, None)
        self.returncode = None
        self.pid = workloads.fork(lambda: _worker(command, env, preexec_fn, stdout, writer))
        if writer is not None:
            os.close(writer)
        self.stderr = None if reader is None else os.fdopen(reader, "rb", buffering=0)

    def poll(self):
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def send_signal(self, signum):
        if self.poll() is None:
            os.kill(self.pid, signum)


def _worker(command, environment, begin, stdout, stderr):
    os.setsid()
    signal.set_wakeup_fd(-1)
    for signum in SIGNALS:
        signal.signal(signum, signal.default_int_handler if signum == signal.SIGINT else signal.SIG_DFL)
    begin()
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    if stdout == subprocess.DEVNULL:
        os.dup2(nowhere, 1)
    if stderr is not None:
        os.dup2(stderr, 2)
    _streams_anew()
    os.environ.clear()
    os.environ.update(environment)
    _, script, *words = command
    return _as_script(lambda: held.run(script, words))


def _streams_anew():
    """Python's, of what their descriptors are now."""
    sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
    sys.stderr.reconfigure(line_buffering=True)


def _as_script(act):
    """The exit code of what ends as a script does."""
    try:
        return act()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1


def words_of(options, script, *words):
    """What follows launch.py."""
    return [str(each) for each in (*options, "--", sys.executable, ROOT / "scripts" / script, *words)]


class Launched:
    """A launch that runs.

    Args:
      words: What follows launch.py.
      log: File of all that it and the chief print.
      more: What else is in the environment.
      forked: False starts it as a shell does.

    Attributes:
      pid: Process of the launcher. began: When it started.
    """

    def __init__(self, words, log, more=(), forked=True):
        self.log, self.code, self.began = Path(log), None, time.monotonic()
        self._seen = set()
        environment = {name: value for name, value in os.environ.items() if name != "TF_CONFIG"}
        environment |= {"PYTHONPATH": str(ROOT), **dict(more)}
        self.pid = workloads.fork(lambda: _launcher(words, environment, self.log, forked))

    def workers(self):
        """The processes of the workers, the chief first, as far as they are there."""
        with contextlib.suppress(OSError):
            pids = [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]
            self._seen |= set(pids)
            return pids
        return []

    def poll(self):
        """The exit code of the launcher; None while it runs."""
        self.workers()
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code

    def wait(self, seconds):
        """The same, waited for; None after so many seconds."""
        until = time.monotonic() + seconds
        while self.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        return self.code

    def end(self):
        """Kill what is left of it. Returns whether anything was."""
        left = [pid for pid in self._seen if _lives(pid)]
        for pid in [*left, *([self.pid] if self.code is None else [])]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.code is None:
            self.code = workloads.wait(self.pid)
            return True
        return bool(left)


def _launcher(words, environment, log, forked):
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    if not forked:
        at = words.index("--")
        line = [*words[:at + 2], held.__file__, *words[at + 2:]]
        os.execve(sys.executable, [sys.executable, str(ROOT / "scripts" / "launch.py"), *line], environment)
    _streams_anew()
    os.environ.clear()
    os.environ.update(environment)
    worker_process.subprocess = _Processes
    return _as_script(lambda: launch.main(*launch.parse(words)))


class _Processes:
    """``subprocess`` for worker_process.py."""

    Popen, DEVNULL, PIPE = Forked, subprocess.DEVNULL, subprocess.PIPE


def _lives(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
