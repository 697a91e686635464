"""``--check``: the preflight as a report on nets, phases, data, cost and problems. It changes and writes nothing."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from engine.cycle.step_engine import StepEngine
from engine.errors import Invalid
from engine.run import check_data, check_problems, check_report
from engine.run.check_data import Column
from engine.run.check_phases import Attempt, attempt
from engine.run.failure import one_line
from engine.strategy import Nets


@dataclass(frozen=True)
class Check:
    """What a run would do, and what is wrong with it.

    Attributes:
      lines: The report, without the problems.
      faults: Problems that make training impossible, a line each.
      warnings: Other problems.
      attempts: One attempt of every phase.
      pictures: [n, h, w, c] of one batch as the net gets it, in [0, 1], and their labels; None if it holds none.
    """

    lines: list[str]
    faults: list[str]
    warnings: list[str]
    attempts: list[Attempt]
    pictures: tuple[np.ndarray, list[str] | None] | None

    def __str__(self) -> str:
        problems = [*(f"  fault    {line}" for line in self.faults), *(f"  warning  {line}" for line in self.warnings)]
        return "\n".join([*self.lines, "", "problems" if problems else "no problems found", *problems])


def check(engine: StepEngine, nets: Nets, warnings: Sequence[str], cycles: int,
          clock: Callable[[], float] = time.perf_counter) -> Check:
    """Look at the data, and try every phase on the batch of its next update.

    Args:
      warnings: Warnings found before, by ``preflight``.
      cycles: Length of the run, from its start.
      clock: Seconds, rising; a test's own.

    Raises:
      Invalid: Data that cannot be read or transformed.
    """
    try:
        stored = check_data.stored(engine.source, clock)
        batch = check_data.first_batch(engine)
    except tf.errors.OpError as error:
        raise Invalid(f"`data` ({one_line(error)}) must be readable") from None
    given = {name: Column.of(values) for name, values in batch.items()}
    attempts = [attempt(engine, nets, name, clock) for name in engine.steps]
    labels = {name: column for name, column in stored.items() if column.dtype.kind in "iu" and not column.is_picture}
    problems = [check_problems.of_phase(step, found, labels)
                for step, found in zip(engine.steps.values(), attempts, strict=True)]
    lines = [*check_report.of_data(engine, stored, given), "", *check_report.of_nets(engine, nets), ""]
    for step, found in zip(engine.steps.values(), attempts, strict=True):
        lines += [*check_report.of_phase(engine, step, found), ""]
    return Check([*lines, *check_report.of_cost(engine, nets, attempts, cycles)],
                 [line for faults, _ in problems for line in faults],
                 [*warnings, *check_problems.of_data(stored, given), *(line for _, odd in problems for line in odd)],
                 attempts, check_data.pictures(batch))
