"""Processes with a time limit: many at once, each of which prints lines of JSON; and processes that answer requests."""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Line = dict[str, Any]

SCRIPTS = Path(__file__).parents[1]
END_SECONDS = 10.0  # for a process to be gone after it is killed


@dataclass(frozen=True)
class Task:
    """A process to run.

    Attributes:
      name: Name of its log files, and for people.
      command: What follows the Python's name.
      limit: Seconds.
      environment: Variables beside those of this process.
    """

    name: str
    command: Sequence[str]
    limit: float
    environment: Mapping[str, str] = field(default_factory=dict)
    python: str = sys.executable


@dataclass(frozen=True)
class Ended:
    """A task that ended, or was ended: the lines that it printed until then, and what went wrong ("": nothing)."""

    task: Task
    lines: list[Line]
    error: str
    seconds: float


def environment(device: str, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Variables of a process that computes on ``device``, "gpu" or "cpu"."""
    paths = [str(SCRIPTS), str(SCRIPTS.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    hidden = {} if device == "gpu" else {"CUDA_VISIBLE_DEVICES": "-1"}
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "KERAS_BACKEND": "tensorflow",
            "TF_CPP_MIN_LOG_LEVEL": "2", "TF_FORCE_GPU_ALLOW_GROWTH": "true", **hidden, **(more or {})}


def run_all(tasks: Iterable[Task], width: int, deadline: float, logs: Path, told: Callable[[Ended], None]) -> None:
    """Run ``tasks`` in order, at most ``width`` at once; none goes on after ``deadline`` (of ``time.monotonic``).

    Args:
      told: Function that takes each as it ends, one at a time. What it raises, as Ctrl-C does, ends all that run.
    """
    batch = _Batch(deadline, logs, told)
    with ThreadPoolExecutor(max(1, width)) as pool:
        try:
            list(pool.map(batch.run, tasks))
        except BaseException:
            batch.stop()
            raise


class _Batch:
    """Tasks of which several run at once, and which are ended together."""

    def __init__(self, deadline: float, logs: Path, told: Callable[[Ended], None]) -> None:
        self._deadline, self._logs, self._told = deadline, logs, told
        self._starting, self._telling = threading.Lock(), threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = False

    def run(self, task: Task) -> None:
        """One of them, to its end."""
        began = time.monotonic()
        limit = min(task.limit, self._deadline - began)
        if limit <= 0:
            return self._tell(Ended(task, [], "not begun: the part's time was over", 0.0))
        out, err = self._logs / f"{task.name}.out", self._logs / f"{task.name}.err"
        with out.open("w") as output, err.open("w") as errors:
            with self._starting:
                if self._stopped:
                    return None
                process = subprocess.Popen([task.python, *task.command], stdout=output, stderr=errors,
                                           stdin=subprocess.DEVNULL, env=dict(task.environment), start_new_session=True)
                self._running.add(process)
            try:
                code: int | None = process.wait(limit)
            except subprocess.TimeoutExpired:
                code = None
            with self._starting:
                self._running.remove(process)
            end(process)
        error = "" if code == 0 else f"not done in {limit:.0f} s" if code is None else f"ended with {code}: {last(err)}"
        self._tell(Ended(task, lines_of(out.read_text(errors="replace")), error, time.monotonic() - began))

    def stop(self) -> None:
        """End those that run; no other begins."""
        with self._starting:
            self._stopped = True
            for process in self._running:
                end(process)

    def _tell(self, ended: Ended) -> None:
        with self._telling:
            if self._stopped:
                return
            try:
                self._told(ended)
            except BaseException:
                self.stop()  # now, and not when the main thread hears of it
                raise


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process and its children."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):  # it hangs in a driver
        process.wait(END_SECONDS)


def last(path: Path) -> str:
    """The last line that says something."""
    said = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
    return said[-1].strip()[:300] if said else "no message"


def lines_of(text: str) -> list[Line]:
    """The lines of JSON objects among others."""
    found = []
    for line in text.splitlines():
        with contextlib.suppress(ValueError):
            value = json.loads(line)
            if isinstance(value, dict):
                found.append(value)
    return found


class Failed(RuntimeError):
    """A process that was asked ended, or gave no answer in time."""


class Asked:
    """A process that prints a line of JSON when it is ready, and one for each line of JSON that it is sent."""

    def __init__(self, task: Task, logs: Path) -> None:
        self.task = task
        self._errors = logs / f"{task.name}.err"
        with self._errors.open("w") as errors:
            self._process = subprocess.Popen(
                [task.python, *task.command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                env=dict(task.environment), start_new_session=True)
        self._rest = b""

    def wait(self, deadline: float) -> Line:
        """Its next line. Raises ``Failed``."""
        assert self._process.stdout is not None
        output = self._process.stdout
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            while True:
                line, newline, rest = self._rest.partition(b"\n")
                if newline:
                    self._rest = rest
                    found = lines_of(line.decode(errors="replace"))
                    if found:
                        return found[0]
                    continue
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    self.end()
                    raise Failed("no answer in time")
                got = os.read(output.fileno(), 65536)
                if not got:
                    self.end()
                    raise Failed(f"ended with {self._process.returncode}: {last(self._errors)}")
                self._rest += got

    def ask(self, request: Line, limit: float) -> Line:
        """Its answer. Raises ``Failed``."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except (OSError, ValueError):  # closed by the process, or by ``end``
            self.end()
            raise Failed(f"ended with {self._process.returncode}: {last(self._errors)}") from None
        return self.wait(time.monotonic() + limit)

    def end(self) -> None:
        """End it."""
        end(self._process)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):  # of what it did not read
                pipe.close()
