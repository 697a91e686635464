"""What every contestant's process does: options, set-up, warm-up, timing, one line of JSON."""

import argparse
import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import serve, trial
from benchmarks.inputs import read
from benchmarks.trial import Settings
from benchmarks.workloads import PRECISIONS, WORKLOADS, Workload

BEGAN = time.monotonic()  # the process, less Python's own start
WARM_SECONDS = 1.0  # of training between the first update and the timing

Arrays = dict[str, np.ndarray]  # name in a batch -> all examples, as stored
Metrics = dict[str, dict[str, float]]  # phase -> name -> value


@dataclass(frozen=True)
class Loop:
    """A training that is set up.

    Attributes:
      run: Function that takes a number of cycles, runs about so many and returns how many.
      rare: The fraction of time that goes to what is too rare to be in the window, as a checkpoint each minute.
      facts: What else goes into the line; asked at the very end.
    """

    run: Callable[[int], int]
    rare: Callable[[], float] = lambda: 0.0
    facts: Callable[[], dict[str, Any]] = dict


@dataclass(frozen=True)
class Contestant:
    """One way of training. Nothing heavy is imported before ``make`` or ``verify`` is called.

    Attributes:
      candidates: The settings to choose from, by a short trial of each.
      make: (workload, arrays, settings) -> Loop.
      verify: (workload, exchange, settings) -> what one update of each phase gives, from the weights, the batch and
        the draws in the folder ``exchange``; ours writes them there.
      trial_limit: Seconds for one candidate, compilation included.
    """

    name: str
    candidates: Callable[[Workload], Sequence[Settings]]
    make: Callable[[Workload, Arrays, Settings], Loop]
    verify: Callable[[Workload, Path, Settings], Metrics]
    trial_limit: float = 180.0


def measure(run: Callable[[int], int], seconds: float, clock: Callable[[], float] = time.perf_counter
            ) -> tuple[float, int]:
    """Warm up, then time chunks of a sixth of ``seconds`` each. Returns (median cycles per second, timed cycles)."""
    began, chunk, goal = clock(), 1, seconds / 6
    while True:
        before = clock()
        done = run(chunk)
        took = max(clock() - before, 1e-9)
        if clock() - began >= WARM_SECONDS and (took >= goal / 4 or done > chunk):
            break
        chunk = max(1, min(8 * chunk, int(goal * done / took)))
    chunk = max(1, round(goal * done / took))
    rates, cycles, spent = [], 0, 0.0
    while spent < seconds:
        before = clock()
        done = run(chunk)
        took = max(clock() - before, 1e-9)
        rates.append(done / took)
        cycles, spent = cycles + done, spent + took
    return statistics.median(rates), cycles


def main(contestant: Contestant) -> int:
    """The process of one contestant."""
    parser = argparse.ArgumentParser(description=f"Time {contestant.name}: one line of JSON.", allow_abbrev=False)
    parser.add_argument("--workload", choices=WORKLOADS, required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder with the inputs")
    parser.add_argument("--precision", choices=PRECISIONS, default="float32", help="(default: %(default)s)")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu", help="(default: %(default)s)")
    parser.add_argument("--batch-size", type=int, help="examples per update (default: the workload's)")
    parser.add_argument("--seconds", type=float, default=6.0, help="of timing (default: %(default)s)")
    parser.add_argument("--settings", type=json.loads, help="JSON (default: the first candidate)")
    parser.add_argument("--threads", type=int, help="of every candidate (default: what the candidate says)")
    parser.add_argument("--trial", action="store_true", help="time every candidate; print the best one's line")
    parser.add_argument("--verify", type=Path, metavar="FOLDER", help="print one update's metrics instead")
    parser.add_argument("--serve", action="store_true", help="say when it is ready, and time when asked: see serve.py")
    options = parser.parse_args()
    workload = WORKLOADS[options.workload]
    workload = replace(workload, precision=options.precision, device=options.device,
                       batch_size=options.batch_size or workload.batch_size)
    candidates = trial.fixed(contestant.candidates(workload), options.threads)
    settings = options.settings or candidates[0]
    if options.trial:
        command = [sys.executable, "-m", f"benchmarks.{Path(sys.argv[0]).stem}", "--workload", workload.name,
                   "--precision", workload.precision, "--data", str(options.data), "--seconds", str(options.seconds)]
        result = trial.best(contestant.name, candidates, command, contestant.trial_limit)
    elif options.serve:
        return serve.answer(lambda: contestant.make(workload, read(options.data, workload), settings), BEGAN)
    elif options.verify:
        result = {"metrics": contestant.verify(workload, options.verify, settings)}
    else:
        result = _time(contestant, workload, settings, options)
    print(json.dumps(result), flush=True)
    return 0


def _time(contestant: Contestant, workload: Workload, settings: Settings, options: argparse.Namespace
          ) -> dict[str, Any]:
    loop = contestant.make(workload, read(options.data, workload), settings)
    loop.run(1)
    setup = time.monotonic() - BEGAN
    rate, cycles = measure(loop.run, options.seconds)
    memory, rate = peak_memory(), rate * (1.0 - loop.rare())
    return {"contestant": contestant.name, "workload": workload.name, "precision": workload.precision,
            "settings": settings, "cycles_per_second": rate, "setup_seconds": setup, "peak_memory_bytes": memory,
            "cycles": cycles, **loop.facts()}


def peak_memory() -> int:
    """This process's largest resident memory, bytes. ``ru_maxrss`` would count the parent's too."""
    try:
        status = Path(f"/proc/{os.getpid()}/status").read_text()
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
