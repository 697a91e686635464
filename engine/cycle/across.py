"""An update over all parts of its batch: this worker's, and by one sum those of the others."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from engine.cycle.batch import GlobalBatch
from engine.cycle.compute import Compute
from engine.cycle.division import Division
from engine.cycle.inputs import Inputs
from engine.cycle.measured import Given, Measured, Objective
from engine.cycle.shards import Shards


class Across:
    """Adds up what is computed of the parts.

    One sum over workers for an update: terms, statistics and gradients in one vector. One more before it where there is
    a ``Ratio``, whose weights must be known first, and one to gather what a phase passes on.

    Args:
      part: What computes one micro-batch of one part, of ``compute`` or its shards.
      accumulate: Micro-batches per update.
      compiled: Decorator that compiles a function as one unit.
    """

    def __init__(self, compute: Compute, part: Compute | Shards, division: Division, accumulate: int,
                 compiled: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        self._compute, self._division, self._phase = compute, division, compute.phase.name
        self._batch = GlobalBatch(compute, part, accumulate, compiled)
        self._of_ratio = accumulate * part.count * division.count

    def gradients(self, given: Given, inputs: Inputs, objectives: Sequence[Objective | None] = (None,)) -> Measured:
        """Means over the whole batch, and the gradients of ``objectives``, whose factors are traced in."""
        division = self._division
        parts = [division.inputs(inputs, number) for number in division.mine]
        if given.weights is None:
            given = given._replace(weights=self._compute.weights())
        if self._compute.traced.ratios:
            sums = in_pairs([self._batch.sums(given, part) for part in parts])
            sums = tf.reshape(division.workers.sum(tf.reshape(sums, [-1]), f"ratios of {self._phase}"), [-1, 2])
            given = given._replace(ratios=tf.pad(sums, [[0, 0], [0, 1]], constant_values=float(self._of_ratio)))
        # So that float16 overflows where it does for the whole batch: a part's mean is over fewer examples.
        given = given._replace(scale=given.scale / division.count)
        return self._joined([self._batch.gradients(given, part, objectives) for part in parts])

    def _joined(self, found: Sequence[Measured]) -> Measured:
        """What is known of the whole batch: means of terms and statistics; sums of gradients and of a ``Ratio``."""
        division, first = self._division, found[0]
        places = [place for place, value in enumerate(first.assigned) if value.dtype.is_floating]
        forms = [first.vector, first.totals, *(first.assigned[place] for place in places),
                 *(gradient for each in first.gradients for gradient in each)]
        flat = in_pairs([_flat([each.vector, each.totals, *(each.assigned[place] for place in places),
                                *(gradient for list_ in each.gradients for gradient in list_)]) for each in found])
        whole = iter(_parted(division.workers.sum(flat, f"update of {self._phase}"), forms))
        vector, totals = next(whole) / division.count, next(whole)
        assigned = list(first.assigned)  # whole numbers: the same everywhere
        for place in places:
            assigned[place] = next(whole) / tf.cast(division.count, assigned[place].dtype)
        gradients = [[next(whole) for _ in each] for each in first.gradients]
        return Measured(vector, totals, gradients, assigned, self._passes([each.passes for each in found]))

    def _passes(self, found: Sequence[dict[str, tf.Tensor]]) -> dict[str, tf.Tensor]:
        """In the order of the whole batch: micro-batch by micro-batch, of each part after part."""
        return {name: self._in_order(name, [each[name] for each in found]) for name in found[0]}

    def _in_order(self, name: str, parts: Sequence[tf.Tensor]) -> tf.Tensor:
        micros = self._batch.accumulate
        rows = parts[0].shape[0] // micros
        mine = tf.stack(parts)  # [mine, micros * rows, ...]
        every = self._division.workers.gathered(mine, f"{name} of {self._phase}")
        shape = every.shape[2:]
        apart = tf.reshape(every, [self._division.count, micros, rows, *shape])
        return tf.reshape(tf.experimental.numpy.swapaxes(apart, 0, 1), [self._division.count * micros * rows, *shape])


def in_pairs(values: Sequence[tf.Tensor]) -> tf.Tensor:
    """The sum of a power of two of tensors, of neighbours first."""
    while len(values) > 1:
        values = [low + high for low, high in zip(values[::2], values[1::2], strict=True)]
    return values[0]


def _flat(tensors: Sequence[tf.Tensor]) -> tf.Tensor:
    """All in one vector, of the widest of their types, at least float32."""
    wide = tf.float64 if any(tensor.dtype == tf.float64 for tensor in tensors) else tf.float32
    return tf.concat([tf.reshape(tf.cast(tensor, wide), [-1]) for tensor in tensors], axis=0)


def _parted(vector: tf.Tensor, forms: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    sizes = [int(np.prod(form.shape)) for form in forms]
    return [tf.cast(tf.reshape(part, form.shape), form.dtype)
            for part, form in zip(tf.split(vector, sizes), forms, strict=True)]
