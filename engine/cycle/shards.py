"""A batch in two shards, computed side by side.

XLA on CPUs runs one product after the other on one thread; those of two shards it runs on two.
"""

from collections.abc import Sequence

import tensorflow as tf

from engine.cycle.compute import Compute
from engine.cycle.division import Division
from engine.cycle.inputs import Inputs
from engine.cycle.measured import Given, Measured, Objective
from engine.cycle.terms import Form


def can_be_sharded(compute: Compute, division: Division, loops: bool = True) -> bool:
    """Whether shards give what the whole gives: no example sees another.

    Args:
      loops: Whether a loss with loops counts, too. They share memory: under XLA two of 50 % of the work one after the
        other take longer than one.
    """
    return (not division.exact and is_independent(compute, division.count)
            and (loops or not compute.traced.loops))


def is_independent(compute: Compute, parts: int) -> bool:
    """Whether each of so many parts of the batch has an even number of examples, none of which sees another."""
    traced, reads = compute.traced, compute.reads
    sizes = [reads.examples, *reads.sizes.values()]
    return (compute.phase.separable and not traced.assigned and not traced.whole
            and Form.SCALAR not in traced.terms.values() and not any(size // parts % 2 for size in sizes))


class Shards:
    """What ``Compute`` gives, of two shards of the batch."""

    count = 2

    def __init__(self, compute: Compute) -> None:
        self._shard = compute.of_part(self.count)

    def gradients(self, given: Given, inputs: Inputs, objectives: Sequence[Objective | None] = (None,)) -> Measured:
        """As ``Compute.gradients``."""
        found: Measured = self._shard.buckets.choose(inputs, lambda inputs: self._added(given, inputs, objectives))
        return found

    def sums(self, given: Given, inputs: Inputs) -> tf.Tensor:
        """As ``Compute.sums``."""
        found: tf.Tensor = self._shard.buckets.choose(inputs, lambda inputs: self._sums(given, inputs))
        return found

    def _added(self, given: Given, inputs: Inputs, objectives: Sequence[Objective | None]) -> Measured:
        if self._shard.traced.ratios and given.ratios is None:
            given = given._replace(ratios=tf.pad(self._sums(given, inputs), [[0, 0], [0, 1]],
                                                 constant_values=float(self.count)))
        found = [self._shard.gradients(given, self.part(inputs, shard), objectives, cut=True)
                 for shard in range(self.count)]
        gradients = [[tf.add_n(each) / self.count for each in zip(*lists, strict=True)]
                     for lists in zip(*(part.gradients for part in found), strict=True)]
        return Measured(tf.add_n([part.vector for part in found]) / self.count,
                        tf.add_n([part.totals for part in found]), gradients, list(given.assigned),
                        tf.nest.map_structure(lambda *each: tf.concat(each, axis=0), *(p.passes for p in found)))

    def _sums(self, given: Given, inputs: Inputs) -> tf.Tensor:
        return tf.add_n([self._shard.sums(given, self.part(inputs, shard), cut=True) for shard in range(self.count)])

    def part(self, inputs: Inputs, number: int) -> Inputs:
        """An equal part of the examples, with seeds of its own."""
        def part(tensor: tf.Tensor) -> tf.Tensor:
            size = tensor.shape[0] // self.count
            return tensor[number * size:(number + 1) * size]

        raw, data, loss = tf.nest.map_structure(part, (inputs.raw, inputs.data, inputs.loss))
        return Inputs(raw, data, loss, inputs.seeds + number)
