"""Likelihoods of data under what a decoder puts out: negative logs in nats, per example."""

from __future__ import annotations

import math

import tensorflow as tf

from losses import guard

LOG_2_PI = math.log(2.0 * math.pi)


def bernoulli_nll(x: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Negative log-likelihood of binary data under independent Bernoullis, summed over an example.

    Formula: ``-sum_j [x_j log sigmoid(l_j) + (1 - x_j) log(1 - sigmoid(l_j))]``.

    Args:
      x: ``[B, ...]``, floating, in ``[0, 1]``. Grey pixels are allowed: the value is then a cross-entropy,
        least at ``sigmoid(logits) = x``, where it is the pixels' entropy and not 0.
      logits: ``[B, ...]``, floating, of the shape of ``x``; any finite values.

    Returns:
      ``[B]``, nats.

    Raises:
      ValueError: Two shapes, or a dtype that is not floating.

    Source: Kingma & Welling 2014 (arXiv 1312.6114), appendix C.1, equation 11.
    """
    x, logits = guard.floats(x=x, logits=logits)
    x, logits = guard.rows(x=x, logits=logits)
    cell = tf.nn.sigmoid_cross_entropy_with_logits(labels=x, logits=logits)
    return tf.reduce_sum(cell, axis=1)


def gaussian_nll(x: tf.Tensor, mean: tf.Tensor, log_var: tf.Tensor) -> tf.Tensor:
    """Negative log-density under a Gaussian of diagonal covariance, constant included, summed likewise.

    Formula: ``1/2 sum_j [log 2 pi + log_var_j + (x_j - mean_j)^2 / exp(log_var_j)]``.

    Args:
      x: ``[B, ...]``, floating.
      mean: ``[B, ...]``, floating, of the shape of ``x``.
      log_var: ``[B, ...]``, floating, of the shape of ``x``: the log of the variance. In float32 the value is
        finite while ``|x - mean| exp(-log_var / 2)`` stays below 1e19 (``log_var >= -80`` for errors up
        to 40), and for exact hits down to ``log_var = -177``.

    Returns:
      ``[B]``, nats; a density, so it may be negative.

    Raises:
      ValueError: Two shapes, or a dtype that is not floating.

    Source: Kingma & Welling 2014 (arXiv 1312.6114), appendix C.2, equation 12.
    """
    x, mean, log_var = guard.floats(x=x, mean=mean, log_var=log_var)
    x, mean, log_var = guard.rows(x=x, mean=mean, log_var=log_var)
    # The standard deviation goes inside the square: exp(-log_var) would overflow twice as soon.
    standardized = (x - mean) * tf.exp(-0.5 * log_var)
    cell = 0.5 * (LOG_2_PI + log_var + tf.square(standardized))
    return tf.reduce_sum(cell, axis=1)


def importance_weighted_nll(log_weights: tf.Tensor) -> tf.Tensor:
    """An upper bound of the negative log-likelihood, the tighter the more samples of the posterior.

    Formula: ``-log (1/k sum_i w_i)`` with ``w_i = p(x | z_i) p(z_i) / q(z_i | x)``, ``z_i`` drawn from ``q``. One
    sample is the negative evidence lower bound.

    Args:
      log_weights: ``[B, k]``, floating, the ``log w_i`` in nats; any finite values.

    Returns:
      ``[B]``, nats.

    Raises:
      ValueError: A shape other than ``[B, k]``, or a dtype that is not floating.

    Source: Burda et al. 2016 (arXiv 1509.00519), equation 8.
    """
    (log_weights,) = guard.floats(log_weights=log_weights)
    fits = log_weights.shape.rank == 2 and log_weights.shape[1] != 0
    guard.require(fits, "log_weights", guard.shape_of(log_weights), "of shape [batch, samples], 1 sample or more")
    samples = tf.cast(tf.shape(log_weights)[1], log_weights.dtype)
    return tf.math.log(samples) - tf.reduce_logsumexp(log_weights, axis=1)
