"""The gradient penalty of WGAN-GP, per example."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from losses import guard

# The smallest normal float32. Below it one device flushes to zero and another does not.
SMALLEST = 1.1754944e-38


def gradient_penalty(
    critic: Callable[[tf.Tensor], tf.Tensor],
    real: tf.Tensor,
    fake: tf.Tensor,
    mix: tf.Tensor,
    target: float = 1.0,
    one_sided: bool = False,
) -> tf.Tensor:
    """How far the norm of the critic's gradient is from ``target`` at a random point between a real and a fake example.

    Formula: ``(||grad_x critic(x)|| - target)^2`` at ``x = real + mix (fake - real)``; one-sided:
    ``max(0, ||grad_x critic(x)|| - target)^2``. The norm is over all axes of an example.

    Args:
      critic: Function from ``[B, ...]`` to scores ``[B]``, each example by itself: with batch normalisation the
        gradient of one score would hold parts of the others. It is given float32 (or float64).
      real: ``[B, ...]``, floating.
      fake: ``[B, ...]``, floating, of the shape of ``real``.
      mix: ``[B]``, floating, uniform in ``[0, 1)``: one number per example, not per pixel.
      target: The gradient norm that costs nothing, in units of the score per unit of ``x``; at least 0.
      one_sided: Whether gradient norms below ``target`` are free.

    Returns:
      ``[B]``, squared units of the gradient norm. Finite with finite gradients at a norm of exactly 0 (one
      below 1e-19 counts as 0), and in float32 while the norm is below 1e19.

    Raises:
      ValueError: A wrong shape or dtype, scores that are not ``[B]``, a critic that does not depend on
        its input, or ``target`` out of range.

    Source: Gulrajani et al. 2017 (arXiv 1704.00028), equation 3; one-sided: section 4 there, and
        Petzka et al. 2018 (arXiv 1709.08894).
    """
    guard.require(target >= 0.0, "target", target, "at least 0")
    mix, real, fake = guard.floats(mix=mix, real=real, fake=fake)
    guard.same_shape(real=real, fake=fake)
    batch = real.shape[:1]
    guard.per_example("mix", mix, batch)
    x = real + tf.reshape(mix, [-1] + [1] * (real.shape.rank - 1)) * (fake - real)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        scores = tf.convert_to_tensor(critic(x))
    guard.per_example("critic(x)", scores, batch)
    gradient = tape.gradient(scores, x)
    guard.require(gradient is not None, "critic", "no gradient to x", "differentiable in its input")
    excess = _norm(gradient) - target
    return tf.square(tf.nn.relu(excess) if one_sided else excess)


def _norm(gradient: tf.Tensor) -> tf.Tensor:
    """``[B, ...]`` to its Euclidean norms ``[B]``, with the gradient 0 where the norm is 0."""
    (gradient,) = guard.rows(gradient=gradient)
    square = tf.reduce_sum(tf.square(gradient), axis=1)
    positive = square > SMALLEST
    # Two wheres: the inner one keeps sqrt off 0, where its derivative is infinite and infinity times 0 is NaN.
    return tf.where(positive, tf.sqrt(tf.where(positive, square, 1.0)), 0.0)
