"""Norms and directions of gradients, lists of tensors that are taken as one long vector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

Gradients = list[tf.Tensor]
Choice = Callable[[Any], Gradients]  # what ``Update(gradient=...)`` takes

# The smallest normal float32. Below it one device flushes to zero and another does not.
SMALLEST = 1.1754944e-38


def norm(tensors: Sequence[tf.Tensor]) -> tf.Tensor:
    """Euclidean norm of all numbers together, a scalar: float64 if one of the tensors is, else float32.

    Formula: ``p sqrt(sum (x / p)^2)`` with ``p = max |x|``: no square overflows or is lost. A norm below 1e-38 is 0.
    What is not finite makes it NaN or infinite.
    """
    wide = _wide(tensors)
    peak = tf.reduce_max(tf.stack([tf.reduce_max(tf.abs(x)) for x in wide]))
    peak = tf.where(peak > SMALLEST, peak, tf.ones_like(peak))  # of NaN it is 1: then the NaN stands in the sum
    return peak * tf.sqrt(tf.add_n([tf.reduce_sum(tf.square(x / peak)) for x in wide]))


def unit(tensors: Sequence[tf.Tensor]) -> Gradients:
    """The tensors over their norm; 0 if that is 0."""
    length = norm(tensors)
    length = tf.where(length > 0.0, length, tf.ones_like(length))
    return [tf.cast(x / length, like.dtype) for x, like in zip(_wide(tensors), tensors, strict=True)]


def dot(first: Sequence[tf.Tensor], second: Sequence[tf.Tensor]) -> tf.Tensor:
    """The scalar product, a scalar."""
    return tf.add_n([tf.reduce_sum(a * b) for a, b in zip(_wide(first), _wide(second), strict=True)])


def scaled(factor: Any, tensors: Sequence[tf.Tensor]) -> Gradients:
    """The tensors times a number, of Python or a scalar of any floating dtype."""
    return [tf.cast((tf.cast(factor, x.dtype) if tf.is_tensor(factor) else factor) * x, like.dtype)
            for x, like in zip(_wide(tensors), tensors, strict=True)]


def summed(lists: Sequence[Sequence[tf.Tensor]]) -> Gradients:
    """The sum of gradients, tensor by tensor."""
    return [tf.add_n(list(each)) for each in zip(*lists, strict=True)]


def _wide(tensors: Sequence[tf.Tensor]) -> Gradients:
    """In float32, or float64 if one of them is."""
    dtype = tf.float64 if any(x.dtype == tf.float64 for x in tensors) else tf.float32
    return [tf.cast(x, dtype) for x in tensors]
