"""Other weights for a net: where a loss takes a step of its own, as in MAML or sharpness-aware minimisation."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from engine.cycle.keras_internals import current_scope
from engine.errors import require


class Scope(keras.StatelessScope):
    """Hands variables their values, and keeps what is assigned to them. Nothing is changed outside.

    Args:
      values: (variable, value) pairs.
      tape: Tape that watches what is assigned to a trained variable: that is a new leaf, cut off from the value before.
      trained: Variables whose gradient is wanted.

    Attributes:
      assigned: Variables that were assigned, in the order of their first assignment.
      leaves: {id of a trained variable: the values that a gradient may reach}.
      unbuilt: Nets without weights whose weights were asked for.
    """

    def __init__(self, values: Iterable[tuple[Any, tf.Tensor]] = (), tape: Any = None, trained: Sequence[Any] = ()
                 ) -> None:
        super().__init__(collect_losses=True)
        self.state_mapping = {id(variable): value for variable, value in values}
        self.assigned: list[Any] = []
        self.unbuilt: list[Any] = []
        self.leaves = {id(v): [self.state_mapping[id(v)]] for v in trained}
        self.tape = tape

    def add_update(self, update: tuple[Any, tf.Tensor]) -> None:
        variable, value = update
        if not any(v is variable for v in self.assigned):
            self.assigned.append(variable)
        if self.tape is not None and id(variable) in self.leaves:
            value = tf.stop_gradient(value)
            self.tape.watch(value)
            self.leaves[id(variable)].append(value)
        super().add_update((variable, value))


class _At(keras.StatelessScope):
    """Other values for some variables; what is assigned to the others goes to the scope around."""

    def __init__(self, values: Iterable[tuple[Any, tf.Tensor]], outer: Any) -> None:
        super().__init__(collect_losses=outer.collect_losses, initialize_variables=outer.initialize_variables)
        self.state_mapping = {id(variable): value for variable, value in values}
        self.losses, self._outer = outer.losses, outer

    def add_update(self, update: tuple[Any, tf.Tensor]) -> None:
        if id(update[0]) in self.state_mapping:
            super().add_update(update)
        else:
            self._outer.add_update(update)

    def get_current_value(self, variable: Any) -> Any:
        value = self.state_mapping.get(id(variable))
        return self._outer.get_current_value(variable) if value is None else value


def weights_of(net: Any) -> list[tf.Tensor]:
    """The trainable weights of ``net`` as tensors: inside a loss those that the update is computed at."""
    if not net.built and isinstance(scope := current_scope(), Scope):
        scope.unbuilt.append(net)
    return [tf.convert_to_tensor(v.value) for v in net.trainable_variables]


@contextmanager
def at(net: Any, weights: Sequence[Any]) -> Iterator[None]:
    """Inside, ``net`` has other ``weights``, in the order of ``weights_of``.

    Statistics of batch normalisation and the seeds of dropout go on as they do without it; gradients reach ``weights``.

    Raises:
      Invalid: Another number of weights.
    """
    variables = net.trainable_variables
    if isinstance(scope := current_scope(), Scope) and any(each is net for each in scope.unbuilt):
        weights = weights_of(net)  # a first trace, that builds the net
    require(len(weights) == len(variables), "weights", f"{len(weights)} tensors",
            f"{len(variables)} as weights_of gives")
    values = [(v, tf.convert_to_tensor(weight)) for v, weight in zip(variables, weights, strict=True)]
    with replaced(values):
        yield


@contextmanager
def replaced(values: Sequence[tuple[Any, tf.Tensor]]) -> Iterator[None]:
    """Inside, the variables have these values."""
    outer = current_scope()
    if outer is not None:
        with _At(values, outer):
            yield
        return
    with Scope() as around, _At(values, around):  # no training around: as if there were none
        yield
    for variable in around.assigned:
        variable.assign(around.get_current_value(variable))
