"""Sums: of squares, of values that must be finite, and exact ones over many updates."""

import tensorflow as tf

from engine.device import device


def squared_sum(gradient: tf.Tensor) -> tf.Tensor:
    squares = tf.square(tf.cast(gradient, tf.float32))
    if len(squares.shape) < 2 or not device().row_products:
        return tf.reduce_sum(squares)
    # Its rows by a product with ones: XLA on CPUs takes 5 us for 784 x 128 this way, and 85 for one reduction or for
    # rows of any other length.
    width = squares.shape[-1]
    return tf.reduce_sum(tf.linalg.matvec(tf.reshape(squares, [-1, width]), tf.ones([width])))


def witness(values: list[tf.Tensor]) -> tf.Tensor:
    """A number that is finite if all values are, and none so large that their sum is not."""
    return tf.add_n([tf.reduce_sum(tf.cast(value, tf.float32)) for value in values]) if values else tf.zeros([])


def added(sums: tf.Tensor, vector: tf.Tensor) -> tf.Tensor:
    """``sums`` [2, n] with ``vector`` [n] added: the rounded sums, and what the roundings left out (Knuth's TwoSum).

    Exact, so that a mean over many updates has the same bits however they were parted into calls.
    """
    high, low = tf.unstack(sums)
    total = high + vector
    put = total - high
    return tf.stack([total, low + ((high - (total - put)) + (vector - put))])
