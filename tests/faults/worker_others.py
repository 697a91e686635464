"""What else befalls several workers under the launcher, each once: told in words, and continued where it can be.

  python -m tests.faults.worker_others [--case locked late]      a line per case, and the total
"""

import argparse
import fcntl
import os
import re
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.faults import files, worker_runs
from tests.faults.worker_runs import LIMIT

WAITING = 3  # seconds, of a partner that lives
# What one worker alone has, and the name by which it is refused.
OTHER = {"option": ("option 1 --learning-rate 0.01", r"updates\S*learning_rate\S* .*0\.01"),
         "seed": ("option 1 --seed 5", "(data|seed)"), "commit": ("program 1", "program"),
         "data": ("option 1 --data-dir {other}", "data"), "log": ("option 1 --log-every 7", "log_every"),
         "evaluate": ("option 1 --evaluate-every 2", "evaluate_every"),
         "checkpoint": ("option 1 --checkpoint-every 5", "checkpoint_every"),
         "length": ("option 1 --cycles 60", "cycles"),
         "goal": ("option 1 --goal eval/accuracy", "goal"), "keep": ("option 1 --keep 7", "keep"),
         "shards": ("option 1 --reproducible 2", "reproducible"), "plan": ("option 1 --plan xla", "plan")}


class Others:
    """The cases. Each gives what was wrong with it."""

    def __init__(self, place):
        self._runs = worker_runs.Runs("classifier", 2, None, Path(place) / "runs")
        self._other = Path(place) / "other.npz"
        made = worker_runs.data(Path(place))
        worker_runs.np.savez(self._other, **{name: array[::-1] for name, array in worker_runs.np.load(made).items()})
        self._folder = self._log = None

    def interrupt(self):
        """Ctrl-C to the launcher."""
        return self._signalled(signal.SIGINT, 1, 130, "SIGINT: a checkpoint was saved")

    def twice(self):
        """Twice: the last checkpoint stands."""
        return self._signalled(signal.SIGINT, 2, 130, "")

    def hangup(self):
        """A closed terminal."""
        return self._signalled(signal.SIGHUP, 1, 129, "SIGHUP: a checkpoint was saved")

    def launcher(self):
        """The launcher is killed: the workers save and end by themselves."""
        launch = self._launch()
        self._runs.until_cycle(launch, 30)
        pids = launch.workers()
        os.kill(launch.pid, signal.SIGKILL)
        launch.wait(LIMIT)
        until = time.monotonic() + LIMIT
        while any(map(worker_runs.launched._lives, pids)) and time.monotonic() < until:
            time.sleep(0.05)
        return ["workers live on"] * launch.end() + self._said("SIGTERM: a checkpoint was saved") + self._again()

    def pause(self):
        """All sleep, as with a lid that is closed, and wake up."""
        launch = self._launch()
        self._runs.until_cycle(launch, 30)
        for signum in (signal.SIGSTOP, signal.SIGCONT):
            for pid in launch.workers():
                os.kill(pid, signum)
            time.sleep(2 * worker_runs.SILENCE if signum == signal.SIGSTOP else 0)
        return self._ends(launch, 0, "") + self._same()

    def full(self):
        """The chief's disk is full at a save."""
        return self._ends(self._launch("full 0"), 2, "No space left on device") + self._again()

    def locked(self):
        """Another process trains in the chief's folder."""
        folder = self._runs.half()
        with (folder / ".lock").open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            found = self._ends(self._launch(folder=folder), 2, r"`--run-dir` \(.*\) must be free: process \d+ is")
        return found + self._again()

    def alone(self):
        """An event of one worker asks all for a sum."""
        return self._ends(self._launch("alone 1"), 2, "worker 1 is at 'evaluation' .*where worker 0 is at"
                          "|worker 0 is at .*where worker 1 is at 'evaluation'")

    def late(self):
        """A worker lives, and does not come."""
        launch = self._launch("row 1", {"PHASELOOP_WAIT_SECONDS": str(WAITING)})
        found = self._ends(launch, 0, f"worker 1 lives but has not come to '.*' for {WAITING} s", restarts=1)
        return found + self._same()

    def dies(self):
        """A worker is killed again and again, as when memory runs out."""
        launch = self._launch("dies 1", words=["--checkpoint-every", 60])
        return self._ends(launch, 1, "worker 1 was killed by SIGKILL, as when memory runs out: given "
                          "up, after 3 restarts without a new checkpoint", restarts=3)

    def other(self, name):
        """One worker has what the others have not."""
        given, told = OTHER[name]
        found = self._ends(self._launch(given.format(other=self._other)), 2,
                           rf"`\S*{told}\S* ?.*must be the same on all workers|`--.* must")
        trained = (self._folder / "metrics.csv").exists() or (self._folder / "checkpoints").exists()
        return found + ["it had begun to train"] * trained

    def _launch(self, held="", more=(), folder=None, words=()):
        self._folder = folder or self._runs.new()
        more = {**dict(more), **({"PHASELOOP_HELD": held} if held else {}),
                "PHASELOOP_HELD_FILE": str(self._folder.with_suffix(".held"))}
        return self._runs.launch(self._folder, more, words=words)

    def _signalled(self, signum, times, code, words):
        launch = self._launch()
        self._runs.until_cycle(launch, 30)
        for _ in range(times):
            os.kill(launch.pid, signum)
            time.sleep(0.2)
        return self._ends(launch, code, words) + self._again()

    def _ends(self, launch, code, words, restarts=0):
        found = launch.wait(LIMIT)
        faults = ["processes were left"] * launch.end() + [f"exit code {found}"] * (found != code)
        again = self._text().count("started again")
        return faults + [f"started again {again} times"] * (again != restarts) + self._said(words)

    def _text(self):
        return Path(f"{self._folder}.log").read_text()

    def _said(self, words):
        text = self._text()
        return ["a traceback"] * ("Traceback" in text) + [f"it does not say {words}"] * (not re.search(words, text))

    def _again(self):
        launch = self._runs.launch(self._folder)
        code = launch.wait(LIMIT)
        faults = ["processes were left"] * launch.end() + [f"the same command again ends with {code}"] * (code != 0)
        return faults or self._same()

    def _same(self):
        return files.differs(self._folder, self._runs.wanted)

    def run(self, name):
        """One case by its name, and a line for it."""
        began = time.monotonic()
        try:
            faults = self.other(name) if name in OTHER else getattr(self, name)()
        except Exception as error:
            faults = [f"{type(error).__name__}: {error}"]
        print(f"{'BAD ' if faults else 'good'} {name}: {', '.join(faults) or 'as it must be'} "
              f"({time.monotonic() - began:.0f} s)", flush=True)
        if faults:
            print(self._text(), file=sys.stderr, flush=True)
        return not faults


CASES = ("interrupt", "twice", "hangup", "launcher", "pause", "full", "locked", "alone", "late", "dies", *OTHER)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", nargs="+", choices=CASES, default=CASES)
    chosen = parser.parse_args().case
    with tempfile.TemporaryDirectory() as place:
        others = Others(place)
        good = sum(others.run(name) for name in chosen)
    print(f"{good} of {len(chosen)}")
    return int(good < len(chosen))


if __name__ == "__main__":
    raise SystemExit(main())
