"""Keras optimizers as the engine applies them: built once for all phases that share them, one kernel for Adam."""

from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from engine.cycle import adam
from engine.cycle.keras_internals import variables_built_for
from engine.cycle.refusals import refuse_hidden_slots
from engine.cycle.update import Group
from engine.cycle.variables import once
from engine.errors import require
from engine.strategy import Nets

# Those whose step is bounded by the rate and the gradient, so that finite weights of a common size stay finite.
BOUNDED = (keras.optimizers.SGD, keras.optimizers.Adam, keras.optimizers.AdamW, keras.optimizers.RMSprop,
           keras.optimizers.Adagrad, keras.optimizers.Adamax, keras.optimizers.Nadam, keras.optimizers.Adadelta,
           keras.optimizers.Lion)
LARGEST_RATE, LARGEST_NORM = 1e6, 1e12
LARGEST_WEIGHT = 1e30  # far from the end of float32, at 3e38, and from any weight of use


def build(groups: Iterable[Group]) -> None:
    """Make the slots of every optimizer, for the variables of all its groups.

    Raises:
      Invalid: An optimizer that has moved variables, or was built for others.
    """
    found: dict[int, Group] = {}
    for optimizer, variables in groups:
        found.setdefault(id(optimizer), (optimizer, []))[1].extend(variables)
    for optimizer, variables in found.values():
        variables = once(variables)
        _check_new(optimizer, variables)
        optimizer.build(variables)
        refuse_hidden_slots(optimizer, variables)


def apply(group: Group, gradients: Sequence[tf.Tensor]) -> None:
    """One update of the group's variables."""
    optimizer, variables = group
    if adam.suits(optimizer, variables):
        adam.apply(optimizer, gradients, variables)
    else:
        optimizer.apply(gradients, variables)


def is_bounded(group: Group) -> bool:
    """Whether weights below ``LARGEST_WEIGHT`` are finite after an update that ``is_calm``."""
    optimizer, variables = group
    return type(optimizer) in BOUNDED and all(v.dtype == "float32" and v.constraint is None for v in variables)


def is_calm(group: Group, norm: tf.Tensor) -> tf.Tensor:
    """Whether the rate and the gradients' norm are such that no weight can overflow in one update."""
    optimizer, _ = group
    rate = tf.cast(optimizer.learning_rate, tf.float32)
    calm = (rate >= 0.0) & (rate < LARGEST_RATE) & (norm < LARGEST_NORM)
    return calm if not optimizer.weight_decay else calm & (rate * optimizer.weight_decay <= 1.0)


def check_weights(nets: Nets) -> None:
    """Raises ``Invalid`` for a weight that is not finite, or too large for ``is_calm`` to hold."""
    for name, net in nets.items():
        for v in net.variables:
            value = np.asarray(tf.convert_to_tensor(v.value))
            if value.dtype.kind == "f":
                require(bool(np.all(np.abs(value) < LARGEST_WEIGHT)), f"{v.path} of net {name}",
                        float(np.abs(value).max()), f"finite, and below {LARGEST_WEIGHT:g}")


def _check_new(optimizer: Any, variables: Sequence[Any]) -> None:
    count = int(tf.convert_to_tensor(optimizer.iterations.value))
    require(not count, "optimizer", f"{optimizer.name}, {count} updates",
            "new: it goes on from its own moments of another training")
    own = {id(v) for v in variables_built_for(optimizer)}
    require(not own or own == {id(v) for v in variables}, "optimizer", optimizer.name,
            "new: it was made ready for the variables of another training")
