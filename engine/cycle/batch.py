"""The global batch of an update, taken apart: its micro-batches one after the other, each on all replicas."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from engine.cycle.compute import Compute
from engine.cycle.inputs import Inputs
from engine.cycle.measured import Given, Measured, Objective
from engine.cycle.replicas import Replicas
from engine.cycle.shards import Shards


class GlobalBatch:
    """Adds up what is computed of the parts.

    Args:
      part: What computes one micro-batch in a replica, of ``compute`` or its shards.
      accumulate: Micro-batches per update.
      compiled: Decorator that compiles a function as one unit.
    """

    def __init__(self, compute: Compute, part: Compute | Shards, replicas: Replicas, accumulate: int,
                 compiled: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        self._compute, self._part, self._replicas, self._accumulate = compute, part, replicas, accumulate
        self._compile, self._sums = compiled, compiled(part.sums)
        self._gradients = compiled(part.gradients)

    def gradients(self, given: Given, inputs: Inputs, objectives: Sequence[Objective | None] = (None,)) -> Measured:
        """Means over the whole batch, and the gradients of ``objectives``, whose factors are traced in."""
        if self._compute.traced.ratios:
            given = given._replace(ratios=self._ratios(given, inputs))
        one = self._gradients if tuple(objectives) == (None,) else self._compile(
            lambda given, inputs: self._part.gradients(given, inputs, objectives))
        if self._accumulate == 1:
            return self._reduced(one, given, inputs.micro(0))
        return self._accumulated(one, given, inputs, len(objectives))

    def _accumulated(self, gradients: Callable[..., Any], given: Given, inputs: Inputs, objectives: int) -> Measured:
        compute, n = self._compute, self._accumulate
        zeros = [[tf.zeros(v.shape, v.dtype) for v in compute.variables] for _ in range(objectives)]
        start = Measured(tf.zeros([len(compute.names)]), tf.zeros([len(compute.traced.ratios), 2]), zeros,
                         given.assigned, {})
        forms = {name: compute.traced.shapes[name] for name in compute.phase.passes}
        arrays = {name: tf.TensorArray(compute.traced.dtypes[name], n, element_shape=shape)
                  for name, shape in forms.items()}

        def one(micro: tf.Tensor, total: Measured, arrays: dict[str, Any]) -> Any:
            part = self._reduced(gradients, given._replace(assigned=total.assigned), inputs.micro(micro))
            vector, totals, each = tf.nest.map_structure(lambda old, new: old + new, total[:3], part[:3])
            arrays = {name: array.write(micro, part.passes[name]) for name, array in arrays.items()}
            return micro + 1, Measured(vector, totals, each, part.assigned, {}), arrays

        _, total, arrays = tf.while_loop(lambda micro, *_: micro < n, one, [tf.constant(0), start, arrays])
        passes = {name: tf.reshape(array.stack(), [n * forms[name][0], *forms[name][1:]])
                  for name, array in arrays.items()}
        mean = [[gradient / n for gradient in each] for each in total.gradients]
        return Measured(total.vector / n, total.totals, mean, total.assigned, passes)

    def _reduced(self, gradients: Callable[..., Any], given: Given, inputs: Inputs) -> Measured:
        def mine(given: Given, inputs: Inputs) -> Measured:
            # The replica's own copies of the weights.
            weights = self._compute.weights() if given.weights is None else given.weights
            measured: Measured = gradients(given._replace(weights=weights), self._replicas.inputs(inputs))
            return measured

        found = self._replicas.run(mine, given, inputs)
        return Measured(self._replicas.mean([found.vector])[0], self._replicas.sum([found.totals])[0],
                        [self._replicas.sum(each) for each in found.gradients], self._replicas.mean(found.assigned),
                        {name: self._replicas.gathered(each) for name, each in found.passes.items()})

    def _ratios(self, given: Given, inputs: Inputs) -> tf.Tensor:
        """[R, 3]: see ``Given``."""
        def mine(given: Given, inputs: Inputs) -> Any:
            return self._sums(given, self._replicas.inputs(inputs))

        def of(micro: tf.Tensor | int) -> tf.Tensor:
            return self._replicas.sum([self._replicas.run(mine, given, inputs.micro(micro))])[0]

        zeros = tf.zeros([len(self._compute.traced.ratios), 2])
        total = of(0) if self._accumulate == 1 else tf.while_loop(
            lambda micro, _: micro < self._accumulate, lambda micro, total: (micro + 1, total + of(micro)),
            [tf.constant(0), zeros])[1]
        parts = self._accumulate * self._replicas.count * self._part.count
        return tf.pad(total, [[0, 0], [0, 1]], constant_values=float(parts))
