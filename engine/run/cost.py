"""What a net costs: its parameters, the multiply-adds of one example, the operations of a graph."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from engine.cycle.keras_internals import called_by, every_operation
from engine.errors import require


def parameters(net: keras.Model) -> int:
    """Numbers that training moves."""
    return sum(math.prod(variable.shape) for variable in net.trainable_variables)


def multiply_adds(net: keras.Model, shape: Sequence[int]) -> int:
    """Multiply-adds of one forward pass of one example, counted in its traced graph from the shapes.

    Counted are matrix products and convolutions, taps on padding too, as in He et al. 2015 (arXiv 1512.03385, table
    1: 1.8e9 for ResNet-18 on 224x224); biases, normalisation, activations and pooling are left out. A loop's body
    and either side of a branch count once.

    Args:
      net: Net that is built, of one input.
      shape: Shape of one example, such as [h, w, c].

    Raises:
      Invalid: A product whose shape is not known.
    """
    traced = tf.function(lambda example: net(example, training=False))
    return _total(traced.get_concrete_function(tf.TensorSpec([1, *shape], tf.float32)).graph)


def operations(graph: Any, without: Sequence[str] = ()) -> Counter[str]:
    """How many operations of each kind ``graph`` holds, and the functions that it calls: each function once.

    Args:
      without: Names of functions whose operations are left out.
    """
    return Counter(operation.type for operation in every_operation(graph, without))


def _total(graph: Any) -> int:
    return sum(_of(operation) + sum(map(_total, _inner(operation))) for operation in graph.get_operations())


def _inner(operation: Any) -> Iterator[Any]:
    """The graphs of the functions that an operation calls."""
    return (graph for _, graph in called_by(operation))


def _of(operation: Any) -> int:
    """Each number of the output takes so many: the length that is summed over."""
    kind, inputs = operation.type, operation.inputs
    if kind == "MatMul":
        return _size(operation.outputs[0]) * _shape(inputs[0])[0 if operation.get_attr("transpose_a") else 1]
    if kind.startswith("BatchMatMul"):
        return _size(operation.outputs[0]) * _shape(inputs[0])[-2 if operation.get_attr("adj_x") else -1]
    if kind in ("Conv2D", "Conv3D"):  # kernel [h, w, channels of the group, filters]
        return _size(operation.outputs[0]) * math.prod(_shape(inputs[1])[:-1])
    if kind == "DepthwiseConv2dNative":  # kernel [h, w, channels, filters per channel]
        return _size(operation.outputs[0]) * math.prod(_shape(inputs[1])[:2])
    if kind == "Conv2DBackpropInput":  # transposed: each number of the input goes to h w filters
        return _size(inputs[2]) * math.prod(_shape(inputs[1])[:-1])
    if kind == "Einsum":
        equation = operation.get_attr("equation").decode()
        require("." not in equation, operation.name, equation, "an equation without an ellipsis to be counted")
        labels = equation.split("->")[0].split(",")
        sizes = {label: size for names, tensor in zip(labels, inputs, strict=True)
                 for label, size in zip(names, _shape(tensor), strict=True)}
        return math.prod(sizes.values())
    return 0


def _size(tensor: Any) -> int:
    return math.prod(_shape(tensor))


def _shape(tensor: Any) -> list[int]:
    require(tensor.shape.is_fully_defined(), tensor.op.name, f"shape {tensor.shape}", "of known shape to be counted")
    return list(tensor.shape)
