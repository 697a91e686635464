"""Private APIs of TensorFlow and Keras that the inner loop uses; and keras_layers.py. TensorFlow 2.21, Keras 3.15.

tests/cycle/test_keras_internals.py fails where a later version has another.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf
from keras.src.backend.common.stateless_scope import get_stateless_scope as current_scope
from tensorflow.python.framework import op_callbacks
from tensorflow.python.framework.errors import InaccessibleTensorError

__all__ = ["InaccessibleTensorError", "autograph", "called_by", "current_scope", "differentiated", "every_operation",
           "graph", "handles", "layer_in", "layers_of", "number_of", "outermost", "rate_of", "slots_of_adam",
           "stored_dtype", "told_each_operation", "variables_built_for", "weights_of_layer"]

_LAYER_CALL = inspect.unwrap(keras.layers.Layer.__call__).__code__


def graph(name: str) -> Any:
    """A graph to trace into that is never run."""
    return tf.__internal__.FuncGraph(name)


def autograph(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function`` with Python's ``if`` and ``while`` on tensors as graph."""
    read: Callable[..., Any] = tf.__internal__.autograph.tf_convert(
        function, tf.__internal__.autograph.control_status_ctx())
    return read


def stored_dtype(variable: Any) -> str:
    """Of a Keras variable as it is kept, whatever is cast when it is read."""
    return str(variable._dtype)


def handles(variable: Any) -> list[Any]:
    """The resource of a variable of Keras or TensorFlow; none before it has one."""
    value = variable if isinstance(variable, tf.Variable) else getattr(variable, "_value", None)
    return [] if value is None else [value.handle]


def outermost(tensor: Any) -> Any:
    """What a tensor of a function stands for outside of all functions; None if it was made inside."""
    while hasattr(tensor, "graph") and not isinstance(tensor, tf.__internal__.EagerTensor):
        outside = [outer for outer, inner in getattr(tensor.graph, "captures", ()) if inner is tensor]
        if not outside:
            return None
        tensor = outside[0]
    return tensor


def layers_of(net: Any) -> list[Any]:
    """``net`` and all layers in it, however deep."""
    return list(net._flatten_layers()) if hasattr(net, "_flatten_layers") else []


def weights_of_layer(layer: Any) -> list[Any]:
    """The variables that a layer has itself, without those of its sublayers."""
    return [*layer._trainable_variables, *layer._non_trainable_variables]


def slots_of_adam(optimizer: Any, variables: Sequence[Any]) -> list[tuple[Any, Any]] | None:
    """(first, second moment) of each variable that a built Keras Adam moves; None if it has others."""
    if not (hasattr(optimizer, "_momentums") and hasattr(optimizer, "_velocities")):
        return None
    places = [optimizer._get_variable_index(v) for v in variables]
    return [(optimizer._momentums[place], optimizer._velocities[place]) for place in places]


def rate_of(optimizer: Any) -> Any:
    """The schedule of a Keras optimizer, or the variable that holds its learning rate."""
    return optimizer._learning_rate


def variables_built_for(optimizer: Any) -> list[Any]:
    """The variables that a Keras optimizer was built for; none if it is not built."""
    return list(getattr(optimizer, "_trainable_variables", [])) if optimizer.built else []


def every_operation(traced: Any, without: Sequence[str] = ()) -> Iterator[Any]:
    """The operations of a graph and of the functions that it calls, each function once.

    Args:
      without: Parts of the names of functions that are left out.
    """
    graphs, seen = [traced], set()
    while graphs:
        for operation in graphs.pop().get_operations():
            yield operation
            for name, graph in called_by(operation):
                if name not in seen and not any(each in name for each in without):
                    seen.add(name)
                    graphs.append(graph)


def called_by(operation: Any) -> Iterator[tuple[str, Any]]:
    """(name, graph) of each function that an operation calls."""
    for attribute in operation.node_def.attr.values():
        for function in (attribute.func, *attribute.list.func):
            graph, found = operation.graph, None
            while function.name and graph is not None and not found:  # it may be kept further out
                found = graph._get_function(function.name)
                graph = getattr(graph, "outer_graph", None)
            if found:
                yield tf.compat.as_str(function.name), found.graph


@contextmanager
def told_each_operation(tell: Callable[..., None]) -> Iterator[None]:
    """``tell(kind, inputs, attributes, outputs)`` after each operation that is executed eagerly inside."""
    def callback(kind: Any, inputs: Any, attributes: Any, outputs: Any, name: Any = None, graph: Any = None) -> None:
        if graph is None:
            flat = attributes or ()
            tell(tf.compat.as_str(kind), inputs, dict(zip(flat[::2], flat[1::2], strict=False)), outputs)

    op_callbacks.add_op_callback(callback)
    try:
        yield
    finally:
        op_callbacks.remove_op_callback(callback)


def number_of(tensor: Any) -> int:
    """Of an eager tensor: no other ever has the same."""
    return int(tensor._id)


def layer_in(frame: Any) -> Any:
    """The layer whose call a frame of the stack is, or None."""
    return frame.f_locals.get("self") if frame.f_code is _LAYER_CALL else None


def differentiated(frame: Any) -> tuple[str, list[int], list[int]] | None:
    """If a frame of the stack is a gradient's: what of, and numbers of tensors that it made and took, if kept."""
    code = frame.f_code
    if code.co_name not in ("_gradient_function", "actual_grad_fn") or "tensorflow" not in code.co_filename:
        return None
    known = frame.f_locals
    if "op_name" in known:
        name, made, took = tf.compat.as_str(known["op_name"]), known["outputs"], known["inputs"]
    else:
        name = known["grad_fn"].__qualname__.rpartition(".<locals>")[0].rpartition(".")[2]
        made, took = tf.nest.flatten(known.get("result")), ()
    return name, *([each._id for each in tensors or () if hasattr(each, "_id")] for tensors in (made, took))
