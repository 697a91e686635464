"""Kullback-Leibler divergences between Gaussians of diagonal covariance, in nats, per example.

``expm1(v) - v`` stands where books write ``exp(v) - 1 - v``: near the prior (v = 0) the subtraction of 1 would
leave rounding noise. In float32 ``exp`` overflows beyond 88: a variance of ``exp(89)`` has no finite KL.
"""

from __future__ import annotations

import tensorflow as tf

from losses import guard


def kl_to_standard_normal(mean: tf.Tensor, log_var: tf.Tensor) -> tf.Tensor:
    """KL divergence of ``N(mean, exp(log_var))`` from ``N(0, I)``, summed over the latent dimensions.

    Formula: ``1/2 sum_j [mean_j^2 + exp(log_var_j) - 1 - log_var_j]``.

    Args:
      mean: ``[B, D]`` (or ``[B, ...]``), floating.
      log_var: ``[B, D]``, floating, of the shape of ``mean``; finite in float32 up to 88.

    Returns:
      ``[B]``, nats, never below 0.

    Raises:
      ValueError: Two shapes, or a dtype that is not floating.

    Source: Kingma & Welling 2014 (arXiv 1312.6114), equation 10 and appendix B.
    """
    (cell,) = guard.rows(cell=kl_to_standard_normal_per_dimension(mean, log_var))
    return tf.reduce_sum(cell, axis=1)


def kl_to_standard_normal_per_dimension(mean: tf.Tensor, log_var: tf.Tensor) -> tf.Tensor:
    """KL divergence of ``N(mean, exp(log_var))`` from ``N(0, I)``, each latent dimension by itself.

    Formula: ``1/2 [mean_j^2 + exp(log_var_j) - 1 - log_var_j]``.

    Args:
      mean: ``[B, D]`` (or ``[B, ...]``), floating.
      log_var: ``[B, D]``, floating, of the shape of ``mean``; finite in float32 up to 88.

    Returns:
      ``[B, D]``, nats: what ``free_bits`` takes, and what shows a collapsed dimension (all near 0).

    Raises:
      ValueError: Two shapes, or a dtype that is not floating.

    Source: Kingma & Welling 2014 (arXiv 1312.6114), equation 10 and appendix B.
    """
    mean, log_var = guard.floats(mean=mean, log_var=log_var)
    guard.same_shape(mean=mean, log_var=log_var)
    return 0.5 * (tf.square(mean) + tf.math.expm1(log_var) - log_var)


def kl_between_gaussians(
    mean_q: tf.Tensor, log_var_q: tf.Tensor, mean_p: tf.Tensor, log_var_p: tf.Tensor
) -> tf.Tensor:
    """KL divergence of ``q = N(mean_q, exp(log_var_q))`` from ``p = N(mean_p, exp(log_var_p))``.

    Formula: ``1/2 sum_j [exp(d_j) - 1 - d_j + (mean_q_j - mean_p_j)^2 / exp(log_var_p_j)]`` with
    ``d = log_var_q - log_var_p``.

    Args:
      mean_q: ``[B, D]`` (or ``[B, ...]``), floating; as are the others, all of this shape.
      log_var_q: The log of the variance of ``q``.
      mean_p: The mean of ``p``, for instance of a learned prior.
      log_var_p: The log of the variance of ``p``. In float32 the value is finite while ``d`` is at most 88
        and ``|mean_q - mean_p| exp(-log_var_p / 2)`` below 1e19.

    Returns:
      ``[B]``, nats, never below 0.

    Raises:
      ValueError: Two shapes, or a dtype that is not floating.

    Source: Sonderby et al. 2016 (arXiv 1602.02282), for the use; Kullback 1959,
        Information Theory and Statistics, chapter 9.
    """
    named = {"mean_q": mean_q, "log_var_q": log_var_q, "mean_p": mean_p, "log_var_p": log_var_p}
    tensors = guard.floats(**named)
    mean_q, log_var_q, mean_p, log_var_p = guard.rows(**dict(zip(named, tensors, strict=True)))
    ratio = log_var_q - log_var_p
    distance = (mean_q - mean_p) * tf.exp(-0.5 * log_var_p)
    cell = 0.5 * (tf.math.expm1(ratio) - ratio + tf.square(distance))
    return tf.reduce_sum(cell, axis=1)


def free_bits(kl: tf.Tensor, floor: float) -> tf.Tensor:
    """KL summed over dimensions, each counted as at least ``floor``, so that none is pressed to 0.

    Formula: ``sum_j max(floor, kl_j)``.

    The paper takes the mean of ``kl_j`` over the minibatch *inside* the max; this is the form per example.
    Terms here are per example and averaged by the engine over the global batch, whatever its split over
    replicas or accumulated parts; a max around a minibatch mean would depend on that split.

    Args:
      kl: ``[B, D]`` (or ``[B, ...]`` of rank 2 or more), floating, nats per dimension, as from
        ``kl_to_standard_normal_per_dimension``.
      floor: Nats per dimension that cost nothing, at least 0. No gradient flows below it.

    Returns:
      ``[B]``, nats, at least ``D * floor``.

    Raises:
      ValueError: A ``kl`` already summed over dimensions, or ``floor`` out of range.

    Source: Kingma et al. 2016 (arXiv 1606.04934), appendix C.8, equation 15.
    """
    guard.require(floor >= 0.0, "floor", floor, "at least 0")
    (kl,) = guard.floats(kl=kl)
    rank = kl.shape.rank
    guard.require(rank is not None and rank >= 2, "kl", guard.shape_of(kl), "of shape [batch, dimension]")
    (kl,) = guard.rows(kl=kl)
    return tf.reduce_sum(tf.maximum(kl, floor), axis=1)
