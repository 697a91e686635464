"""Where AutoGraph reads: users' losses, transforms and schedules, whose ``if`` and ``while`` on tensors become graph.

The house's own code has none of these (``nets.Branching`` asks for AutoGraph itself), and reading it took most of the
time of a trace: 1.9 of 2.8 s for a VAE, from its outline to the compiled loop.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from types import FunctionType, MethodType
from typing import Any

import tensorflow as tf

from engine.cycle.keras_internals import autograph
from engine.errors import Invalid

HOUSE = {"engine", "losses", "nets"}  # packages without Python's control flow on tensors


def converted(function: Callable[..., Any], calls: Iterable[Any] = ()) -> Callable[..., Any]:
    """``function`` as a graph calls it: read by AutoGraph, unless it and the objects that it ``calls`` are the house's.

    Called eagerly, it is ``function`` itself.
    """
    if _is_ours(function) and all(_from_house(type(each)) for each in calls):
        return function
    read = autograph(function)

    def call(*args: Any) -> Any:
        if tf.executing_eagerly():
            return function(*args)
        try:
            return read(*args)
        except Exception as error:
            if isinstance(error.__context__, Invalid):  # AutoGraph wraps it in many lines
                raise error.__context__ from None
            raise

    return call


def as_loss(function: Callable[..., Any], nets: Mapping[str, Any]) -> Callable[..., Any]:
    """``loss(nets, batch, noise, state)`` of a user's ``loss``, which need not take the last.

    A fourth argument that has a default of its own is no state.
    """
    parameters = list(inspect.signature(function).parameters.values())[3:4]
    fourth = any(each.kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
                 and (each.default is inspect.Parameter.empty or each.name == "state") for each in parameters)
    read = converted(function, nets.values())
    if fourth:
        return read
    return lambda nets, batch, noise, state: read(nets, batch, noise)


def _is_ours(function: Callable[..., Any]) -> bool:
    """Whether ``function`` is a function of the house, or a method of an object of the house."""
    if isinstance(function, MethodType):
        return _from_house(function.__func__) and _from_house(type(function.__self__))
    return isinstance(function, FunctionType) and _from_house(function)


def _from_house(thing: Any) -> bool:
    return str(thing.__module__).partition(".")[0] in HOUSE
