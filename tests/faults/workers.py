"""Workers that are killed, stopped and told to end, under the launcher: no hang, and the bits of a run never disturbed.

  python -m tests.faults.workers [--times 50] [--workers 2]
  python -m tests.faults.workers --kind kill-chief stop-worker --times 10

  kill-worker, kill-chief       SIGKILL at a random time: at the start, in training, in an evaluation or a save
  stop-worker                   SIGSTOP of any of them: found by its silence
  term-one, term-all            SIGTERM to any of them, or to the launcher: exit code 143, and the same command goes on
  kill-in-broadcast             SIGKILL of any of them while the state is broadcast at a resume
  kill-in-checkpoint            SIGKILL of any of them just before a file operation of a save

A case, once the signal has met the run, is good if the launcher ends in time with the exit code that it must have,
leaves no process, says what happened, prints no traceback, and the run's end (the last checkpoint's SHA-256,
metrics.csv, pictures, the metrics of summary.json) is that of the undisturbed run. One case of ten starts its processes
from a shell, import and all.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

from tests.faults import files, worker_runs

KINDS = ("kill-worker", "kill-chief", "stop-worker", "term-one", "term-all", "kill-in-broadcast", "kill-in-checkpoint")
MOMENTS = {"kill-in-broadcast": ["state"], "kill-in-checkpoint": ["save"]}
OTHERWISE = ["start", "training", "training", "evaluation", "save"]
STOPPED = 128 + signal.SIGTERM
FOUND = worker_runs.SILENCE + worker_runs.GRACE + 4  # seconds from a SIGSTOP to the next start: with a slow machine's


class Case:
    """One disturbed run.

    Attributes:
      what: What was done, in words. faults: What was wrong with it. found: Seconds until a stopped worker was found.
    """

    def __init__(self, kind, moment, runs, workers, draw, forked):
        self.kind, self._moment, self._runs, self._draw, self._forked = kind, moment, runs, draw, forked
        self._victim = {"kill-chief": 0, "kill-worker": draw.randrange(1, workers)}.get(kind, draw.randrange(workers))
        self.faults, self.found, self.late = [], None, False
        self.what = f"{kind}, worker {self._victim}, at {moment}" + ("" if forked else ", from a shell")

    def run(self):
        """Disturb it, and see how it ends."""
        launch = self._runs.launch(self._moment.folder, self._moment.more, self._forked)
        try:
            self.late = not (self._moment.come(launch) and self._strike(launch))
            self._ends(launch, launch.wait(worker_runs.LIMIT))
        finally:
            if launch.end():
                self.faults.append("processes were left")
        if not self.faults and launch.code:
            again = self._runs.launch(self._moment.folder, {}, self._forked)
            code = again.wait(worker_runs.LIMIT)
            self.faults += ["processes were left"] * again.end()
            self._fault(f"the same command again ends with {code}", code != 0)
        self.faults += self.faults or files.differs(self._moment.folder, self._runs.wanted)
        said = launch.log.read_text()
        self._fault("a traceback", "Traceback" in said)
        self._fault("a checkpoint was passed over", "passed over" in said)
        return said

    def _strike(self, launch):
        pids = launch.workers()
        if self._victim >= len(pids):
            return False
        pid = launch.pid if self.kind == "term-all" else pids[self._victim]
        signum = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP, "term": signal.SIGTERM}[self.kind.partition("-")[0]]
        os.kill(pid, signum)
        self._struck = time.monotonic()
        if signum == signal.SIGTERM:
            time.sleep(self._draw.choice((0, 0, 1, 6)))  # it has 4 seconds to serve it by itself
        self._moment.pass_()
        if signum == signal.SIGSTOP:
            while launch.poll() is None and pid in launch.workers():
                time.sleep(0.02)
            self.found = time.monotonic() - self._struck
        return True

    def _ends(self, launch, code):
        said = launch.log.read_text()
        complete = "the run is complete" in said or (self._runs.newest(launch) == worker_runs.CYCLES
                                                     and "started again" not in said)
        self._fault(f"it takes more than {worker_runs.LIMIT} s", code is None)
        if self.kind.startswith("term"):
            before_python = "was killed by SIGTERM" in said  # a Python that has only begun has no handler
            self._fault(f"exit code {code}", code not in (STOPPED, *[0] * (self.late or complete or before_python)))
            told = "SIGTERM: " in said or self._moment.name == "start"
            self._fault("no line says that it was stopped", code == STOPPED and not told)
            return
        self._fault(f"exit code {code}", code != 0)
        if self.late or complete:
            return
        told = f"worker {self._victim} " + ("did not end" if self.kind == "stop-worker" else "was killed by SIGKILL")
        self._fault("the launcher does not say who was lost", told not in said)
        self._fault("it is not started again once", said.count("started again (restart 1 of 3)") != 1)
        starting = self._moment.name == "start"
        self._fault(f"found after {self.found or 0:.1f} s",
                    (self.found or 0) > FOUND + worker_runs.CONNECTING * starting)

    def _fault(self, what, is_one):
        self.faults += [what] * bool(is_one)


class Cases:
    """Cases of all kinds, and what came of them."""

    def __init__(self, workers, place, seed=0, scripts=tuple(worker_runs.SCRIPTS)):
        self._workers, self._place, self._draw, self._scripts = workers, Path(place), random.Random(seed), scripts
        self._made, self._count = {}, 0
        self.good, self.tried, self.late, self.found = Counter(), Counter(), Counter(), defaultdict(list)

    def one(self, kind, at=None, which=None, forked=True):
        """One case of ``kind``; adds to what is counted."""
        draw = self._draw
        shards = (None, 2) if os.environ.get("PHASELOOP_TRANSPORT", "sockets") == "sockets" else (None,)
        runs = self._runs(*which or (draw.choice(self._scripts), draw.choice(shards)))
        name = at or draw.choice(MOMENTS.get(kind, OTHERWISE))
        case = Case(kind, worker_runs.Moment(name, runs, self._workers, draw), runs, self._workers, draw, forked)
        began = time.monotonic()
        said = case.run()
        if case.late and not case.faults:  # the run was over
            self.late[kind] += 1
        else:
            self.tried[kind] += 1
            self.good[kind] += not case.faults
        self.found[kind] += [case.found] if case.found else []
        print(f"{'BAD ' if case.faults else 'good'} {case.what}: {'too late, ' * case.late}"
              f"{', '.join(case.faults) or 'the same end'} ({time.monotonic() - began:.0f} s)", flush=True)
        if case.faults:
            print(said, file=sys.stderr, flush=True)
        return not (case.faults or case.late)

    def _runs(self, name, shards):
        if (name, shards) not in self._made:
            place = self._place / f"{name}-{shards}"
            self._made[name, shards] = worker_runs.Runs(name, self._workers, shards, place)
        return self._made[name, shards]

    def __str__(self):
        return "\n".join(f"{kind:20}{self.good[kind]} of {tried}"
                         + f", {self.late[kind]} more came too late" * (self.late[kind] > 0)
                         + (f", found within {max(self.found[kind]):.1f} s" if self.found[kind] else "")
                         for kind, tried in self.tried.items())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--transport", choices=("sockets", "ring"), default="sockets", help="what sums go over")
    parser.add_argument("--script", nargs="+", choices=worker_runs.SCRIPTS, default=tuple(worker_runs.SCRIPTS))
    options = parser.parse_args()
    os.environ["PHASELOOP_TRANSPORT"] = options.transport
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        cases = Cases(options.workers, folder, options.seed, options.script)
        while min(cases.tried[kind] for kind in options.kind) < options.times:
            for kind in options.kind:
                if cases.tried[kind] < options.times:
                    cases.one(kind, forked=cases.tried[kind] % 10 != 9)
    print(f"{cases}\n{sum(cases.good.values())} of {sum(cases.tried.values())} in all, "
          f"{time.monotonic() - began:.0f} s")
    return int(cases.good != cases.tried)


if __name__ == "__main__":
    raise SystemExit(main())
