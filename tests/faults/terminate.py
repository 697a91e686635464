"""SIGTERM and SIGINT in each state of a run: served in time, the right exit code, continued to the same bits.

  python -m tests.faults.terminate [--times 50]   about 25 minutes

The signal comes from inside the state: while a script imports, while a loss is traced, while XLA compiles, in the
compiled loop, in an evaluation of a minute, before any file operation of a save (also on a slow disk), at the end.
"""

import argparse
import random
import re
import signal
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from engine import Interrupted
from engine.run import checkpoint
from scripts import early
from tests.faults import scripted, watched, workloads
from tests.faults.states import INTERVAL, STATES

LIMIT = 5.0  # seconds from the signal to the process's end
TWICE = 2.0  # the same of a second Ctrl-C


def victim(state, name, plan, folder, board, signums, seed):
    """One process that ``signums`` are sent to, 50 ms apart; it ends as a script does."""
    early.install()

    def send():
        for number, signum in enumerate(signums):
            time.sleep(0.05 * (number > 0))
            board.send(signum)

    trainer = workloads.make(name, plan, folder, checkpoint_every=INTERVAL)
    watched.watch_cycles(trainer, board)
    STATES[state][0](trainer, board, send, random.Random(seed))
    try:
        trainer.train(cycles=workloads.CYCLES)
    except Interrupted as stop:
        print(stop, file=sys.stderr)
        return 128 + stop.signum
    except KeyboardInterrupt:
        return 130


def to_the_end(name, plan, folder, out):
    """One process that goes on to the end; writes the run's hashes."""
    trainer = workloads.make(name, plan, folder, checkpoint_every=INTERVAL)
    assert workloads.train(trainer)
    out.write_text(f"{workloads.state_hash(trainer)} {workloads.table_hash(folder)}")


class Attempts:
    """Signals to processes, and what came of each.

    Attributes:
      good: {state: how many went well}. ``times``: {state: seconds from the signal to the end of the process}.
    """

    def __init__(self, folder, seed=0):
        self.folder, self.draw = Path(folder), random.Random(seed)
        self.good, self.times = defaultdict(int), defaultdict(list)
        self._board, self._wanted, self._count = watched.Board(), {}, 0

    def try_state(self, state, signums, name=None):
        """One run, ended in ``state`` by ``signums`` and continued."""
        name = name or self.draw.choice(workloads.NAMES)
        plan = self.draw.choice(STATES[state][1])
        folder = self._new()
        self._board.clear()
        code = workloads.wait(watched.fork(victim, state, name, plan, folder, self._board, signums,
                                           self.draw.random(), log=f"{folder}.log"))
        self._judge(state, f"{name} {plan}", signums, code, time.monotonic() - self._board.sent, folder,
                    lambda: self._end(name, plan, folder) == self._whole(name, plan))

    def try_script(self, state, signum):
        """The same of a script."""
        folder = self._new()
        self._board.clear()
        if "script" not in self._wanted:
            whole = self.folder / "script"
            assert scripted.finish(whole) == 0, Path(f"{whole}.log").read_text()
            self._wanted["script"] = scripted.hashes(whole)
        code, seconds = scripted.interrupted(state, folder, signum, self.draw)
        self._judge(f"script: {state}", "train_vae", [signum], code, seconds, folder,
                    lambda: scripted.finish(folder) == 0 and scripted.hashes(folder) == self._wanted["script"])

    def __str__(self):
        return "\n".join(f"{state:20}{self.good[state]}/{len(times)} saved and continued to the same bits, "
                         f"served within {max(times):.2f} s" for state, times in self.times.items())

    def _judge(self, state, what, signums, code, seconds, folder, same):
        log, before = Path(f"{folder}.log"), self._board.cycle
        told = re.search(r"^SIG(TERM|INT): .*; continue with: python .+$", log.read_text(), re.MULTILINE)
        saved = [checkpoint.cycle_of(path) for path in checkpoint.listed(folder / "checkpoints")
                 if checkpoint.fault_of(path) is None]
        twice = len(signums) > 1
        faults = {f"exit code {code}": code != 128 + signums[0],
                  f"{seconds:.2f} s": not 0 <= seconds <= (TWICE if twice else LIMIT),
                  f"saved {saved}, was at {before:.0f}": not twice and before > 0 and max(saved, default=0) < before,
                  "no line": not told and not twice, "it came too late": self._board.late > 0,
                  "other bits": not same()}
        self.times[state].append(seconds)
        self.good[state] += not any(faults.values())
        if any(faults.values()):
            print(f"{state}, {what}: {', '.join(fault for fault, is_one in faults.items() if is_one)}\n"
                  f"{log.read_text()}", file=sys.stderr, flush=True)

    def _new(self):
        self._count += 1
        return self.folder / f"run{self._count}"

    def _whole(self, name, plan):
        if (name, plan) not in self._wanted:
            self._wanted[name, plan] = self._end(name, plan, self.folder / f"{name}-{plan}")
        return self._wanted[name, plan]

    def _end(self, name, plan, folder):
        out = self.folder / "out"
        out.unlink(missing_ok=True)
        workloads.wait(watched.fork(to_the_end, name, plan, folder, out, log=f"{folder}.log"))
        return out.read_text() if out.exists() else None


def terminate(times=50, twice=4, seed=0):
    """Try every state, ``times`` in all, and ``twice`` times a second Ctrl-C; what was found."""
    states = [(attempt, state) for state, (_, _, often) in STATES.items() for attempt in range(often)]
    states += [(attempt, f"script: {state}") for state, often in scripted.STATES.items() for attempt in range(often)]
    states.sort(key=lambda place: place[0])  # each state once before any is tried again
    with tempfile.TemporaryDirectory() as folder:
        attempts = Attempts(folder, seed)
        for number in range(times):
            state, signum = states[number % len(states)][1], (signal.SIGTERM, signal.SIGTERM, signal.SIGINT)[number % 3]
            if state in STATES:
                attempts.try_state(state, [signum])
            else:
                attempts.try_script(state.removeprefix("script: "), signum)
        second = Attempts(Path(folder) / "twice", seed)
        second.folder.mkdir()
        for number in range(twice):
            second.try_state(("evaluate", "train", "compile")[number % 3], [signal.SIGINT] * 2)
        return attempts, second


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    began = time.monotonic()
    attempts, second = terminate(options.times, seed=options.seed)
    good = sum(attempts.good.values())
    slowest = max(map(max, attempts.times.values()))
    print(f"{attempts}\n{good}/{options.times} in all, the slowest in {slowest:.2f} s\na second Ctrl-C:\n{second}\n"
          f"{time.monotonic() - began:.0f} s")
    return int(good < options.times or sum(second.good.values()) < sum(map(len, second.times.values())))


if __name__ == "__main__":
    raise SystemExit(main())
