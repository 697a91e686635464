"""State that the engine does not know: it would be the same at every update, or lost when a run is continued."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import tensorflow as tf

from engine.cycle.keras_internals import every_operation, graph, handles, layers_of, outermost, weights_of_layer
from engine.cycle.keras_layers import can_be_whole
from engine.errors import Invalid, require
from engine.strategy import Nets

STATE = "state of the strategy, which is saved and checked: LossStrategy.state(), and Phase(after=...) for new values"
RANDOM = re.compile("Random|Multinomial|TruncatedNormal|Rng|Stateful(Standard|Uniform)")  # in names of operations
ASSIGNING = ("Assign", "Resource", "LookupTable", "Rng")  # at their beginning, of a resource


def refuse_foreign_variables(variables: Iterable[Any], nets: Nets, place: str) -> None:
    """Raises ``Invalid`` for a Keras variable that a loss reads or assigns and that belongs to no net."""
    known = {id(v) for net in nets.values() for v in net.variables}
    for variable in variables:
        if id(variable) in known:
            continue
        if variable.name == "seed_generator_state":
            raise Invalid(f"`{variable.path}` (of {place}) must be of a layer in one of the nets: a dropout or a "
                          "keras.random call outside of them draws the same numbers at every update; draw by `noise`")
        raise Invalid(f"`{variable.path}` (a variable that {place} uses) must belong to one of the nets of the "
                      f"Trainer, even if no phase updates it, or be {STATE}")


def refuse_hidden_state(traced: Any, nets: Nets, place: str) -> None:
    """Raises ``Invalid`` for random operations, assignments and hidden reads of variables in a traced loss."""
    captured = {tensor.name: outer for outer, tensor in traced.captures}
    for operation in every_operation(traced):
        kind = operation.type
        if not operation.op_def.is_stateful:
            continue
        require(not RANDOM.search(kind), f"{place}", f"the random operation {kind}",
                "without: it draws other numbers in a continued run; draw by `noise`")
        if _assigns(operation):
            raise Invalid(f"`{_named(operation, captured, traced)}` (a variable that {place} assigns) must be {STATE}")
    by_handle = {id(each): v for net in nets.values() for v in net.variables for each in handles(v)}
    for outer in captured.values():
        if id(outer) in by_handle:
            raise Invalid(f"`{by_handle[id(outer)].path}` (of {place}) must not be read inside a keras.StatelessScope: "
                          "that hides seeds and statistics; write `with engine.at(net, weights):`")


def refuse_in_loop(traced: Any, known: Iterable[Any]) -> None:
    """The same of the compiled loop: what a ``gradient=``, ``when=``, weight or average of a user's own does.

    Args:
      known: All variables that the engine saves.
    """
    saved = {id(each) for v in known for each in handles(v)}
    for operation in every_operation(traced):
        if not operation.op_def.is_stateful:
            continue
        require(not RANDOM.search(operation.type), "a function of the run", f"the random operation {operation.type}",
                "without: it draws other numbers in a continued run")
        if _assigns(operation):
            outer = outermost(operation.inputs[0])
            require(outer is None or id(outer) in saved, "a function of the run",
                    f"a tf.Variable, by {operation.type}", f"without assignments, or keep {STATE}")


def refuse_averaged_state(assigned: Iterable[Any], nets: Nets, place: str) -> None:
    """Raises ``Invalid`` for what a layer of a user's own assigns: on several workers it would be averaged."""
    own = {id(v): v for net in nets.values() for layer in layers_of(net)
           if not (type(layer).__module__.startswith("keras.") or can_be_whole(layer))
           for v in weights_of_layer(layer)}
    for variable in assigned:
        require(id(variable) not in own, variable.path, f"assigned in {place} on several workers",
                f"{STATE}: workers' values would be averaged")


def refuse_hidden_slots(optimizer: Any, variables: Sequence[Any]) -> None:
    """Raises ``Invalid`` for an optimizer of a user's own that assigns what is not among its ``variables``."""
    if type(optimizer).__module__.startswith("keras."):
        return
    traced = graph("optimizer")
    with traced.as_default():
        optimizer.apply([tf.raw_ops.Placeholder(dtype=v.dtype, shape=v.shape) for v in variables], variables)
    known = {id(each) for v in [*variables, *optimizer.variables] for each in handles(v)}
    captured = {tensor.name: outer for outer, tensor in traced.captures}
    for operation in every_operation(traced):
        if operation.op_def.is_stateful and _assigns(operation):
            outer = captured.get(operation.inputs[0].name)
            require(outer is None or id(outer) in known, f"optimizer {optimizer.name}", _named(
                operation, captured, traced), "without variables of its own but those of add_variable: others are "
                "neither saved nor put back")


def _assigns(operation: Any) -> bool:
    return bool(operation.type.startswith(ASSIGNING) and operation.inputs and "Gather" not in operation.type
                and operation.inputs[0].dtype.name == "resource")


def _named(operation: Any, captured: dict[str, Any], traced: Any) -> str:
    """The variable that an operation assigns, if it has a name; else the operation."""
    outer = captured.get(operation.inputs[0].name)
    names = [str(variable.name) for variable in traced.variables if getattr(variable, "handle", None) is outer]
    return names[0] if names else f"tf.Variable, by {operation.type}"
