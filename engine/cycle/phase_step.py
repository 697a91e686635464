"""One update of one phase, from its batch to its commit."""

from typing import Any

import tensorflow as tf

from engine.cycle.gradients import Measured, PhaseGradients
from engine.cycle.plan import Plan
from engine.cycle.replicas import Replicas
from engine.cycle.update import Updater

Progress = dict[str, tf.Tensor]  # what the loop carries of the run and of this phase


class PhaseStep:
    """One phase as the loop sees it: ``advance`` by one update.

    With one replica and no accumulation the whole update, health check and counting included, is one part
    for the plan to compile; otherwise gradients and commit are parts of their own, and what joins them is
    not compiled.

    Args:
      limit: Bad updates in a row at which the loop stops.
    """

    def __init__(self, gradients: PhaseGradients, updater: Updater, plan: Plan, replicas: Replicas,
                 limit: int) -> None:
        self.gradients, self.updater, self.phase, self.names = gradients, updater, gradients.phase, gradients.names
        self._replicas, self._limit = replicas, limit
        whole = replicas.count == 1 and gradients.accumulate == 1
        self._advance = plan.part(self._measure_and_settle) if whole else self._measure_and_settle
        self._gradients = gradients.gradients if whole else plan.part(gradients.gradients)
        self._commit = updater.commit if whole or replicas.count > 1 else plan.part(updater.commit)

    def examples(self, batch_size: int) -> list[int]:
        """For each name: how many examples of one update its mean is over; 1 for a scalar."""
        terms = self.gradients.outline.terms
        return [batch_size * self.gradients.accumulate if terms.get(name) else 1 for name in self.names]

    def advance(self, update: tf.Tensor, batch: tf.Tensor, progress: Progress, reader: Any) -> Progress:
        """Run update number ``update`` on batch number ``batch`` (int64 scalars); ``progress`` after it."""
        if self.gradients.accumulate == 1:
            return self._advance(update, progress, *self.gradients.draw(update, batch, 0, reader))
        return self._settle(self._accumulated(update, batch, reader), progress)

    def _measure_and_settle(self, update: tf.Tensor, progress: Progress, *drawn: Any) -> Progress:
        scale = self.updater.scale()
        measured = self.gradients.finish(self._sum(update, scale, self._buffers(), *drawn), scale)
        return self._settle(measured, progress)

    def _accumulated(self, update: tf.Tensor, batch: tf.Tensor, reader: Any) -> Measured:
        scale = self.updater.scale()
        zeros = Measured(tf.zeros([len(self.names) - 1]),
                         [tf.zeros(v.shape, v.dtype) for v in self.gradients.variables], self._buffers())

        def one(micro: tf.Tensor, total: Measured) -> tuple[tf.Tensor, Measured]:
            number = batch + tf.cast(micro, tf.int64) if self.phase.reads_batch else batch
            part = self._sum(update, scale, total.buffers, *self.gradients.draw(update, number, micro, reader))
            added = [old + new for old, new in zip(total.gradients, part.gradients, strict=True)]
            return micro + 1, Measured(total.vector + part.vector, added, part.buffers)

        _, total = tf.while_loop(lambda micro, _: micro < self.gradients.accumulate, one, [tf.constant(0), zeros])
        return self.gradients.finish(total, scale)

    def _buffers(self) -> list[tf.Tensor]:
        return [tf.convert_to_tensor(v.value) for v in self.gradients.outline.buffers]

    def _sum(self, update: tf.Tensor, scale: Any, buffers: Any, *drawn: Any) -> Measured:
        part = self._replicas.run(self._gradients, update, scale, buffers, *drawn)
        return Measured(self._replicas.mean([part.vector])[0], self._replicas.sum(part.gradients),
                        self._replicas.mean(part.buffers))

    def _settle(self, measured: Measured, progress: Progress) -> Progress:
        """Apply the update if all of it is finite, and count."""
        vector = measured.vector
        good = tf.reduce_all(tf.math.is_finite(vector))

        def commit() -> tf.Tensor:
            self._commit(measured.gradients, vector[-1], measured.buffers)
            return progress["sums"] + tf.cast(vector, tf.float64)

        def reject() -> tf.Tensor:
            if self.updater.loss_scale is not None:
                self.updater.loss_scale.shrink()
            return progress["sums"]

        fault = ~good
        if self.updater.loss_scale is not None:  # gradients that overflow in float16 are no fault
            fault &= ~(tf.reduce_all(tf.math.is_finite(vector[:-1])) & (self.updater.scale() > 1.0))
        streak = tf.where(fault, progress["streak"] + 1, tf.zeros_like(progress["streak"]))
        return {"position": progress["position"] + tf.cast(streak < self._limit, tf.int64), "streak": streak,
                "fault_at": tf.where(fault, progress["position"], progress["fault_at"]),
                "rejected": progress["rejected"] + tf.cast(~good, tf.int64),
                "sums": tf.cond(good, commit, reject),
                "fault": tf.where(fault, vector, progress["fault"])}
