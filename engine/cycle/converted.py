"""Where AutoGraph reads: users' losses, transforms and schedules, whose ``if`` and ``while`` on tensors become graph.

The house's own code has none of these (``nets.Branching`` asks for AutoGraph itself), and reading it took most of the
time of a trace: 1.9 of 2.8 s for a VAE, from its outline to the compiled loop.
"""

from collections.abc import Callable, Iterable
from types import FunctionType, MethodType
from typing import Any

import tensorflow as tf

from engine.errors import Invalid

HOUSE = {"engine", "losses", "nets"}  # packages without Python's control flow on tensors


def converted(function: Callable[..., Any], calls: Iterable[Any] = ()) -> Callable[..., Any]:
    """``function`` as a graph calls it: read by AutoGraph, unless it and the objects that it ``calls`` are the house's.

    Called eagerly, it is ``function`` itself.
    """
    if _is_ours(function) and all(_from_house(type(each)) for each in calls):
        return function
    read = tf.__internal__.autograph.tf_convert(function, tf.__internal__.autograph.control_status_ctx())

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


def _is_ours(function: Callable[..., Any]) -> bool:
    """Whether ``function`` is a function of the house, or a method of an object of the house."""
    if isinstance(function, MethodType):
        return _from_house(function.__func__) and _from_house(type(function.__self__))
    return isinstance(function, FunctionType) and _from_house(function)


def _from_house(thing: Any) -> bool:
    return str(thing.__module__).partition(".")[0] in HOUSE
