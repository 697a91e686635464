"""What cannot be taken apart: numbers of the whole batch."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from engine.cycle.reads import Reads
from engine.cycle.terms import collected
from engine.strategy import Nets, Phase


def whole_of(phase: Phase, nets: Nets, reads: Reads, examples: Sequence[tf.Tensor], scalars: Mapping[str, tf.Tensor]
             ) -> list[str]:
    """What is one number of the whole batch: a scalar that is computed from examples or draws."""
    given = {tensor.op.name for tensor in examples}
    found = [f"term {name}" for name, value in scalars.items() if _hangs_on(value, given)]
    added = [loss for name in phase.updates for loss in collected(nets[name])]
    return found + ["a loss that a layer adds"] * any(tuple(each.shape) != (reads.examples,) for each in added)


def _hangs_on(value: tf.Tensor, given: set[str]) -> bool:
    """Whether ``value`` is computed from an operation of these names, or from random numbers."""
    waiting, seen = [value.op], set()
    while waiting:
        operation = waiting.pop()
        if operation.name in given or operation.type.startswith("StatelessRandom"):
            return True
        if operation.name not in seen:
            seen.add(operation.name)
            waiting += [each.op for each in operation.inputs]
    return False
