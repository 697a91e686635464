"""What a ``gradient=`` of an ``Update`` is handed: the update's terms, and gradients of any mixture of them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from engine.cycle.compute import Compute
from engine.cycle.measured import Given, Measured, Objective
from engine.cycle.update import paths_of
from engine.errors import require
from engine.strategy import Phase

Gradients = list[tf.Tensor]
Again = Callable[[Given, Sequence[Objective | None]], Measured]  # the update, of other objectives


class Pull:
    """One update, whose gradient is still to be chosen. All is of the whole global batch.

    Attributes:
      terms: {name: mean} of all terms.
      factors: {name: factor in the objective} of those that are minimised.
      weights: What the phase moves; gradients come in this order. paths: Their names, as patterns of ``Update`` match.
      state: The strategy's.
      update: Number of the update within its phase.
    """

    def __init__(self, compute: Compute, measured: Measured, given: Given, again: Again) -> None:
        self.weights = compute.weights() if given.weights is None else given.weights
        named = paths_of(compute.phase, compute.nets)
        self.paths = [named[id(v)] for v in compute.variables]
        self.terms: Mapping[str, tf.Tensor] = dict(zip(compute.names, tf.unstack(measured.vector, len(compute.names)),
                                                       strict=True))
        self.factors = compute.factors(given.update)
        self.state, self.update = given.state, given.update
        self._again, self._given, self._own = again, given, measured.gradients

    def gradients(self, *objectives: Mapping[str, Any], at: Sequence[tf.Tensor] | None = None) -> list[Gradients]:
        """The gradient of each objective {term: factor}; none is the phase's own.

        Args:
          at: Other weights to take them at, in the order of ``weights``.

        Raises:
          Invalid: A term that there is not, or another number of weights.
        """
        for objective in objectives:
            require(objective, "objective", objective, "of at least one term")
            for name in objective:
                require(name in self.terms and name != "objective", "objective", name,
                        f"of terms: {', '.join(name for name in self.terms if name != 'objective')}")
        require(at is None or len(at) == len(self.weights), "at", f"{len(at or [])} tensors",
                f"{len(self.weights)}, in the order of weights")
        given = self._given if at is None else self._given._replace(weights=[tf.convert_to_tensor(w) for w in at])
        found = self._own if not objectives and at is None else self._again(given, objectives or (None,)).gradients
        if isinstance(given.scale, float):
            return found
        return [[gradient / given.scale for gradient in each] for each in found]  # float16: computed scaled


def chosen(function: Callable[[Pull], Any], pull: Pull, phase: Phase) -> Gradients:
    """What the ``gradient=`` of an ``Update`` gives. Raises ``Invalid`` for what is no gradient."""
    name, found = f"gradient of phase {phase.name}", function(pull)
    require(isinstance(found, list | tuple) and len(found) == len(pull.weights), name,
            f"{len(found)} tensors" if isinstance(found, list | tuple) else found,
            f"a list of {len(pull.weights)} tensors, one for each of pull.weights")
    for path, gradient, weight in zip(pull.paths, found, pull.weights, strict=True):
        require(gradient is not None and not isinstance(gradient, list | tuple), f"{name}, {path}", gradient,
                "a tensor; pull.gradients gives a list of gradients for each objective")
        require(tuple(tf.convert_to_tensor(gradient).shape) == tuple(weight.shape), f"{name}, {path}",
                f"shape {list(tf.convert_to_tensor(gradient).shape)}", f"of shape {list(weight.shape)}")
    return [tf.convert_to_tensor(gradient) for gradient in found]
