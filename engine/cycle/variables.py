"""The variables of nets, each once."""

from collections.abc import Iterable
from typing import Any

from engine.strategy import Nets, Phase


def trainable(phase: Phase, nets: Nets) -> list[Any]:
    """The trainable variables of the nets that ``phase`` updates, each once."""
    return once(variable for name in phase.updates for variable in nets[name].trainable_variables)


def seed_states(nets: Nets) -> list[Any]:
    """The states of all Keras ``SeedGenerator``s (Dropout ...) in the nets, each once."""
    return once(v for net in nets.values() for v in net.variables if v.name == "seed_generator_state")


def once(variables: Iterable[Any]) -> list[Any]:
    """The variables, each in its first place alone."""
    return list({id(variable): variable for variable in variables}.values())
