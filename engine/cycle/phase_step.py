"""One update of one phase, from what was drawn for it to its commit."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from engine.cycle.draws import Drawn
from engine.cycle.gradients import Measured, PhaseGradients
from engine.cycle.plan import Plan
from engine.cycle.replicas import Replicas
from engine.cycle.update import Updater

Progress = dict[str, tf.Tensor]  # what the loop carries of the run and of this phase


class PhaseStep:
    """One phase as the loop sees it: ``advance`` by one update.

    Under XLA, with one replica, the whole update, health check and counting included, is one part for the plan to
    compile; otherwise the gradients are: a function, traced once, that reads no variable which an update moves.

    Args:
      limit: Bad updates in a row at which the loop stops.
    """

    def __init__(self, gradients: PhaseGradients, updater: Updater, plan: Plan, replicas: Replicas,
                 limit: int) -> None:
        self.gradients, self.updater, self.phase, self.names = gradients, updater, gradients.phase, gradients.names
        self.draws = gradients.draws
        self._replicas, self._limit = replicas, limit
        whole = plan.name == "xla" and replicas.count == 1
        self.advance = plan.part(self._advance) if whole else self._advance
        self.rush = plan.part(self._rush)
        self._gradients = gradients.gradients if whole else plan.part(gradients.gradients)

    def examples(self, batch_size: int) -> list[int]:
        """For each name: how many examples of one update its mean is over; 1 for a scalar."""
        terms = self.gradients.outline.terms
        return [batch_size * self.gradients.accumulate if terms.get(name) else 1 for name in self.names]

    def _advance(self, update: tf.Tensor, progress: Progress, drawn: Drawn, due: tf.Tensor | bool = True) -> Progress:
        """Run update number ``update`` (int64) on what was drawn for it, if due and good; ``progress`` after it."""
        measured = self.measure(update, drawn)
        if due is True:
            return self._settle(measured, progress)
        return tf.cond(due, lambda: self._settle(measured, progress), lambda: progress)

    def _rush(self, update: tf.Tensor, progress: Progress, drawn: Drawn) -> tuple[Progress, tf.Tensor]:
        """The same, good or bad. Returns ``progress`` and whether it was good; if not, whoever calls undoes it."""
        measured = self.measure(update, drawn)
        after = {**progress, "position": progress["position"] + 1, "streak": tf.zeros_like(progress["streak"]),
                 "sums": self._commit(measured, progress)}
        return after, _finite(measured.vector) & ~self._leaps(measured.vector)

    def select(self, update: tf.Tensor, progress: Progress, drawn: Drawn, due: tf.Tensor) -> Progress:
        """The same as ``advance`` without a branch, at which a GPU would wait for the host.

        Each variable is assigned its new value or the old one.
        """
        measured, variables = self.measure(update, drawn), self.updater.variables
        before = [variable.read_value() for variable in variables]

        def commit(good: tf.Tensor) -> tf.Tensor:
            sums = self._commit(measured, progress)
            for variable, value in zip(variables, before, strict=True):
                variable.assign(tf.where(good & due, variable.read_value(), value))
            if self.updater.loss_scale is not None:
                self.updater.loss_scale.shrink(~good & due)
            return tf.where(good, sums, progress["sums"])

        after = self._counted(measured, progress, commit)
        return tf.nest.map_structure(lambda new, old: tf.where(due, new, old), after, dict(progress))

    def measure(self, update: tf.Tensor, drawn: Drawn) -> Measured:
        """Terms and gradients of update number ``update``; applies nothing."""
        scale = self.updater.scale()
        if self.gradients.accumulate == 1:
            total = self._sum(update, scale, self._buffers(), drawn.micro(0))
        else:
            total = self._accumulated(update, scale, drawn)
        return self.gradients.finish(total, scale)

    def _accumulated(self, update: tf.Tensor, scale: Any, drawn: Drawn) -> Measured:
        zeros = Measured(tf.zeros([len(self.names) - 1]),
                         [tf.zeros(v.shape, v.dtype) for v in self.gradients.variables], self._buffers())

        def one(micro: tf.Tensor, total: Measured) -> tuple[tf.Tensor, Measured]:
            part = self._sum(update, scale, total.buffers, drawn.micro(micro))
            added = [old + new for old, new in zip(total.gradients, part.gradients, strict=True)]
            return micro + 1, Measured(total.vector + part.vector, added, part.buffers)

        return tf.while_loop(lambda micro, _: micro < self.gradients.accumulate, one, [tf.constant(0), zeros])[1]

    def _buffers(self) -> list[tf.Tensor]:
        return [tf.convert_to_tensor(v.value) for v in self.gradients.outline.buffers]

    def _sum(self, update: tf.Tensor, scale: Any, buffers: Any, drawn: Drawn) -> Measured:
        part = self._replicas.run(self._share, update, scale, buffers, drawn)
        return Measured(self._replicas.mean([part.vector])[0], self._replicas.sum(part.gradients),
                        self._replicas.mean(part.buffers))

    def _share(self, update: tf.Tensor, scale: Any, buffers: Any, drawn: Drawn) -> Measured:
        # The weights are handed over: a function that reads variables by itself would begin only after all that was
        # assigned to any of them, and the updates of a cycle could not overlap.
        return self._gradients(update, scale, self.gradients.weights(), buffers, drawn)

    def _settle(self, measured: Measured, progress: Progress) -> Progress:
        """Apply the update if all of it is finite, and count."""
        def reject() -> tf.Tensor:
            if self.updater.loss_scale is not None:  # a spike shrinks it too, which is harmless
                self.updater.loss_scale.shrink()
            return progress["sums"]

        return self._counted(measured, progress, lambda good: tf.cond(
            good, lambda: self._commit(measured, progress), reject))

    def _counted(self, measured: Measured, progress: Progress, commit: Callable[[tf.Tensor], tf.Tensor]) -> Progress:
        """``progress`` after an update; ``commit(good)`` applies it if it is good, and gives the sums of its terms."""
        vector = measured.vector
        leaps = self._leaps(vector)
        good = _finite(vector) & ~leaps
        fault = ~good
        if self.updater.loss_scale is not None:  # gradients that overflow in float16 are no fault
            fault &= leaps | ~(_finite(vector[:-1]) & (self.updater.scale() > 1.0))
        streak = tf.where(fault, progress["streak"] + 1, tf.zeros_like(progress["streak"]))
        return {**progress,
                "position": progress["position"] + tf.cast(streak < self._limit, tf.int64), "streak": streak,
                "fault_at": tf.where(fault, progress["position"], progress["fault_at"]),
                "rejected": progress["rejected"] + tf.cast(~good, tf.int64),
                "sums": commit(good),
                "fault": tf.where(fault, vector, progress["fault"])}

    def _leaps(self, vector: tf.Tensor) -> tf.Tensor:
        """Whether the objective is a spike."""
        spikes = self.updater.spikes
        return tf.constant(False) if spikes is None else vector[0] > spikes.limit()

    def _commit(self, measured: Measured, progress: Progress) -> tf.Tensor:
        self.updater.commit(measured.gradients, measured.vector[0], measured.vector[-1], measured.buffers)
        return _added(progress["sums"], tf.cast(measured.vector, tf.float64))


def _added(sums: tf.Tensor, vector: tf.Tensor) -> tf.Tensor:
    """``sums`` [2, n] with ``vector`` [n] added: the rounded sums, and what the roundings left out (Knuth's TwoSum).

    Exact, so that a mean over many updates has the same bits however they were parted into calls.
    """
    high, low = tf.unstack(sums)
    total = high + vector
    added = total - high
    return tf.stack([total, low + ((high - (total - added)) + (vector - added))])


def _finite(vector: tf.Tensor) -> tf.Tensor:
    return tf.reduce_all(tf.math.is_finite(vector))
