"""StepEngine: all phases of a strategy as one compiled cycle, and many cycles in one call.

A single integer says where a run stands: ``position``, the number of updates behind it. Cycle, phase,
update counts, batch numbers, schedules and random keys all follow from it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from engine.cycle import health
from engine.cycle.gradients import PhaseGradients
from engine.cycle.outline import outline
from engine.cycle.phase_step import PhaseStep
from engine.cycle.plan import Plan
from engine.cycle.replicas import Replicas
from engine.cycle.update import Update, Updater
from engine.data.source import Source
from engine.errors import require
from engine.strategy import Nets, Phase

Totals = dict[str, dict[str, tuple[float, int]]]  # phase -> term -> (sum, count)


@dataclass(frozen=True)
class Report:
    """One call of the compiled loop: totals over *all* its updates, and what the health watch saw."""

    totals: Totals
    rejected: dict[str, int]  # phase -> updates that were not applied
    fault: health.Fault | None  # the last bad update
    stopped: bool  # by the health watch: the state is that of the last good update


class StepEngine:
    """Compiles ``phases`` over built ``nets`` and runs cycles of them.

    Args:
      phases: In the order of the cycle.
      nets: Built Keras models by name.
      updates: An ``Update`` per phase name.
      source: Of the training batches.
      seed: Of all random draws.
      plan: "eager", "graph" or "xla".
      on_bad_update: "stop" or "skip"; ``skip`` stops after 10 bad updates in a row.
      half: Train with dynamic loss scaling (float16).
    """

    def __init__(self, phases: Sequence[Phase], nets: Nets, updates: Mapping[str, Update], source: Source, *,
                 seed: int = 0, plan: str = "graph", on_bad_update: str = "stop", half: bool = False) -> None:
        self.phases, self.source, self.plan = list(phases), source, Plan(plan)
        self.position = 0
        self.streak = 0  # bad updates in a row, up to now
        self._limit = health.limit(on_bad_update)
        self._replicas = Replicas(source.batch_size)
        self._steps: list[PhaseStep] = []
        for phase in self.phases:
            update = updates[phase.name]
            gradients = PhaseGradients(phase, outline(phase, nets, source), nets, source, self._replicas, seed,
                                       update.accumulate)
            updater = Updater(update, gradients.variables, gradients.outline.buffers, self._replicas, half)
            self._steps.append(PhaseStep(gradients, updater, self.plan, self._replicas, self._limit))
        self.updates_per_cycle = sum(phase.repeats for phase in self.phases)
        self.batches_per_cycle = sum(self._batches(step) * step.phase.repeats for step in self._steps)
        require(self.batches_per_cycle, "phases", [phase.name for phase in self.phases], "with one that reads_batch")
        self._loop = self.plan.loop(self._run)

    @property
    def outlines(self) -> dict[str, Any]:
        """What the trace of each phase found, by phase name."""
        return {step.phase.name: step.gradients.outline for step in self._steps}

    @property
    def updaters(self) -> dict[str, Updater]:
        """Optimizer, averages and loss scale of each phase."""
        return {step.phase.name: step.updater for step in self._steps}

    @property
    def term_names(self) -> dict[str, list[str]]:
        """{phase: names of its terms, in the order of the checked vector}."""
        return {step.phase.name: step.names for step in self._steps}

    def updates_done(self, position: int) -> dict[str, int]:
        """Updates of each phase, and batches (under the key ""), behind ``position``."""
        cycle, offset, start, done, batches = *divmod(position, self.updates_per_cycle), 0, {}, 0
        for step in self._steps:
            within = min(max(offset - start, 0), step.phase.repeats)
            done[step.phase.name] = cycle * step.phase.repeats + within
            batches += done[step.phase.name] * self._batches(step)
            start += step.phase.repeats
        return {**done, "": batches}

    def run(self, cycles: int) -> Report:
        """Run to the end of ``cycles`` more cycles, or to the first update that the health watch stops.

        After such a stop, a further call tries that update again.
        """
        start = self.position
        target = (start // self.updates_per_cycle + cycles) * self.updates_per_cycle
        reader = self.source.open(self.updates_done(start)[""])
        with self._replicas.strategy.scope():
            state = self._loop(tf.constant(start, tf.int64), tf.constant(target, tf.int64),
                               tf.constant(min(self.streak, self._limit - 1), tf.int64), reader)
        state = tf.nest.map_structure(lambda tensor: tensor.numpy(), state)
        self.position, self.streak = int(state["position"]), int(state["streak"])
        stopped = self.streak >= self._limit
        if not stopped:
            self.source.left_at(self.updates_done(self.position)[""])
        return self._report(start, state, stopped)

    # Traced from here on.

    def _run(self, start: tf.Tensor, target: tf.Tensor, streak: tf.Tensor, reader: Any) -> dict[str, Any]:
        phases = len(self._steps)
        state = {
            "position": start, "streak": streak, "fault_at": tf.constant(-1, tf.int64),
            "rejected": [tf.constant(0, tf.int64)] * phases,
            "sums": [tf.zeros([len(step.names)], tf.float64) for step in self._steps],
            "fault": [tf.zeros([len(step.names)]) for step in self._steps]}

        def going(state: dict[str, Any]) -> tf.Tensor:
            return (state["position"] < target) & (state["streak"] < self._limit)

        return tf.while_loop(going, lambda state: [self._one(state, reader)], [state])[0]

    def _one(self, state: dict[str, Any], reader: Any) -> dict[str, Any]:
        cycle, offset = state["position"] // self.updates_per_cycle, state["position"] % self.updates_per_cycle
        starts = [sum(step.phase.repeats for step in self._steps[:i]) for i in range(len(self._steps))]
        if len(self._steps) == 1:
            return self._update(0, cycle, offset, state, reader)
        which = sum(tf.cast(offset >= start, tf.int32) for start in starts[1:])
        branches = [lambda i=i, start=start: self._update(i, cycle, offset - start, state, reader)
                    for i, start in enumerate(starts)]
        return tf.switch_case(which, branches)

    def _update(self, index: int, cycle: tf.Tensor, within: tf.Tensor, state: dict[str, Any], reader: Any
                ) -> dict[str, Any]:
        step = self._steps[index]
        before = sum(self._batches(earlier) * earlier.phase.repeats for earlier in self._steps[:index])
        update = cycle * step.phase.repeats + within
        batch = cycle * self.batches_per_cycle + before + within * self._batches(step)
        mine = {name: value[index] if isinstance(value, list) else value for name, value in state.items()}
        after = step.advance(update, batch, mine, reader)
        return {name: [after[name] if i == index else other for i, other in enumerate(value)]
                if isinstance(value, list) else after[name] for name, value in state.items()}

    # Host again.

    def _batches(self, step: PhaseStep) -> int:
        return step.gradients.accumulate if step.phase.reads_batch else 0

    def _report(self, start: int, state: dict[str, Any], stopped: bool) -> Report:
        before, after = self.updates_done(start), self.updates_done(self.position)
        totals: Totals = {}
        rejected, fault = {}, None
        for i, step in enumerate(self._steps):
            name = step.phase.name
            # The update at which the loop stopped is rejected without being behind the position.
            here = stopped and self._phase_at(self.position) == i
            rejected[name] = int(state["rejected"][i])
            applied = after[name] - before[name] - rejected[name] + here
            counts = [applied * examples for examples in step.examples(self.source.batch_size)]
            totals[name] = {term: (float(mean * count / max(applied, 1)), count) for term, mean, count in
                            zip(step.names, state["sums"][i], counts, strict=True)}
        at = int(state["fault_at"])
        if at >= 0:
            step = self._steps[self._phase_at(at)]
            fault = health.Fault.read(at // self.updates_per_cycle, step.phase.name,
                                      self.updates_done(at)[step.phase.name], step.names,
                                      state["fault"][self._phase_at(at)])
        return Report(totals, rejected, fault, stopped)

    def _phase_at(self, position: int) -> int:
        offset = position % self.updates_per_cycle
        for i, step in enumerate(self._steps):
            if offset < step.phase.repeats:
                return i
            offset -= step.phase.repeats
        raise AssertionError("a position lies in one of the phases")
