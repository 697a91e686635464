"""The trials of a sweep: each a run of a train script in a process and a folder of its own, and what came of them.

A process each, because a trial may then have its own precision, threads and net, because memory and names of a hundred
nets do not pile up in one process, and because what kills one trial does not kill the sweep. It costs the few seconds
in which TensorFlow loads.
"""

import contextlib
import dataclasses
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESULTS = "results.json"


@dataclass(frozen=True)
class Result:
    """What came of training one trial to one length.

    Attributes:
      value: The best that the goal had reached; None if the trial failed before it had one, or later.
      code: Exit code of the train script: 0, or 3 where the health watch stopped it.
      why: The line that it ended with, of a trial that failed or ended early.
      cycles: How far it was trained.
      wall: Seconds of this process.
      trained: Seconds of training among those.
      seconds: Seconds of training, from its start.
    """

    value: float | None
    code: int
    why: str
    cycles: int
    wall: float
    trained: float
    seconds: float


class Results:
    """All results of a sweep, kept in its folder: {trial: {length: result}}."""

    def __init__(self, folder: Path) -> None:
        from engine.errors import Invalid
        from engine.run.durable import read_json

        self._path = folder / RESULTS
        try:
            read: Any = read_json(self._path)
            self._found = {int(trial): {float(length): Result(**result) for length, result in lengths.items()}
                           for trial, lengths in read["trials"].items()}
            self.better = str(read["better"])
        except FileNotFoundError:
            self._found, self.better = {}, ""
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise Invalid(f"`{RESULTS}` ({self._path}) must be what the sweep wrote: {error}") from None

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, trial: int, length: float, result: Result, better: str) -> None:
        """Keep a result, on the disk too."""
        from engine.run.durable import write_json

        self._found.setdefault(trial, {})[length] = result
        self.better = self.better or better
        write_json(self._path, {"better": self.better, "trials": {
            str(trial): {f"{length:.17g}": dataclasses.asdict(result) for length, result in sorted(lengths.items())}
            for trial, lengths in sorted(self._found.items())}})

    def at(self, trial: int, length: float) -> Result | None:
        """The result at a length: that of a failure, from which no training goes on, stands for all longer ones."""
        lengths = self._found.get(trial, {})
        failed = [result for at, result in lengths.items() if result.code and at <= length]
        return failed[0] if failed else lengths.get(length)

    def is_done(self, trial: int, length: float) -> bool:
        """Whether nothing is left to train."""
        return self.at(trial, length) is not None

    def value(self, trial: int, length: float) -> float | None:
        """What the goal was; None if the trial failed."""
        found = self.at(trial, length)
        return found.value if found else None

    def last(self, trial: int) -> tuple[float, Result]:
        """Its longest length, and the result there."""
        return max(self._found[trial].items(), key=lambda each: each[0])

    def trials(self) -> list[int]:
        """Those with a result."""
        return sorted(self._found)

    def every(self) -> Iterator[tuple[int, float, Result]]:
        """(trial, length, result) of all."""
        for trial, lengths in sorted(self._found.items()):
            for length, result in sorted(lengths.items()):
                yield trial, length, result


def train(command: Sequence[str], log: Path, show: Callable[[str], None]) -> tuple[int, str, int]:
    """Run a train script, whose lines go to ``log``. Returns its exit code, its last word, and a signal that came.

    It writes into a pipe of ours: if we are killed, its next line fails, by which it saves and ends. It is in a session
    of its own, so that a Ctrl-C reaches it once, from us, and does not look to it like two.

    Args:
      show: Function that is told each line.
    """
    last = fault = ""
    pipes: Any = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with log.open("a", encoding="utf-8", errors="surrogateescape") as file, \
            subprocess.Popen([sys.executable, *command], **pipes, encoding="utf-8", errors="surrogateescape",
                             start_new_session=True) as process, _handed_on(process) as caught:
        for line in process.stdout or ():
            file.write(line)
            file.flush()
            last = line.strip() or last
            fault = last.removeprefix("error: ") if last.startswith("error: ") else fault
            show(last)
        process.wait()
    return process.returncode, fault or last, caught[0] if caught else 0


@contextlib.contextmanager
def _handed_on(process: "subprocess.Popen[str]") -> Iterator[list[int]]:
    """Signals inside go to the process; those that came are listed."""
    from engine.run.signals import ALWAYS, SIGNALS

    caught: list[int] = []

    def hand_on(signum: int, frame: Any) -> None:
        caught.append(signum)
        process.send_signal(signum)

    before = {signum: signal.signal(signum, hand_on) for signum in SIGNALS
              if signal.getsignal(signum) != signal.SIG_IGN or signum in ALWAYS}
    try:
        yield caught
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def result_of(folder: Path, code: int, why: str, wall: float, before: float) -> tuple[Result, str]:
    """The result of a train script that ended with ``code``, and which values of the goal are better, if it says so.

    Args:
      before: Seconds of training of its earlier processes.
    """
    from engine.run.durable import read_json

    try:
        summary = read_json(folder / "summary.json")
    except (OSError, ValueError):
        summary = {}
    ended = str(summary.get("stopped") or "") if summary else "it wrote no summary.json"
    best, seconds = summary.get("best") or {}, float(summary.get("seconds") or before)
    result = Result(best.get("value") if code == 0 else None, code, why if code else ended,
                    int(summary.get("cycles") or 0), wall, max(0.0, seconds - before), seconds)
    return result, str(best.get("better") or "")
