"""Several workers from their start to their end: waited for, told of signals, stopped together, and started again."""

import contextlib
import math
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence

import cli
from verdicts import RESULTS, SIGNALS, UNHEALTHY, WANTED, Verdict, verdict
from worker_process import Worker

TICK = 0.05  # seconds between two looks


class Group:
    """One start of all workers.

    Args:
      workers: Those that were started, the chief first.
      patience: Seconds for which the others are waited for when one is done.
      grace: Seconds in which the others may end by themselves when one did not end well, and again after a SIGTERM.
      caught: Signals that came to the launcher; it grows meanwhile.
    """

    def __init__(self, workers: Sequence[Worker], patience: float, grace: float, caught: Sequence[int]) -> None:
        self._workers, self._patience, self._grace, self._caught = workers, patience, grace, caught
        self._ended: list[Worker] = []
        self._passed_on = 0
        self._until = math.inf

    def wait(self) -> Verdict:
        """Until all have ended."""
        while True:
            self._pass_on()
            self._look()
            if len(self._ended) == len(self._workers):
                return verdict(self._workers, self._ended, self._caught[:self._passed_on])
            if time.monotonic() >= self._until:
                self.stop()
            time.sleep(TICK)

    def _pass_on(self) -> None:
        for signum in self._caught[self._passed_on:]:
            self._passed_on += 1
            for worker in self._workers:
                worker.send(signum)
            if self._passed_on > 1:  # two mean: at once
                self._limit(self._grace)

    def _look(self) -> None:
        for worker in self._workers:
            if worker.code is None:
                worker.look()
                if worker.code is not None:
                    self._ended.append(worker)
                    self._limit(self._patience if self._may_take_long(worker.code) else self._grace)

    def _may_take_long(self, code: int) -> bool:
        """Whether the others have work to do after this end: the chief alone writes checkpoint, pictures and report."""
        return code == 0 or (self._workers[0].code is None and (
            code in (UNHEALTHY, *WANTED) or -code in self._caught))

    def _limit(self, seconds: float) -> None:
        self._until = min(self._until, time.monotonic() + seconds)

    def stop(self) -> None:
        """End those that still run: by SIGTERM first, if nobody is to start them again."""
        running = [worker for worker in self._workers if worker.code is None]
        gently = any(worker.code in RESULTS for worker in self._ended) and self._passed_on < 2
        gently = gently and not any(worker.stopped for worker in running)
        for worker in running:
            worker.stop(signal.SIGTERM if gently else signal.SIGKILL)
        self._until = time.monotonic() + self._grace


def supervise(start: Callable[[], Verdict], restarts: int, newest: Callable[[], int], caught: Sequence[int],
              again: str) -> int:
    """Start all workers, and again after the loss of one. Returns the exit code.

    Args:
      start: Function that starts all and waits for their end.
      restarts: Restarts in a row without progress.
      newest: Function that gives the cycle of the newest checkpoint, by which progress is seen.
      caught: Signals that came: after one nothing is started again.
      again: What a restart is, for people.
    """
    count, reached = 0, newest()
    while True:
        found = start()
        for worker in found.blamed:
            for line in worker.last_lines() if worker.index else ():  # the chief's are on the terminal
                say(f"worker {worker.index}: {line}")
        if found.code is not None:
            if found.why:
                say(found.why)
            return found.code
        if caught:
            return 128 + caught[0]
        before, reached = reached, max(reached, newest())
        count = 1 if reached > before else count + 1
        if count > restarts:
            say(f"{found.why}: given up, after {restarts} restarts without a new checkpoint" if restarts else
                f"{found.why}: given up, as --restarts 0 says")
            return 1
        say(f"{found.why}: {again} (restart {count} of {restarts})")


def say(text: str) -> None:
    """A line for people, below the chief's bar."""
    with contextlib.suppress(OSError):  # of a closed terminal
        print(("\n" if sys.stderr.isatty() else "") + cli.printable(text), file=sys.stderr, flush=True)


@contextlib.contextmanager
def collected() -> Iterator[list[int]]:
    """Signals inside are listed, for whoever hands them on; those that are ignored, as SIGHUP under nohup, are not."""
    caught: list[int] = []
    always = (signal.SIGINT, signal.SIGTERM)
    before = {signum: signal.signal(signum, lambda signum, frame: caught.append(signum))
              for signum in SIGNALS if signum in always or signal.getsignal(signum) != signal.SIG_IGN}
    try:
        yield caught
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
