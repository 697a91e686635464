"""Gradient surgery: tasks whose gradients conflict."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from losses import guard
from losses.gradients.norms import Choice, Gradients, dot, norm, scaled, summed, unit
from losses.gradients.tasks import check, gradients_of


def conflict_projection(*terms: str, seed: int = 0) -> Choice:
    """The sum of the tasks' gradients, each without what goes against another task (PCGrad).

    Formula: ``sum_i p_i``, where ``p_i`` starts as ``g_i`` and, for each other task j in a random order of its own,
    becomes ``p_i - min(0, p_i . g_j) / ||g_j||^2 g_j``. ``g_i`` is the gradient of term i times its factor in the
    objective, over all that the phase moves.

    The order depends on ``seed`` and the number of the update alone: it is the same under every plan, on every
    device and in a continued run.

    Args:
      terms: Names of the tasks, each once. None named: all terms that are minimised. What else the objective
        holds (other terms, ``regularization``) is added as it is; a watched term may be named, with a factor of 1.
      seed: Seed of the orders, an integer.

    Returns:
      A function of a pull, for ``Update(gradient=...)``; it gives a tensor of the shape of each weight. Without a
      conflict it is the sum of the gradients; finite in float32 while their norms are.

    Raises:
      ValueError: What is no name, or a name twice; in the first update a name that is no term.

    Source: Yu et al. 2020 (arXiv 2001.06782), algorithm 1; the order by the mixing function of SplitMix (Steele,
        Lea & Flood 2014, Fast splittable pseudorandom number generators).

    Example:
        >>> from losses.gradients import conflict_projection
        >>> update = Update(SGD(0.1), gradient=conflict_projection("reconstruction", "adversarial"))
    """
    check(terms)
    guard.require(isinstance(seed, int), "seed", seed, "an integer")

    def gradient(pull: Any) -> Gradients:
        tasks, rest = gradients_of(pull, terms)
        directions = [unit(task) for task in tasks]
        taken = _taken([norm(task) for task in tasks], directions, order_of(pull.update, len(tasks), seed))
        # Each p_i is g_i less multiples of the directions: what is taken off along one is summed over the tasks.
        back = [scaled(-amount, each) for amount, each in zip(tf.unstack(taken), directions, strict=True)]
        return summed([*tasks, *back, *rest])

    return gradient


def _taken(norms: list[tf.Tensor], directions: list[Gradients], order: tf.Tensor) -> tf.Tensor:
    """[tasks]: how much of each direction is taken off, over all tasks; at most 0."""
    tasks = len(norms)
    cosines = tf.stack([tf.stack([dot(a, b) for b in directions]) for a in directions])  # [i, j]
    gradients = tf.linalg.diag(tf.stack(norms))  # [i, j]: task i's gradient in terms of the directions j
    taken = tf.zeros_like(gradients)
    for place in range(tasks):
        others = order[:, place]  # [i]: what task i looks at now; at itself, too, where nothing is negative
        along = tf.reduce_sum((gradients - taken) * tf.gather(cosines, others), axis=1)
        conflicts = (along < 0.0) & (others != tf.range(tasks))
        taken += tf.where(conflicts, along, 0.0)[:, None] * tf.one_hot(others, tasks, dtype=taken.dtype)
    return tf.reduce_sum(taken, axis=0)


def order_of(update: tf.Tensor, tasks: int, seed: int) -> tf.Tensor:
    """[tasks, tasks] int32: in row i a random order of all tasks, uniform and independent of the other rows."""
    counter = tf.cast(update, tf.int64) * tasks**2 + tf.range(tasks**2, dtype=tf.int64)
    bits = tf.cast(counter, tf.uint64) + tf.constant(seed * 0xD1342543DE82EF95 % 2**64, tf.uint64)
    bits *= tf.constant(0x9E3779B97F4A7C15, tf.uint64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        bits = (bits ^ tf.bitwise.right_shift(bits, tf.constant(shift, tf.uint64))) * tf.constant(factor, tf.uint64)
    high = tf.cast(tf.bitwise.right_shift(bits, tf.constant(33, tf.uint64)), tf.int32)
    return tf.argsort(tf.reshape(high, [tasks, tasks]), axis=1)
