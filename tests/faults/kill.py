"""SIGKILL at random times of real runs, each continued in a new process: the bits of the run that is never killed.

  python -m tests.faults.kill [--kills 200]       about 20 minutes

Of ten kills one falls into the start of a process, five into its training, at random times, and four into a save,
just before a file operation drawn at random: making the folder, opening, writing, syncing, renaming, removing.
"""

import argparse
import collections
import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults import watched, workloads

CYCLES, INTERVAL = 150, 10  # of a run; between its checkpoints
KILLS_OF_A_RUN = 12  # at most


@dataclass
class Found:
    """What the kills have shown. ``lost`` is in cycles; ``hit``: {file operation: kills just before it}."""

    kills: int = 0
    continued: int = 0
    runs: int = 0
    same: int = 0
    inside: int = 0
    lost: list[int] = field(default_factory=list)  # outside a save
    lost_inside: list[int] = field(default_factory=list)
    hit: collections.Counter = field(default_factory=collections.Counter)

    def __str__(self):
        hit = ", ".join(f"{count} {name}" for name, count in self.hit.most_common())
        return (f"{self.continued}/{self.kills} kills continued; {self.same}/{self.runs} runs ended with the bits and "
                f"the metrics.csv of the one never killed\n{self.inside} kills inside a save, of these before: {hit}\n"
                f"most cycles lost: {max(self.lost, default=0)} by a kill outside a save, "
                f"{max(self.lost_inside, default=0)} inside one, with a checkpoint every {INTERVAL}")


def train(name, plan, folder, board, out, operation=()):
    """One process of a run, to the end or to its kill."""
    watched.watch_saves(board, *operation or (0, "", 0), lambda: os.kill(os.getpid(), signal.SIGKILL))
    trainer = workloads.make(name, plan, folder, checkpoint_every=INTERVAL)
    watched.watch_cycles(trainer, board)
    assert workloads.train(trainer, CYCLES)
    out.write_text(f"{workloads.state_hash(trainer)} {workloads.table_hash(folder)}")


def kill_in(pid, delay, since):
    """Kill a process ``delay`` seconds after ``since()`` holds; its exit code, 0 if it was finished before."""
    due = None
    while not (done := os.waitpid(pid, os.WNOHANG))[0]:
        if due is None and since():
            due = time.monotonic() + delay
        if due is not None and time.monotonic() >= due:
            os.kill(pid, signal.SIGKILL)
            return workloads.wait(pid)
        time.sleep(0.002)
    return os.waitstatus_to_exitcode(done[1])


class Runs:
    """The runs of one workload: the one never killed, and those that are."""

    def __init__(self, name, plan, folder):
        self.name, self.plan, self.folder = name, plan, Path(folder)
        self.board = watched.Board()
        forked = time.monotonic()
        assert workloads.wait(self._fork("whole")) == 0, self._log()
        self.starting, self.training = self.board.began - forked, time.monotonic() - self.board.began
        self.wanted = self._out()
        self.last = watched.Board(self.board)  # its last save's operations

    def one(self, found, most, draw):
        """One run, killed at most ``most`` times; adds to ``found``."""
        run, kills, reached, inside = f"run{found.runs}", 0, 0, False
        found.runs += 1
        while True:
            self.board.clear()
            code = self._killed(run, draw) if kills < most else workloads.wait(self._fork(run))
            if self.board.start >= 0:  # it came as far as to read the checkpoint
                (found.lost_inside if inside else found.lost).append(int(reached - self.board.start))
                reached = self.board.now
                inside = False
            if code != -signal.SIGKILL:
                break
            kills += 1
            if self.board.saving > 0:
                found.inside, inside = found.inside + 1, True
                found.hit[watched.OPERATIONS[int(self.board.operation)]] += self.board.operation >= 0
        same = code == 0 and self._out() == self.wanted and "passed over" not in self._log()
        if not same:
            print(f"{self.name} {self.plan}: exit code {code} after kill {kills}\n{self._log()}", file=sys.stderr)
        found.kills, found.continued, found.same = (
            found.kills + kills, found.continued + same * kills, found.same + same)

    def _killed(self, run, draw):
        """The exit code of a process that may be killed."""
        where = draw.choices(("start", "training", "save"), (1, 5, 4))[0]
        if where == "save":
            return workloads.wait(self._fork(run, watched.any_operation(self.last, draw)))
        if where == "start":
            return kill_in(self._fork(run), draw.uniform(0, self.starting), lambda: True)
        return kill_in(self._fork(run), draw.uniform(0, self.training / 3), lambda: self.board.began >= 0)

    def _fork(self, run, operation=()):
        (self.folder / "out").unlink(missing_ok=True)
        self._log_file = self.folder / f"{run}.log"
        return watched.fork(train, self.name, self.plan, self.folder / run, self.board, self.folder / "out",
                            operation, log=self._log_file)

    def _out(self):
        return (self.folder / "out").read_text()

    def _log(self):
        return self._log_file.read_text()


def kill(kills, seed=0, chosen=None):
    """Kill runs ``kills`` times in all; what was found. ``chosen``: (name, plan) of the runs, in turn."""
    chosen = chosen or [*[(name, "graph") for name in workloads.NAMES] * 2, ("vae", "xla")]
    found, draw, made, turn = Found(), random.Random(seed), {}, 0
    with tempfile.TemporaryDirectory() as folder:
        while found.kills < kills:
            workload = chosen[turn % len(chosen)]
            turn += 1
            if workload not in made:
                place = Path(folder) / "-".join(workload)
                place.mkdir()
                made[workload] = Runs(*workload, place)
            made[workload].one(found, min(KILLS_OF_A_RUN, kills - found.kills), draw)
            print(f"{' '.join(workload)}: {found.kills} kills, {found.same}/{found.runs} runs", file=sys.stderr)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    began = time.monotonic()
    found = kill(options.kills, options.seed)
    print(f"{found}\n{time.monotonic() - began:.0f} s")
    return int(found.continued < found.kills or max(found.lost + found.lost_inside) > 2 * INTERVAL)


if __name__ == "__main__":
    raise SystemExit(main())
