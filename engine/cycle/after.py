"""What a phase's ``after`` does, found by tracing it once without running it."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from engine.cycle.converted import converted
from engine.cycle.refusals import refuse_foreign_variables, refuse_hidden_state
from engine.cycle.symbolic import Specs, placeholder, tracing
from engine.errors import require
from engine.strategy import Nets, Phase


def trace_after(phase: Phase, nets: Nets, seen: Specs, state: Specs) -> list[Any]:
    """Trace ``phase.after``; the variables that it reads.

    Raises:
      Invalid: Values that are no state, or of another shape or dtype; a layer with state of its own.
    """
    assert phase.after is not None
    place = f"after of phase {phase.name}"
    require(state, place, "a function", "with a state: LossStrategy.state() names its values")
    with tracing(place) as (scope, traced), scope.tape:
        given, had = ({name: placeholder(spec) for name, spec in specs.items()} for specs in (seen, state))
        values = converted(phase.after, nets.values())(nets, had, given)
        require(isinstance(values, Mapping), f"result of {place}", values, "a dict {name: new value}")
        for name, value in values.items():
            require(name in state, f"result of {place}", name, f"one of the state: {', '.join(state)}")
            tensor = tf.convert_to_tensor(value)
            require(tuple(tensor.shape) == tuple(state[name].shape) and tensor.dtype == state[name].dtype,
                    f"{name} {place}", f"{tensor.dtype.name}{list(tensor.shape)}",
                    f"{state[name].dtype.name}{list(state[name].shape)}, as in state()")
    require(not scope.assigned, place, [v.path for v in scope.assigned], "without layers that assign variables")
    refuse_foreign_variables(scope.read, nets, place)
    refuse_hidden_state(traced, nets, place)
    return scope.read
