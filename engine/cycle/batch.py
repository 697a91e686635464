"""The batch of an update, or a part of it, in micro-batches: one after the other."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from engine.cycle.compute import Compute
from engine.cycle.inputs import Inputs
from engine.cycle.measured import Given, Measured, Objective
from engine.cycle.shards import Shards


class GlobalBatch:
    """Adds up what is computed of the parts.

    Args:
      part: What computes one micro-batch, of ``compute`` or its shards.
      accumulate: Micro-batches per update.
      compiled: Decorator that compiles a function as one unit.
    """

    def __init__(self, compute: Compute, part: Compute | Shards, accumulate: int,
                 compiled: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        self._compute, self._part, self.accumulate = compute, part, accumulate
        self._compile, self._sums = compiled, compiled(part.sums)
        self._gradients = compiled(part.gradients)

    def gradients(self, given: Given, inputs: Inputs, objectives: Sequence[Objective | None] = (None,)) -> Measured:
        """Means over the whole batch, and the gradients of ``objectives``, whose factors are traced in."""
        if given.weights is None:
            given = given._replace(weights=self._compute.weights())
        if self._compute.traced.ratios and given.ratios is None:
            parts = float(self.accumulate * self._part.count)
            given = given._replace(ratios=tf.pad(self.sums(given, inputs), [[0, 0], [0, 1]], constant_values=parts))
        one = self._gradients if tuple(objectives) == (None,) else self._compile(
            lambda given, inputs: self._part.gradients(given, inputs, objectives))
        if self.accumulate == 1:
            found: Measured = one(given, inputs.micro(0))
            return found
        return self._accumulated(one, given, inputs, len(objectives))

    def _accumulated(self, gradients: Callable[..., Any], given: Given, inputs: Inputs, objectives: int) -> Measured:
        compute, n = self._compute, self.accumulate
        zeros = [[tf.zeros(v.shape, v.dtype) for v in compute.variables] for _ in range(objectives)]
        start = Measured(tf.zeros([len(compute.names)]), tf.zeros([len(compute.traced.ratios), 2]), zeros,
                         given.assigned, {})
        forms = {name: (compute.traced.shapes[name][0] // compute.parts, *compute.traced.shapes[name][1:])
                 for name in compute.phase.passes}
        arrays = {name: tf.TensorArray(compute.traced.dtypes[name], n, element_shape=shape)
                  for name, shape in forms.items()}

        def one(micro: tf.Tensor, total: Measured, arrays: dict[str, Any]) -> Any:
            part = gradients(given._replace(assigned=total.assigned), inputs.micro(micro))
            vector, totals, each = tf.nest.map_structure(lambda old, new: old + new, total[:3], part[:3])
            arrays = {name: array.write(micro, part.passes[name]) for name, array in arrays.items()}
            return micro + 1, Measured(vector, totals, each, part.assigned, {}), arrays

        _, total, arrays = tf.while_loop(lambda micro, *_: micro < n, one, [tf.constant(0), start, arrays])
        passes = {name: tf.reshape(array.stack(), [n * forms[name][0], *forms[name][1:]])
                  for name, array in arrays.items()}
        mean = [[gradient / n for gradient in each] for each in total.gradients]
        return Measured(total.vector / n, total.totals, mean, total.assigned, passes)

    def sums(self, given: Given, inputs: Inputs) -> tf.Tensor:
        """[R, 2]: of each ``Ratio`` the sums of values and of weights."""
        if self.accumulate == 1:
            found: tf.Tensor = self._sums(given, inputs.micro(0))
            return found
        zeros = tf.zeros([len(self._compute.traced.ratios), 2])

        def one(micro: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return micro + 1, total + self._sums(given, inputs.micro(micro))

        found = tf.while_loop(lambda micro, _: micro < self.accumulate, one, [tf.constant(0), zeros])[1]
        return found
