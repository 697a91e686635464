"""Regression: squared and Huber errors, per example."""

from __future__ import annotations

import tensorflow as tf

from losses import guard


def squared_error(targets: tf.Tensor, predictions: tf.Tensor) -> tf.Tensor:
    """Squared error, averaged over all axes but the first.

    Formula: ``mean_j (t_j - p_j)^2``.

    Args:
      targets: ``[B, ...]``, floating.
      predictions: ``[B, ...]``, floating, of the shape of ``targets``. Errors below 1e19 in size keep the
        square representable in float32.

    Returns:
      ``[B]``, squared units of the target.

    Raises:
      ValueError: Two shapes, or a dtype that is not floating.

    Source: Goodfellow et al., Deep Learning, 2016, section 5.1.4.
    """
    targets, predictions = guard.floats(targets=targets, predictions=predictions)
    targets, predictions = guard.rows(targets=targets, predictions=predictions)
    return tf.reduce_mean(tf.square(targets - predictions), axis=1)


def huber(targets: tf.Tensor, predictions: tf.Tensor, delta: float = 1.0) -> tf.Tensor:
    """Huber's error, half the square near zero and linear beyond ``delta``, averaged likewise.

    Formula: ``mean_j h(t_j - p_j)`` with ``h(e) = e^2 / 2`` where ``|e| <= delta``, else
    ``delta (|e| - delta / 2)``.

    Args:
      targets: ``[B, ...]``, floating.
      predictions: ``[B, ...]``, floating, of the shape of ``targets``. Its gradient never exceeds ``delta``.
      delta: Error at which the line begins, in units of the target; above 0.

    Returns:
      ``[B]``, squared units of the target; half of ``squared_error`` for small errors.

    Raises:
      ValueError: Two shapes, a dtype that is not floating, or ``delta`` out of range.

    Source: Huber 1964, Robust Estimation of a Location Parameter, Annals of Mathematical Statistics 35.
    """
    guard.require(delta > 0.0, "delta", delta, "above 0")
    targets, predictions = guard.floats(targets=targets, predictions=predictions)
    targets, predictions = guard.rows(targets=targets, predictions=predictions)
    size = tf.abs(targets - predictions)
    # Both branches in one: with c = min(|e|, delta), h = c (|e| - c / 2), and no square that may overflow.
    inner = tf.minimum(size, delta)
    return tf.reduce_mean(inner * (size - 0.5 * inner), axis=1)
