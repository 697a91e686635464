"""What a ``gradient=`` of an ``Update`` is handed: the update's terms, and gradients of any mixture of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from engine.cycle.batch import GlobalBatch
from engine.cycle.compute import Compute
from engine.cycle.inputs import Inputs
from engine.cycle.measured import Given, Measured
from engine.cycle.update import paths_of
from engine.errors import require

Gradients = list[tf.Tensor]


class Pull:
    """One update, whose gradient is still to be chosen. All is of the whole global batch.

    Attributes:
      terms: {name: mean} of all terms.
      factors: {name: factor in the objective} of those that are minimised.
      weights: What the phase moves; gradients come in this order. paths: Their names, as patterns of ``Update`` match.
      state: The strategy's.
      update: Number of the update within its phase.
    """

    def __init__(self, compute: Compute, batch: GlobalBatch, given: Given, inputs: Inputs, measured: Measured) -> None:
        self.weights = compute.weights() if given.weights is None else given.weights
        named = paths_of(compute.phase, compute.nets)
        self.paths = [named[id(v)] for v in compute.variables]
        self.terms: Mapping[str, tf.Tensor] = dict(zip(compute.names, tf.unstack(measured.vector, len(compute.names)),
                                                       strict=True))
        self.factors = compute.factors(given.update)
        self.state, self.update = given.state, given.update
        self._batch, self._given, self._inputs, self._own = batch, given, inputs, measured.gradients

    def gradients(self, *objectives: Mapping[str, Any], at: Sequence[tf.Tensor] | None = None) -> list[Gradients]:
        """The gradient of each objective {term: factor}; none is the phase's own.

        Args:
          at: Other weights to take them at, in the order of ``weights``.

        Raises:
          Invalid: for a term that there is not, or another number of weights.
        """
        for objective in objectives:
            require(objective, "objective", objective, "of at least one term")
            for name in objective:
                require(name in self.terms and name != "objective", "objective", name,
                        f"of terms: {', '.join(name for name in self.terms if name != 'objective')}")
        require(at is None or len(at) == len(self.weights), "at", f"{len(at or [])} tensors",
                f"{len(self.weights)}, in the order of weights")
        given = self._given if at is None else self._given._replace(weights=[tf.convert_to_tensor(w) for w in at])
        found = self._own if not objectives and at is None else (
            self._batch.measured(given, self._inputs, objectives or (None,)).gradients)
        if isinstance(given.scale, float):
            return found
        return [[gradient / given.scale for gradient in each] for each in found]  # float16: computed scaled
