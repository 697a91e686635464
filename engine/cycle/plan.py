"""How the cycle is compiled: the only ``tf.function`` of training.

``eager`` runs every operation as Python reaches it, so ``print`` and breakpoints work inside a loss.
``graph`` compiles the loop with TensorFlow's graph executor. ``halves`` is that graph for two equal shards of each
batch, side by side, where no example sees another: so two cores share the work without waiting for each other at every
operation. ``xla`` compiles blocks of updates with XLA (see ``block.by_block``), of shards on CPUs; on a GPU all updates
of a call (see ``launch.by_launch``).
``critic=graph generator=xla`` compiles each phase by its own.
(``auto`` is no way of compiling: the Trainer chooses one of these by measurement, see ``run/trial.py``.)
"""

import functools
import threading
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from engine.device import device
from engine.errors import require

PLANS = ("eager", "graph", "halves", "xla")
COMPILED = PLANS[1:]


class Retraced(RuntimeError):
    """A compiled function was traced a second time."""


class Plan:
    """One way of compiling: one of ``PLANS``, or ``phase=PLAN`` for every phase, with one of ``COMPILED``.

    Raises ``Invalid`` for another name.
    """

    def __init__(self, name: str) -> None:
        self.phases = dict(part.partition("=")[::2] for part in name.split()) if "=" in name else {}
        known = all(plan in COMPILED for plan in self.phases.values()) if self.phases else name in PLANS
        require(known, "plan", name, f"one of {', '.join(PLANS)}, or one for each phase, "
                "as critic=graph generator=xla")
        self.name = name
        self.traces = 0
        self.graph: Any = None  # the outermost function's, once it is traced

    def of(self, phase: str) -> "Plan":
        """The plan of one phase. Raises ``Invalid`` if phases are named and this one is not."""
        require(not self.phases or phase in self.phases, "plan", self.name,
                f"with {phase}=graph, {phase}=halves or {phase}=xla")
        return Plan(self.phases.get(phase, self.name))

    def part(self, function: Callable[..., Any], apart: bool = False) -> Callable[..., Any]:
        """A part of an update: a unit of XLA.

        Args:
          apart: Whether it is never put into the graph around it. In a loop's graph it is chance whether TensorFlow
            gives the gradient of max pooling to oneDNN, which adds in another order where windows overlap: it looks for
            the pooling's operation, which the loop's back edges let it reach before or after. Without them there is one
            order.
        """
        if self.name == "eager":
            return function
        if self.name == "xla":
            function = _told(function)
        return tf.function(function, jit_compile=True if self.name == "xla" else None, autograph=False,
                           experimental_attributes={"_noinline": True} if apart else None)

    @property
    def shards(self) -> bool:
        """Whether two shards of a batch are computed side by side."""
        return self.name == "halves" or (self.name == "xla" and device().shards)

    @property
    def block(self) -> Callable[[Callable[..., Any]], Callable[..., Any]] | None:
        """Compiles many updates as one unit, where that pays."""
        return tf.function(jit_compile=True, autograph=False) if self.name == "xla" else None

    def loop(self, function: Callable[..., Any], check: Callable[[Any], None] = lambda graph: None
             ) -> Callable[..., Any]:
        """The outermost function, traced once.

        Args:
          check: Function that is handed the graph, once it is traced.
        """
        if self.name == "eager":
            return function
        return tf.function(self._once(function, check), autograph=False)

    def _once(self, function: Callable[..., Any], check: Callable[[Any], None]) -> Callable[..., Any]:
        first: list[Any] = []

        def traced(*args: Any) -> Any:
            self.traces += 1
            signature = tf.nest.map_structure(_describe, args)
            if first:
                raise Retraced(f"`{function.__name__}` was traced a second time: its arguments were {first[0]} "
                               f"and are now {signature}; a net or a loss has changed what TensorFlow keys on")
            first.append(signature)
            self.graph = tf.compat.v1.get_default_graph()
            result = function(*args)
            check(self.graph)
            return result

        return traced


_XLA = threading.local()


def in_xla() -> bool:
    """Whether what is traced now is a unit of XLA."""
    return getattr(_XLA, "depth", 0) > 0


def _told(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function``, in which ``in_xla`` is true."""
    @functools.wraps(function)
    def traced(*args: Any) -> Any:
        _XLA.depth = getattr(_XLA, "depth", 0) + 1
        try:
            return function(*args)
        finally:
            _XLA.depth -= 1

    return traced


def _describe(value: Any) -> str:
    spec = getattr(value, "element_spec", None)
    return f"{getattr(value, 'dtype', type(value).__name__)}{getattr(value, 'shape', spec or '')}"
