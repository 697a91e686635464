"""Mixup: examples between examples, and the fraction of each."""

from __future__ import annotations

import math

import tensorflow as tf

from losses import guard


def symmetric_beta(radius: tf.Tensor, angle: tf.Tensor, alpha: float) -> tf.Tensor:
    """Numbers distributed as Beta(alpha, alpha), each made of two uniform ones, without rejection.

    Formula: ``1/2 (1 + t / sqrt(1 + t^2))`` with ``t = sqrt(u^(-1 / alpha) - 1) cos(2 pi angle)`` and
    ``u = 1 - radius``: ``t sqrt(2 alpha)`` is Student's t of ``2 alpha`` degrees of freedom.

    Args:
      radius: ``[B]`` (or ``[B, ...]``), floating, uniform in ``[0, 1)``.
      angle: Floating, of the shape of ``radius``, uniform in ``[0, 1)`` and independent of it.
      alpha: The parameter of the distribution, above 0: 1 is uniform; the smaller, the nearer to 0 and 1.

    Returns:
      The shape of ``radius``, a fraction in ``[0, 1]``. No gradient.

    Raises:
      ValueError: Two shapes, a dtype that is not floating, or ``alpha`` out of range.

    Source: Bailey 1994, Polar generation of random variates with the t-distribution, Mathematics of
        Computation 62; Devroye 1996, Random variate generation in one line of code.
    """
    guard.require(0.0 < alpha < math.inf, "alpha", alpha, "above 0 and finite")
    radius, angle = guard.floats(radius=radius, angle=angle)
    guard.same_shape(radius=radius, angle=angle)
    # With w = u^(1 / alpha), t^2 = (1 - w) / w cos^2; w alone never overflows, and may well be 0.
    log_w = tf.math.log1p(-radius) / alpha
    cos, sin = tf.cos(2.0 * math.pi * angle), tf.sin(2.0 * math.pi * angle)
    below = tf.sqrt(tf.square(cos) + tf.exp(log_w) * tf.square(sin))
    signed = tf.math.divide_no_nan(tf.sqrt(-tf.math.expm1(log_w)) * cos, below)
    return tf.stop_gradient(0.5 * (1.0 + signed))


def mixup(first: tf.Tensor, second: tf.Tensor, fraction: tf.Tensor) -> tf.Tensor:
    """The point between two examples (or between their losses) at a fraction of the first.

    Formula: ``fraction first + (1 - fraction) second``. A cross-entropy is linear in its target, so mixing the
    losses of two labels is the loss of the mixed label.

    Args:
      first: ``[B, ...]``, floating.
      second: Floating, of the shape of ``first``.
      fraction: ``[B]``, floating, in ``[0, 1]``: one number per example, not per pixel.

    Returns:
      The shape and the unit of ``first``.

    Raises:
      ValueError: A wrong shape or dtype.

    Source: Zhang et al. 2018 (arXiv 1710.09412), equation 1.
    """
    fraction, first, second = guard.floats(fraction=fraction, first=first, second=second)
    guard.same_shape(first=first, second=second)
    guard.per_example("fraction", fraction, first.shape[:1])
    fraction = tf.reshape(fraction, [-1] + [1] * (first.shape.rank - 1))
    return fraction * first + (1.0 - fraction) * second
