"""Many structures of tensors as one."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def each_of(draw: Callable[[tf.Tensor], Any], count: int, wanted: tf.Tensor) -> Any:
    """``draw(i)`` for i below ``wanted``, and zeros from there to ``count``, stacked."""
    example = draw(tf.constant(0))  # for its form; nothing reads it
    arrays = [tf.TensorArray(tensor.dtype, count, element_shape=tensor.shape) for tensor in tf.nest.flatten(example)]

    def one(i: tf.Tensor, arrays: list[Any]) -> tuple[tf.Tensor, list[Any]]:
        drawn = tf.nest.flatten(draw(i))
        return i + 1, [array.write(i, tensor) for array, tensor in zip(arrays, drawn, strict=True)]

    _, arrays = tf.while_loop(lambda i, _: i < wanted, one, [tf.constant(0), arrays])
    return tf.nest.pack_sequence_as(example, [array.stack() for array in arrays])


def stack(parts: list[Any]) -> Any:
    return tf.nest.map_structure(lambda *tensors: tf.stack(tensors), *parts)
