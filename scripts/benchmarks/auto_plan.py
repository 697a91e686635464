"""Does plan="auto" find the fastest? Its choice beside graph and xla, on every workload of the benchmark.

  python scripts/benchmarks/auto_plan.py
  python scripts/benchmarks/auto_plan.py --workload vae lstm --planned 600

Each workload in a fresh process: auto chooses for a run of --planned seconds, then its choice, graph and xla are timed
in turns on the same state. "slower" is how much slower the choice is than the better of graph and xla; below 0 it is
faster than both, as with halves or another plan for each phase. xla is left out where it cannot be compiled.
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

NAME = "auto_plan"


@dataclasses.dataclass(frozen=True)
class Options(program.Common):
    """Of this program."""

    workload: tuple[str, ...] = option(tuple(WORKLOADS), "(default: all)", Choice(*WORKLOADS), nargs="+")
    planned: float = option(3600.0, "length of the run that auto chooses for", rules.positive, metavar="SECONDS")
    rounds: int = option(5, "timings of each plan", rules.whole)
    seconds: float = option(2.0, "of each timing", rules.positive)


def measured(point: dict[str, Any]) -> program.Result:
    """What the process of one workload does."""
    import tensorflow as tf

    from benchmarks import inputs, ours, plain_tf
    from engine import StepEngine, Update, prepare
    from engine.run.trial import HOPELESS, Trial

    workload = WORKLOADS[point["workload"]]
    prepare(0, "float32")
    nets = plain_tf.make_nets(workload)
    updates = {phase: Update(each) for phase, each in plain_tf.make_optimizers(workload, nets).items()}
    source = ours.source(workload, inputs.made(workload))
    engine = StepEngine(ours.strategy(workload).phases(), nets, updates, source)
    engine.run(1)
    once = _seconds(engine, 1)
    choice = Trial(engine, round(point["planned"] / once), time.perf_counter).choose()
    programs, left_out = {choice.plan: engine.program}, {}
    for plan in ("graph", "xla"):
        engine.program = programs.setdefault(plan, engine.compiled(plan))
        try:
            engine.run(1)
        except tf.errors.OpError as error:
            left_out[plan] = str(error).splitlines()[0]
            del programs[plan]
    rates: dict[str, list[float]] = {plan: [] for plan in programs}
    for _ in range(point["rounds"]):
        for plan, compiled in programs.items():
            best = max(max(each, default=0.0) for each in rates.values())
            if rates[plan] and HOPELESS * max(rates[plan]) < best:
                continue  # once is enough: a cycle of a DenseNet takes XLA half a minute
            engine.program = compiled
            cycles = max(1, round(point["seconds"] / _seconds(engine, 1)))
            rates[plan].append(cycles / _seconds(engine, cycles))
    return {"workload": workload.name, "choice": choice.facts, "left_out": left_out, "rates": rates}


def _seconds(engine: Any, cycles: int) -> float:
    began = time.perf_counter()
    engine.run(cycles)
    return time.perf_counter() - began


def slowdown(found: program.Result) -> float:
    """Fraction by which the choice is slower than the better of graph and xla; medians over the rounds."""
    speeds = {plan: statistics.median(rates) for plan, rates in found["rates"].items()}
    return 1.0 - speeds[found["choice"]["plan"]] / max(speeds[plan] for plan in ("graph", "xla") if plan in speeds)


def table(rows: list[program.Result]) -> str:
    """A line for each workload."""
    lines = []
    for row in rows:
        shown = [f"{statistics.median(row['rates'][plan]):.4g}" if plan in row["rates"] else "-"
                 for plan in ("graph", "xla", row["choice"]["plan"])]
        lines.append([row["workload"], row["choice"]["plan"], f"{row['choice']['seconds']:.1f}", *shown,
                      f"{100 * slowdown(row):.1f}"])
    head = ["workload", "auto chose", "in, s", "graph, cycles/s", "xla", "the choice", "slower, %"]
    return program.columns(head, lines)


def work(chosen: Options) -> tuple[program.Result, str]:
    rows = []
    for workload in chosen.workload:
        point = {"workload": workload, "planned": 60.0 if chosen.quick else chosen.planned,
                 "rounds": 1 if chosen.quick else chosen.rounds, "seconds": 0.1 if chosen.quick else chosen.seconds}
        rows.append(program.run(NAME, point))
        program.say(f"{workload}: {rows[-1]['choice']['plan']}, {100 * slowdown(rows[-1]):.1f} % slower")
    return {"rows": rows}, table(rows)


if __name__ == "__main__":
    raise SystemExit(program.main(cli.Command(Options(), __doc__).parse(), work, measured))
