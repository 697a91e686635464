"""plan="auto": ways of compiling, timed on the real state with real batches. The state is put back bit for bit.

On CPUs XLA doubles the speed of dense nets and halves that of convolutional ones, and a graph of two shards of the
batch gains up to a quarter for the latter, so it is measured. A trial must pay for itself. A run that is over in
seconds is left as a graph. For others all of the trial but the compiling of the graph, which serves the run if nothing
is better, is to take at most 3 s or 2 % of the run, whichever is more: what is expected to take longer to compile is
left out. Without convolutions XLA is likely to win, is tried first, and may take an eighth of the run to compile; on a
GPU also with convolutions, and there shards gain nothing.
"""

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from engine.cycle.plan import Plan
from engine.cycle.step_engine import Program, StepEngine
from engine.device import device
from engine.run.cost import operations
from engine.run.failure import one_line
from engine.workers.workers import check_partners

SHORT = 10.0  # seconds of a whole run that no trial would shorten
LEAST, FRACTION, LIKELY_FRACTION = 3.0, 0.02, 0.125  # of a trial: seconds, and of the planned run
WINDOW, ROUNDS = 0.25, 3  # seconds of one timing, and timings of each candidate
# Seconds per operation of the graph, to trace it, and to compile it by XLA: 3 to 7 ms, with convolutions twice that.
COMPILING = {"graph": 0.0005, "halves": 0.001, "xla": 0.005}
SLOW_UNDER_XLA = ("Conv2D", "Conv3D", "DepthwiseConv2dNative")
NOT_UNDER_XLA = ("_order_of_examples", "_guarded_apart")  # functions in the graph
HOPELESS = 3.0  # times slower than the best: one cycle is enough to see it, if it is longer than a window
MOST = 10_000  # cycles in one timing
WIDTH = 80  # columns of a terminal


@dataclass(frozen=True)
class Choice:
    """What a trial found.

    Attributes:
      plan: The fastest.
      speeds: Cycles per second of every plan that was timed.
      left_out: Why others were not.
      seconds: Seconds that the trial took, the compiling of the graph aside.
    """

    plan: str
    speeds: dict[str, float] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def facts(self) -> dict[str, Any]:
        """As JSON values."""
        return {"plan": self.plan, "cycles_per_second": self.speeds, "left_out": self.left_out,
                "seconds": self.seconds}

    def __str__(self) -> str:
        """In a line of a terminal, why it is this plan."""
        others = sorted((speed, name) for name, speed in self.speeds.items() if name != self.plan)
        why = [f"{self.speeds[self.plan] / others[-1][0]:.2f} times as fast as {others[-1][1]}"] if others else []
        untried = f"{' and '.join(self.left_out)} not tried"
        if self.left_out:
            why.append(untried if others else f"{untried}, {next(iter(self.left_out.values()))}")
        line = f"plan      {self.plan}: {'; '.join(why) or 'there is no other'}"
        return line if len(line) <= WIDTH else f"{line[:WIDTH - 1]}…"


class _Stopped(Exception):
    """By the health watch: training will meet the same update, and name it, as it does an error."""


class Trial:
    """One trial. ``engine`` holds a graph that has not run; afterwards it runs by the fastest plan.

    Args:
      cycles: Cycles of the planned run.
      clock: Seconds, rising.
    """

    def __init__(self, engine: StepEngine, cycles: int, clock: Callable[[], float]) -> None:
        self._engine, self._cycles, self._clock = engine, cycles, clock
        self._programs: dict[str, Program] = {engine.plan.name: engine.program}
        self._rates: dict[str, list[float]] = {}
        self._left_out: dict[str, str] = {}
        self._slow, self._operations = False, 0  # under XLA, perhaps; in the graph
        self._device = device()

    def choose(self) -> Choice:
        """Time the candidates, put the state back, and have the engine run the fastest."""
        engine, before = self._engine, (self._engine.place, self._engine.streak)
        engine.run(0)  # traces
        variables = _variables(engine)
        values = [np.array(variable.read_value()) for variable in variables]
        try:
            choice = self._choose()
        except _Stopped:
            choice = self._none("the first updates are not all good")
        except tf.errors.OpError:
            check_partners()
            choice = self._none("the first updates fail")
            for source in engine.sources.values():
                source.left_at(-1)  # nowhere: a reader that is open has gone on
        finally:
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
            engine.place, engine.streak = before
        engine.program = self._programs[choice.plan]
        return choice

    def speed(self) -> float:
        """Cycles per second as the engine is now. Nothing is put back."""
        self._seconds(1)
        self._time(self._engine.plan.name, self._seconds(1))
        return self._speed(self._engine.plan.name)

    def _choose(self) -> Choice:
        self._seconds(1)  # what is done once
        began = self._clock()
        once = self._seconds(1)
        planned = self._cycles * once
        if planned < SHORT:
            return self._none(f"a run of {planned:.1f} s is too short")
        kinds = operations(self._engine.plan.graph, without=NOT_UNDER_XLA)
        self._operations = sum(kinds.values())
        self._slow = self._device.slow_convolutions and any(kinds[kind] for kind in SLOW_UNDER_XLA)
        until = began + max(LEAST, FRACTION * planned)
        self._time("graph", once)
        likely = until if self._slow else max(until, began + LIKELY_FRACTION * planned)
        for plan in self._others() if self._slow else reversed(self._others()):
            self._try(plan, likely if plan == "xla" else until)
        for phase in self._engine.phases if len(self._engine.phases) > 1 else ():
            for plan in ["graph", *self._others()]:
                turned = self._turned(phase.name, plan)
                if turned not in self._programs:
                    self._try(turned, until)
        return Choice(self._best(), {name: self._speed(name) for name in self._rates}, self._left_out,
                      self._clock() - began)

    def _none(self, why: str) -> Choice:
        return Choice("graph", left_out=dict.fromkeys(self._others(), why))

    def _others(self) -> list[str]:
        """Plans that are another program than a graph."""
        return ["halves", "xla"] if self._engine.separable and self._device.shards else ["xla"]

    def _try(self, plan: str, until: float) -> None:
        """Time ``plan`` beside the best so far, if it is expected to be done at ``until``."""
        compiling = self._operations * max(COMPILING[kind] for kind in Plan(plan).phases.values() or [plan])
        left = until - self._clock() - 2 * ROUNDS * WINDOW
        if compiling > left:
            self._left_out[plan] = f"about {compiling:.1f} s to compile, {max(0.0, left):.1f} s left"
            return
        best, program = self._best(), self._engine.compiled(plan)
        self._programs[plan] = self._engine.program = program
        try:
            first = self._seconds(1)
            # With convolutions most of it may have been the cycle, not the compiling: 30 of 40 s for a DenseNet.
            if self._slow and self._clock() + first > until:
                self._left_out[plan] = f"its first cycle took {first:.1f} s"
                return
            once = self._seconds(1)
        except tf.errors.OpError as error:
            check_partners()
            self._left_out[plan] = f"it cannot be compiled: {one_line(error)}"
            return
        if once > WINDOW and once * self._speed(best) > HOPELESS:
            self._rates[plan] = [1 / once]
            return
        for _ in range(ROUNDS):  # in turns, for the machine drifts
            self._time(plan, once, 1)
            self._time(best, 1 / self._speed(best), 1)

    def _time(self, plan: str, once: float, rounds: int = ROUNDS) -> None:
        """Note the speed of ``plan``, a cycle of which takes about ``once`` seconds."""
        self._engine.program = self._programs[plan]
        for _ in range(rounds):
            cycles = min(MOST, max(1, int(WINDOW / once)))
            self._rates.setdefault(plan, []).append(cycles / self._seconds(cycles))

    def _seconds(self, cycles: int) -> float:
        began = self._clock()
        if self._engine.run(cycles).stopped:
            raise _Stopped
        return max(self._clock() - began, 1e-9)

    def _speed(self, plan: str) -> float:
        return statistics.median(self._rates[plan])

    def _best(self) -> str:
        return max(self._rates, key=self._speed)

    def _turned(self, phase: str, plan: str) -> str:
        """The best plan so far with ``plan`` for ``phase``; by one word if all phases have the same."""
        best = self._programs[self._best()].plan
        plans = {each.name: best.of(each.name).name for each in self._engine.phases}
        if plan != "halves" or phase in self._engine.separable:
            plans[phase] = plan
        same = set(plans.values())
        return same.pop() if len(same) == 1 else " ".join(f"{name}={plan}" for name, plan in plans.items())


def speed_of(engine: StepEngine, cycles: int, clock: Callable[[], float], choose: bool) -> float:
    """Cycles per second of a run of so many; with ``choose`` by the fastest plan. Moves the state."""
    choice = Trial(engine, cycles, clock).choose() if choose else None
    if choice and choice.speeds:
        return choice.speeds[choice.plan]
    return Trial(engine, cycles, clock).speed()


def _variables(engine: StepEngine) -> list[tf.Variable]:
    """All that the traced loop may assign: what its updates move, and what a loss has of its own."""
    moved = [variable for part in engine.parts.values() for variable in part.commit.variables]
    return list({id(variable): variable for variable in [*moved, *engine.plan.graph.variables]}.values())
