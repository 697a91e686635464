"""StepEngine: all phases of a strategy as one compiled cycle, and many cycles in one call.

A single integer says where a run stands: ``position``, the number of updates behind it. Cycle, phase,
update counts, batch numbers, schedules and random keys all follow from it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from engine.cycle import health
from engine.cycle.gradients import Measured, PhaseGradients
from engine.cycle.outline import outline
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
        self._steps: list[_Step] = []
        for phase in self.phases:
            update = updates[phase.name]
            gradients = PhaseGradients(phase, outline(phase, nets, source), nets, source, self._replicas, seed,
                                       update.accumulate)
            updater = Updater(update, gradients.variables, gradients.outline.buffers, self._replicas, half)
            self._steps.append(_Step(gradients, updater, self.plan, self._replicas))
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
        measured = step.measure(update, batch, reader)
        sums, good, fault = step.settle(measured, state["sums"][index])
        streak = tf.where(fault, state["streak"] + 1, 0)
        stays = tf.cast(streak >= self._limit, tf.int64)
        return {
            "position": state["position"] + 1 - stays, "streak": streak,
            "fault_at": tf.where(fault, state["position"], state["fault_at"]),
            "rejected": _with(state["rejected"], index, lambda old: old + 1 - tf.cast(good, tf.int64)),
            "sums": _with(state["sums"], index, lambda _: sums),
            "fault": _with(state["fault"], index, lambda old: tf.where(fault, measured.vector, old))}

    # Host again.

    def _batches(self, step: "_Step") -> int:
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


class _Step:
    """One phase as the loop sees it: ``measure``, then ``settle``. Its parts are what a plan compiles."""

    def __init__(self, gradients: PhaseGradients, updater: Updater, plan: Plan, replicas: Replicas) -> None:
        self.gradients, self.updater, self.phase, self.names = gradients, updater, gradients.phase, gradients.names
        self._replicas = replicas
        whole = replicas.count == 1 and gradients.accumulate == 1
        self._gradients = gradients.gradients if whole else plan.part(gradients.gradients)
        self._single = plan.part(self._reduced) if whole else self._reduced
        self._commit = plan.part(updater.commit) if replicas.count == 1 else updater.commit

    def examples(self, batch_size: int) -> list[int]:
        """For each name: how many examples of one update its mean is over; 1 for a scalar."""
        terms = self.gradients.outline.terms
        return [batch_size * self.gradients.accumulate if terms.get(name) else 1 for name in self.names]

    def measure(self, update: tf.Tensor, batch: tf.Tensor, reader: Any) -> Measured:
        """Terms, gradients and their norm over the global batch."""
        buffers = [tf.convert_to_tensor(v.value) for v in self.gradients.outline.buffers]
        scale = self.updater.scale()
        if self.gradients.accumulate == 1:
            return self._single(update, scale, buffers, *self.gradients.draw(update, batch, 0, reader))
        zeros = Measured(tf.zeros([len(self.names) - 1]),
                         [tf.zeros(v.shape, v.dtype) for v in self.gradients.variables], buffers)

        def one(micro: tf.Tensor, total: Measured) -> tuple[tf.Tensor, Measured]:
            number = batch + tf.cast(micro, tf.int64) if self.phase.reads_batch else batch
            part = self._sum(update, scale, total.buffers, *self.gradients.draw(update, number, micro, reader))
            added = [old + new for old, new in zip(total.gradients, part.gradients, strict=True)]
            return micro + 1, Measured(total.vector + part.vector, added, part.buffers)

        _, total = tf.while_loop(lambda micro, _: micro < self.gradients.accumulate, one, [tf.constant(0), zeros])
        return self.gradients.finish(total, scale)

    def _reduced(self, update: tf.Tensor, scale: Any, buffers: Any, *drawn: Any) -> Measured:
        return self.gradients.finish(self._sum(update, scale, buffers, *drawn), scale)

    def _sum(self, update: tf.Tensor, scale: Any, buffers: Any, *drawn: Any) -> Measured:
        part = self._replicas.run(self._gradients, update, scale, buffers, *drawn)
        return Measured(self._replicas.mean([part.vector])[0], self._replicas.sum(part.gradients),
                        self._replicas.mean(part.buffers))

    def settle(self, measured: Measured, sums: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Apply the update if all is finite. Returns (new sums, was it applied, is it a fault)."""
        vector = measured.vector
        good = tf.reduce_all(tf.math.is_finite(vector))

        def commit() -> tf.Tensor:
            self._commit(measured.gradients, vector[-1], measured.buffers)
            return sums + tf.cast(vector, tf.float64)

        def reject() -> tf.Tensor:
            if self.updater.loss_scale is not None:
                self.updater.loss_scale.shrink()
            return sums

        overflow = tf.constant(False)
        if self.updater.loss_scale is not None:
            overflow = tf.reduce_all(tf.math.is_finite(vector[:-1])) & (self.updater.scale() > 1.0)
        return tf.cond(good, commit, reject), good, ~good & ~overflow


def _with(values: Sequence[Any], index: int, change: Any) -> list[Any]:
    return [change(value) if i == index else value for i, value in enumerate(values)]
