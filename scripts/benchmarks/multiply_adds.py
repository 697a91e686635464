"""The multiply-adds of whole updates, forward and backward, counted in traced graphs."""

import math
from typing import Any

import numpy as np
import tensorflow as tf

from engine import StepEngine
from engine.cycle.inputs import Context
from engine.cycle.measured import Given
from engine.run import cost

CALLS = ("PartitionedCall", "StatefulPartitionedCall")
LOOPS = ("While", "StatelessWhile")


def graph_multiply_adds(graph: Any, wanted: list[Any] | None = None) -> int:
    """What the outputs of a traced function need, and what it assigns; the rest would be pruned.

    Counted is what ``engine.run.cost`` counts, and the gradients of convolutions by their kernels. Of branches the
    dearest counts. The body of a loop counts as often as its ``maximum_iterations`` says, once if it says nothing.

    Args:
      graph: ``tf.function(...).get_concrete_function(...).graph``.
      wanted: Outputs of ``graph.outputs`` that are used (default: all).

    Raises:
      Invalid: A product whose shape is not known.
    """
    outputs = list(graph.outputs) if wanted is None else wanted
    used = {tensor.ref() for tensor in outputs}
    waiting = [tensor.op for tensor in outputs] + list(graph.control_outputs)
    needed: dict[str, Any] = {}
    while waiting:
        operation = waiting.pop()
        used |= {tensor.ref() for tensor in operation.inputs}
        if operation.name not in needed:
            needed[operation.name] = operation
            waiting += [tensor.op for tensor in operation.inputs] + list(operation.control_inputs)
    return sum(_of(operation, used) for operation in needed.values())


def update_multiply_adds(engine: StepEngine) -> dict[str, int]:
    """{phase: multiply-adds of one update}: the loss and its gradients on a batch; not Adam, not the health watch."""
    zero, counts = tf.constant(0, tf.int64), {}
    for name, step in engine.steps.items():
        compute = step.compute

        def update(step: Any = step, compute: Any = compute) -> Any:
            inputs = step.inputs.of(zero, [zero] * len(engine.sources), Context({"data": engine.source.open(0)}))
            assigned = [tf.convert_to_tensor(variable.value) for variable in compute.traced.assigned]
            given = Given(zero, 1.0, compute.weights(), assigned, step.commit.values())
            return compute.gradients(given, inputs.micro(0)).gradients

        graph = tf.function(update).get_concrete_function().graph
        counts[name] = step.commit.update.accumulate * graph_multiply_adds(graph)
    return counts


def cycle_multiply_adds(engine: StepEngine) -> int:
    """Of all updates of one cycle."""
    counts = update_multiply_adds(engine)
    return sum(phase.repeats * counts[phase.name] for phase in engine.phases)


def _of(operation: Any, used: set[Any]) -> int:
    kind = operation.type
    inner = list(cost._inner(operation))
    if kind in CALLS:
        pairs = zip(inner[0].outputs, operation.outputs, strict=True)
        return graph_multiply_adds(inner[0], [own for own, output in pairs if output.ref() in used])
    if kind in LOOPS:
        return _iterations(operation) * sum(map(graph_multiply_adds, inner))
    if inner:
        return max(map(graph_multiply_adds, inner))
    return _by_kernel(operation) or cost._of(operation)


def _iterations(loop: Any) -> int:
    most = loop.inputs[1]  # after the counter; -1 for no limit
    if most.op.type == "Max":  # Keras's recurrent layers: over the one number that it is
        most = most.op.inputs[0]
    value = tf.get_static_value(most)
    return max(int(np.max(value)), 1) if value is not None and np.size(value) else 1


def _by_kernel(operation: Any) -> int:
    """A convolution's gradient by its kernel takes as many as the convolution; so do those of a depthwise one."""
    if operation.type in ("Conv2DBackpropFilter", "Conv3DBackpropFilterV2"):
        return _size(operation.inputs[2]) * math.prod(operation.outputs[0].shape[:-1])
    if operation.type in ("DepthwiseConv2dNativeBackpropFilter", "DepthwiseConv2dNativeBackpropInput"):
        kernel = operation.outputs[0] if operation.type.endswith("Filter") else operation.inputs[1]
        return _size(operation.inputs[2]) * math.prod(kernel.shape[:2])
    return 0


def _size(tensor: Any) -> int:
    return math.prod(tensor.shape)
