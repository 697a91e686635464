"""A sweep, trial after trial: trained, kept, told and shown."""

import math
import shutil
import sys
import time

import cli
import several
import sweep_page
import trials
from sweep_plan import Sweep, longest, seconds_left, shown

REWRITTEN = 20.0  # seconds between two writings of the page
SIGNALLED = 128  # exit codes above it are of a run that was stopped from outside, and can go on
TABLE = 20  # trials that are printed at the end
PARTS = ("--validation", "--fold")  # options that keep the test part out of it


def run(sweep: Sweep) -> int:
    """Train what is left to train. Returns the exit code. Raises ``Invalid``, OSError."""
    from engine.errors import require
    from engine.run.folder import RunFolder
    from engine.run.lock import Lock

    several.require_alone()
    folder, is_new = RunFolder(sweep.folder, sweep.config()), not sweep.folder.exists()
    folder.create()
    lock = Lock(sweep.folder)
    lock.take()
    try:
        results = trials.Results(sweep.folder)
        most = max((length for _, length, _ in results.every()), default=0.0)
        require(most <= longest(sweep.chosen) * (1 + 1e-9), f"--max-{sweep.unit}", shown(longest(sweep.chosen)),
                f"at least {shown(most)}: so far trials of this sweep were trained")
        code = _search(sweep, results)
        if is_new and not results and code == 2:
            _undo(sweep)
        return code
    finally:
        lock.release()


def _undo(sweep: Sweep) -> None:
    """The first trial could not begin: leave nothing."""
    if not any(path.is_dir() for path in sweep.folder.iterdir()):
        shutil.rmtree(sweep.folder)


def _search(sweep: Sweep, results: trials.Results) -> int:
    from engine.run.signals import farewell

    written = time.monotonic()
    while due := sweep.due(results):
        trial, length = due
        name, (code, word, signum) = sweep.run_dir(trial).name, _train(sweep, results, trial, length)
        is_done = results.is_done(trial, length)
        if is_done:
            print(_line(sweep, results, trial, length), flush=True)
        if signum or not is_done:
            _show_end(sweep, results)
            print(farewell(signum, f"{name} was saved" if code else "nothing was being trained") if signum else
                  f"error: {name} ({typed(sweep, trial)}) ended with exit code {code}: {word}", file=sys.stderr)
            return 128 + signum if signum else 2
        if time.monotonic() - written > REWRITTEN:
            sweep_page.write(sweep, results, sweep.folder / "sweep.html")
            written = time.monotonic()
    _show_end(sweep, results)
    return 0


def _train(sweep: Sweep, results: trials.Results, trial: int, length: float) -> tuple[int, str, int]:
    """Train one trial to a length, and keep what came of it. Returns its exit code, its last word, a signal or 0."""
    name, began = sweep.run_dir(trial).name, time.monotonic()
    done, left = _counts(sweep, results)
    show = _silent if not sys.stderr.isatty() else lambda line: _overwrite(line and f"{done + 1} of {done + left}: "
                                                                           f"{name}  {line}")
    show(f"{typed(sweep, trial)}, to {sweep.unit[:-1]} {shown(length)}")
    code, word, signum = trials.train(sweep.command(trial, length), sweep.folder / f"{name}.log", show)
    show("")
    if code in (0, 3) or (sweep.chosen.run.on_error == "skip" and code <= SIGNALLED):
        before = results.last(trial)[1].seconds if trial in results.trials() else 0.0
        result, better = trials.result_of(sweep.run_dir(trial), code, word, time.monotonic() - began, before)
        results.add(trial, length, result, sweep.chosen.what.better or better)
    return code, word, signum


def _silent(line: str) -> None:
    """Nothing is shown where there is no terminal."""


def _overwrite(text: str) -> None:
    """A line that stands until the next one, as wide as the terminal at most: what the trial says."""
    width = shutil.get_terminal_size().columns - 1
    sys.stderr.write(f"\r\x1b[K{cli.printable(text)[:width]}")
    sys.stderr.flush()


def typed(sweep: Sweep, trial: int) -> str:
    """What a trial has of what is varied."""
    return " ".join(f"{name}={value}" for name, value in sweep.options(trial).items())


def _line(sweep: Sweep, results: trials.Results, trial: int, length: float) -> str:
    """What came of a training, and how much is left."""
    from engine.reporting.progress import digits

    result = results.at(trial, length)
    assert result
    done, left = _counts(sweep, results)
    value = "failed" if result.value is None else digits(result.value)
    time_left = f", {lasting(seconds_left(sweep, results))} left" if left else ""
    return (f"{done} of {done + left}: {sweep.run_dir(trial).name}  {sweep.unit[:-1]} {shown(length)}  "
            f"{sweep.chosen.what.goal} {value}  {typed(sweep, trial)}{time_left}")


def _counts(sweep: Sweep, results: trials.Results) -> tuple[int, int]:
    """Trainings that are done, and those that are left."""
    return sum(1 for _ in results.every()), sum(count for count, _ in sweep.planned(results))


def lasting(seconds: float) -> str:
    """A time for people."""
    if seconds < 90:
        return f"about {math.ceil(seconds)} s"
    return f"about {math.ceil(seconds / 60)} min" if seconds < 5400 else f"about {seconds / 3600:.1f} h"


def _show_end(sweep: Sweep, results: trials.Results) -> None:
    """The best trials, on screen and in summary.json, and the page."""
    if not results:
        return
    order = sweep.ranking(results)
    rows = [["", sweep.chosen.what.goal, *sweep.space, sweep.unit]]
    rows += [sweep_page.row(sweep, results, trial) for trial in order[:TABLE]]
    print(several.table([list(map(cli.printable, row)) for row in rows]))
    if len(order) > TABLE:
        print(f"and {len(order) - TABLE} more")
    if not any(each.startswith(PARTS) for each in [*sweep.words, *(f"--{name}" for name in sweep.space)]):
        print("chosen by what the script evaluates on: the test part, if the data have no part for validation; "
              "-- --validation 0.1 makes one")
    several.write_summary(sweep.folder, {"goal": sweep.chosen.what.goal, "better": results.better, "trials": {
        sweep.run_dir(trial).name: {"value": result.value, sweep.unit: length, "options": sweep.options(trial),
                                    "exit_code": result.code}
        for trial in order for length, result in [results.last(trial)]}})
    print(sweep_page.write(sweep, results, sweep.folder / "sweep.html"))
