"""What an update is computed from, and what is known of it before it is applied."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import tensorflow as tf

Objective = Mapping[str, Any]  # {term: its factor}


class Given(NamedTuple):
    """What an update is computed from, beside its inputs.

    Attributes:
      update: Its number within the phase; int64.
      scale: Factor of the objective.
      weights: Values of the trained variables; None: what they are now. assigned: Values of those that the forward pass
        assigns.
      state: The strategy's.
      ratios: [R, 3]: of each ``Ratio`` the sums of values and of weights over the whole batch, and the number of its
        parts; None if this is the whole.
    """

    update: tf.Tensor
    scale: tf.Tensor | float
    weights: list[tf.Tensor] | None
    assigned: list[tf.Tensor]
    state: dict[str, tf.Tensor]
    ratios: tf.Tensor | None = None


class Measured(NamedTuple):
    """What is known of an update, or of a part of its batch, before it is applied.

    Attributes:
      vector: [n] float32: means of all terms, first the objective.
      totals: [R, 2]: of each ``Ratio`` the sums of values and of weights.
      gradients: One list per objective, with a tensor for each trained variable.
      assigned: New values of what the forward pass assigns.
      passes: {name: [B, ...]}: results that are handed on.
    """

    vector: tf.Tensor
    totals: tf.Tensor
    gradients: list[list[tf.Tensor]]
    assigned: list[tf.Tensor]
    passes: dict[str, tf.Tensor]
