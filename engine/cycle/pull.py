"""What a ``gradient=`` of an ``Update`` is handed: the update's terms, and gradients of any mixture of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from engine.cycle.batch import GlobalBatch
from engine.cycle.compute import Compute
from engine.cycle.inputs import Inputs
from engine.cycle.measured import Given, Measured

Gradients = list[tf.Tensor]


class Pull:
    """One update, whose gradient is still to be chosen. All is of the whole global batch.

    Attributes:
      terms: {name: mean} of all terms.
      factors: {name: factor in the objective} of those that are minimised.
      weights: What the phase moves; gradients come in this order. paths: Their names.
      state: The strategy's.
      update: Number of the update within its phase.
    """

    def __init__(self, compute: Compute, batch: GlobalBatch, given: Given, inputs: Inputs, measured: Measured) -> None:
        self.weights = compute.weights() if given.weights is None else given.weights
        self.paths = [v.path for v in compute.variables]
        self.terms: Mapping[str, tf.Tensor] = dict(zip(compute.names, tf.unstack(measured.vector, len(compute.names)),
                                                       strict=True))
        self.factors = compute.factors(given.update)
        self.state, self.update = given.state, given.update
        self._batch, self._given, self._inputs = batch, given, inputs

    def gradients(self, *objectives: Mapping[str, Any], at: Sequence[tf.Tensor] | None = None) -> list[Gradients]:
        """The gradient of each objective {term: factor}; none is the phase's own.

        Args:
          at: Other weights to take them at, in the order of ``weights``.
        """
        given = self._given if at is None else self._given._replace(weights=[tf.convert_to_tensor(w) for w in at])
        return self._batch.measured(given, self._inputs, objectives or (None,)).gradients
