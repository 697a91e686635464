"""StepEngine: all phases of a strategy as one compiled cycle, and many cycles in one call.

A single integer says where a run stands: ``position``, the number of updates behind it. Cycle, phase,
update counts, batch numbers, schedules and random keys all follow from it; and, in a run that was rolled back, from
two more: ``skipped``, the batches passed over, and ``salt``, the number of rollbacks.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from engine.cycle import health
from engine.cycle.block_loop import BlockLoop
from engine.cycle.draws import Course
from engine.cycle.gradients import PhaseGradients
from engine.cycle.launch_loop import LaunchLoop
from engine.cycle.loop import Loop
from engine.cycle.order import Order
from engine.cycle.outline import outline
from engine.cycle.phase_step import PhaseStep
from engine.cycle.plan import Plan
from engine.cycle.replicas import Replicas
from engine.cycle.report import Report
from engine.cycle.update import Update, Updater
from engine.data.source import Source
from engine.device import device
from engine.errors import require
from engine.strategy import Nets, Phase


class Program(NamedTuple):
    """The phases and their loop, compiled in one way."""

    plan: Plan
    steps: list[PhaseStep]
    loop: Callable[..., Any]


class StepEngine:
    """Compiles ``phases`` over built ``nets`` and runs cycles of them.

    Args:
      phases: In the order of the cycle.
      nets: Built Keras models by name.
      updates: An ``Update`` per phase name.
      source: Of the training batches.
      seed: Of all random draws.
      plan: See ``Plan``.
      on_bad_update: "stop", "rollback" (which stops too: see ``detour``) or "skip", which stops after 10 bad updates
        in a row.
      half: Train with dynamic loss scaling (float16).
      spike: Which finite objectives are bad too; None for none.
    """

    def __init__(self, phases: Sequence[Phase], nets: Nets, updates: Mapping[str, Update], source: Source, *,
                 seed: int = 0, plan: str = "graph", on_bad_update: str = "stop", half: bool = False,
                 spike: health.Spike | None = None) -> None:
        self.phases, self.source = list(phases), source
        self.position = 0
        self.streak = 0  # bad updates in a row, up to now
        self.skipped = self.salt = 0
        self._limit = health.limit(on_bad_update)
        self._replicas = Replicas(source.batch_size)
        self._parts: list[tuple[PhaseGradients, Updater]] = []  # of each phase
        for phase in self.phases:
            update = updates[phase.name]
            gradients = PhaseGradients(phase, outline(phase, nets, source), nets, source, self._replicas, seed,
                                       update.accumulate)
            updater = Updater(update, gradients.variables, gradients.outline.buffers, self._replicas, half, spike)
            self._parts.append((gradients, updater))
        self.order = Order([phase.repeats for phase in self.phases],
                           [gradients.draws.batches for gradients, _ in self._parts])
        require(self.order.batches_per_cycle, "phases", [phase.name for phase in self.phases],
                "with one that reads_batch")
        self.program = self.compiled(plan)

    def compiled(self, plan: str) -> Program:
        """The phases by another ``plan``; set ``program`` to it, and it is what runs."""
        chosen, steps = Plan(plan), []
        for gradients, updater in self._parts:
            mine = chosen.of(gradients.phase.name)
            halved = gradients.halved(loops=mine.name != "xla") if mine.halves else gradients
            steps.append(PhaseStep(halved, updater, mine, self._replicas, self._limit))
        loop = self._loop(steps, chosen)
        return Program(chosen, steps, chosen.loop(loop.run))

    def _loop(self, steps: list[PhaseStep], plan: Plan) -> Loop:
        alone = self._replicas.count == 1
        if alone and plan.block and device().one_launch and self.source.inside:
            return LaunchLoop(steps, self.order, self._limit, plan.block)
        if alone and plan.block and BlockLoop.suits(steps):
            return BlockLoop(steps, self.order, self._limit, plan.block)
        return Loop(steps, self.order, self._limit, write_out=plan.name != "eager")

    @property
    def plan(self) -> Plan:
        """How the program that runs is compiled."""
        return self.program.plan

    @property
    def steps(self) -> dict[str, PhaseStep]:
        """Each phase as the loop runs it, by name, in the order of the cycle."""
        return {step.phase.name: step for step in self.program.steps}

    @property
    def separable(self) -> set[str]:
        """The phases whose batches can be computed in halves."""
        return {gradients.phase.name for gradients, _ in self._parts if gradients.halved() is not gradients}

    @property
    def replicas(self) -> Replicas:
        """Where the cycle runs."""
        return self._replicas

    @property
    def outlines(self) -> dict[str, Any]:
        """What the trace of each phase found, by phase name."""
        return {step.phase.name: step.gradients.outline for step in self.program.steps}

    @property
    def updaters(self) -> dict[str, Updater]:
        """Optimizer, averages and loss scale of each phase."""
        return {step.phase.name: step.updater for step in self.program.steps}

    @property
    def term_names(self) -> dict[str, list[str]]:
        """{phase: names of its terms, in the order of the checked vector}."""
        return {step.phase.name: step.names for step in self.program.steps}

    def updates_done(self, position: int) -> dict[str, int]:
        """Updates of each phase, and batches (under the key ""), behind ``position``."""
        done = {phase.name: self.order.updates(i, position) for i, phase in enumerate(self.phases)}
        return {**done, "": self.batches(position)}

    def batches(self, position: int) -> int:
        """Batches of the data behind ``position``, those passed over included."""
        return self.order.batches(position) + self.skipped

    def detour(self, position: int) -> None:
        """Go on from ``position``, whose state was put back, behind the batches read so far, with other draws."""
        self.skipped = self.batches(self.position + 1) - self.order.batches(position)
        self.position, self.streak, self.salt = position, 0, self.salt + 1

    def run(self, cycles: int) -> Report:
        """Run to the end of ``cycles`` more cycles, or to the first update that the health watch stops.

        After such a stop, a further call tries that update again.
        """
        start = self.position
        target = (self.order.cycle(start) + cycles) * self.order.updates_per_cycle
        course = Course(self.source.open(self.batches(start)), *(tf.constant(number, tf.int64)
                                                                 for number in (self.skipped, self.salt)))
        with self._replicas.strategy.scope():
            state = self.program.loop(tf.constant(start, tf.int64), tf.constant(target, tf.int64),
                               tf.constant(min(self.streak, self._limit - 1), tf.int64), course)
        state = tf.nest.map_structure(lambda tensor: tensor.numpy(), state)
        self.position, self.streak = int(state["position"]), int(state["streak"])
        stopped = self.streak >= self._limit
        if not stopped:
            self.source.left_at(self.batches(self.position))
        return Report.read(self.program.steps, self.order, self.source.batch_size, start, state, stopped)
