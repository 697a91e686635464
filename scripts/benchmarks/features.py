"""What everything costs that a bare compiled loop has not: health watch, logs, checkpoints, keyed draws, exact order.

  python scripts/benchmarks/features.py
  python scripts/benchmarks/features.py --workload vae convnet --rounds 20

Each workload in one process: ours, as benchmark.py times it, and the bare loop take turns of a second, so that a drift
of the machine strikes both. "cost" is the time that ours takes over the bare loop's, pair by pair; below 0 ours is
faster. Both are compiled alike: by XLA where updates are small, as a graph else. A checkpoint each minute is added.
"""

import dataclasses
import statistics
import sys
import time
from pathlib import Path
from typing import Any

if not __package__:  # as a person types it, from anywhere
    sys.path[:1] = [str(folder) for folder in Path(__file__).resolve().parents[1:3]]

import cli
import rules
from fields import option
from rules import Choice

from benchmarks import program
from benchmarks.workloads import WORKLOADS

NAME = "features"


@dataclasses.dataclass(frozen=True)
class Options(program.Common):
    """Of this program."""

    workload: tuple[str, ...] = option(tuple(WORKLOADS), "(default: all)", Choice(*WORKLOADS), nargs="+")
    plan: str | None = option(None, "of both (default: xla where updates are small)", Choice("graph", "xla"))
    rounds: int = option(12, "turns of each", rules.whole)
    seconds: float = option(1.0, "of a turn", rules.positive)


def measured(point: dict[str, Any]) -> program.Result:
    """What the process of one workload does."""
    from benchmarks import bare, inputs, ours

    workload, settings = WORKLOADS[point["workload"]], {"plan": point["plan"], "threads": None}
    arrays = inputs.made(workload)
    loops = {"ours": ours.make(workload, arrays, settings), "bare": bare.make(workload, arrays, settings)}
    counts = {}
    for name, loop in loops.items():
        loop.run(2)
        counts[name] = max(1, round(point["seconds"] / min(_seconds(loop, 2) for _ in range(3)) * 2))
    rounds: list[dict[str, float]] = []
    for number in range(point["rounds"]):
        names = list(loops)[::-1 if number % 2 else 1]
        rounds.append({name: counts[name] / _seconds(loops[name], counts[name]) for name in names})
    return {"workload": workload.name, "plan": point["plan"], "rounds": rounds, "saving": loops["ours"].rare()}


def _seconds(loop: Any, cycles: int) -> float:
    began = time.perf_counter()
    loop.run(cycles)
    return time.perf_counter() - began


def cost(found: program.Result) -> program.Result:
    """Fraction of time over the bare loop's: median and range over the rounds, the checkpoints' fraction in it."""
    return program.spread([each["bare"] / (each["ours"] * (1.0 - found["saving"])) - 1.0 for each in found["rounds"]])


def table(rows: list[program.Result]) -> str:
    """A line for each workload."""
    lines = []
    for row in rows:
        speeds = [f"{statistics.median(each[name] for each in row['rounds']):.4g}" for name in ("ours", "bare")]
        found = cost(row)
        lines.append([row["workload"], row["plan"], *speeds, f"{100 * found['median']:.1f}",
                      f"{100 * found['min']:.1f} to {100 * found['max']:.1f}"])
    return program.columns(["workload", "plan", "ours, cycles/s", "bare", "cost, %", "range"], lines)


def work(chosen: Options) -> tuple[program.Result, str]:
    rows = []
    for name in chosen.workload:
        plan = chosen.plan or ("xla" if WORKLOADS[name].small else "graph")
        rows.append(program.run(NAME, {"workload": name, "plan": plan, "rounds": 1 if chosen.quick else chosen.rounds,
                                       "seconds": 0.1 if chosen.quick else chosen.seconds}))
        program.say(f"{name}: {100 * cost(rows[-1])['median']:.1f} % over the bare loop")
    return {"rows": rows}, table(rows)


if __name__ == "__main__":
    raise SystemExit(program.main(cli.Command(Options(), __doc__).parse(), work, measured))
