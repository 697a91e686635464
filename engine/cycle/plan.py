"""How the cycle is compiled: the only ``tf.function`` of training.

``eager`` runs every operation as Python reaches it, so ``print`` and breakpoints work inside a loss.
``graph`` compiles the loop with TensorFlow's graph executor. ``xla`` does too, and compiles blocks of
updates with XLA (see ``loop.BlockLoop``). (A plan chosen by measurement, ``auto``, takes its place here.)
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from engine.errors import require

PLANS = ("eager", "graph", "xla")


class Retraced(RuntimeError):
    """A compiled function was traced a second time."""


class Plan:
    """One way of compiling. Raises ``Invalid`` for a name that is not in ``PLANS``."""

    def __init__(self, name: str) -> None:
        require(name in PLANS, "plan", name, f"one of {', '.join(PLANS)}")
        self.name = name
        self.traces = 0

    def part(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A part of an update: a unit of XLA; the place where AutoGraph reads the user's loss."""
        if self.name == "eager":
            return function
        return tf.function(function, jit_compile=True if self.name == "xla" else None)

    @property
    def halves(self) -> bool:
        """Whether two halves of a batch, side by side, are faster than the whole."""
        return self.name == "xla" and not tf.config.list_physical_devices("GPU")

    @property
    def block(self) -> Callable[[Callable[..., Any]], Callable[..., Any]] | None:
        """Compiles many updates as one unit, where that pays."""
        return tf.function(jit_compile=True, autograph=False) if self.name == "xla" else None

    def loop(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The outermost function, traced once."""
        if self.name == "eager":
            return function
        return tf.function(self._once(function), autograph=False)

    def _once(self, function: Callable[..., Any]) -> Callable[..., Any]:
        first: list[Any] = []

        def traced(*args: Any) -> Any:
            self.traces += 1
            signature = tf.nest.map_structure(_describe, args)
            if first:
                raise Retraced(f"`{function.__name__}` was traced a second time: its arguments were {first[0]} "
                               f"and are now {signature}; a net or a loss has changed what TensorFlow keys on")
            first.append(signature)
            return function(*args)

        return traced


def _describe(value: Any) -> str:
    spec = getattr(value, "element_spec", None)
    return f"{getattr(value, 'dtype', type(value).__name__)}{getattr(value, 'shape', spec or '')}"
