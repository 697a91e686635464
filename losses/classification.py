"""Classification: cross-entropies in nats and accuracies, per example."""

from __future__ import annotations

import math
from collections.abc import Sequence

import tensorflow as tf

from losses import guard


def softmax_cross_entropy(
    labels: tf.Tensor,
    logits: tf.Tensor,
    label_smoothing: float = 0.0,
    class_weights: Sequence[float] | None = None,
) -> tf.Tensor:
    """Cross-entropy between one class label per example and the softmax of the logits.

    Formula: ``-w_label sum_c t_c log softmax(logits)_c`` with ``t = (1 - s) onehot(label) + s / C``, ``s`` the
    smoothing, and ``w_c = C v_c / sum(v)`` for class weights ``v``, 1 without them.

    The factors ``w`` have a mean of 1 over the classes, so the mean over a batch with as many examples of
    each class stays a mean. They are not divided by their sum over the batch at hand: an example's loss
    would then depend on the others.

    Args:
      labels: ``[B]``, any integer dtype, in ``[0, C)``. A label outside raises on a CPU and gives NaN on a
        GPU or under XLA.
      logits: ``[B, C]``, floating, ``C >= 2``; any finite values.
      label_smoothing: The fraction of the target that is spread evenly over all classes, in ``[0, 1)``.
      class_weights: ``C`` positive numbers, the weight of an example by its label; only their ratios count.

    Returns:
      ``[B]``, nats.

    Raises:
      ValueError: A wrong shape or dtype, or ``label_smoothing`` or ``class_weights`` out of range.

    Source: Goodfellow et al., Deep Learning, 2016, section 6.2.2.3; smoothing: Szegedy et al. 2016
        (arXiv 1512.00567), section 7; weights: King & Zeng 2001, Logistic regression in rare events data,
        section 4 (the weighted likelihood).
    """
    _check_smoothing(label_smoothing)
    labels, logits = guard.classes(labels, logits)
    loss = _cross_entropy(labels, logits)
    if label_smoothing != 0.0:
        # Cross-entropy is linear in the target, so the uniform part is the mean over classes.
        to_uniform = -tf.reduce_mean(tf.nn.log_softmax(logits), axis=-1)
        loss = (1.0 - label_smoothing) * loss + label_smoothing * to_uniform
    return loss if class_weights is None else _class_factors(labels, logits, class_weights) * loss


def sigmoid_cross_entropy(labels: tf.Tensor, logits: tf.Tensor, label_smoothing: float = 0.0) -> tf.Tensor:
    """Cross-entropy of independent yes/no labels, summed over all axes but the first.

    Formula: ``-sum_j [t_j log sigmoid(l_j) + (1 - t_j) log(1 - sigmoid(l_j))]`` with ``t = (1 - s) y + s / 2``.

    Args:
      labels: ``[B, ...]``, bool, integer or floating, in ``[0, 1]``.
      logits: ``[B, ...]``, floating, of the shape of ``labels``; any finite values.
      label_smoothing: How far each label moves towards 1/2, in ``[0, 1)``.

    Returns:
      ``[B]``, nats.

    Raises:
      ValueError: Two shapes, logits that are not floating, or ``label_smoothing`` out of range.

    Source: Goodfellow et al., Deep Learning, 2016, section 6.2.2.2.
    """
    _check_smoothing(label_smoothing)
    (logits,) = guard.floats(logits=logits)
    labels = tf.cast(labels, logits.dtype)
    labels, logits = guard.rows(labels=labels, logits=logits)
    target = (1.0 - label_smoothing) * labels + 0.5 * label_smoothing if label_smoothing else labels
    cell = tf.nn.sigmoid_cross_entropy_with_logits(labels=target, logits=logits)
    return tf.reduce_sum(cell, axis=1)


def accuracy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Whether the largest logit is the label's; among equal logits the first class wins.

    Formula: ``1 if argmax_c logits_c = label else 0``.

    Args:
      labels: ``[B]``, any integer dtype, in ``[0, C)``.
      logits: ``[B, C]``, floating, ``C >= 2``.

    Returns:
      ``[B]``, 0 or 1 (a fraction, once averaged). No gradient.

    Raises:
      ValueError: A wrong shape or dtype.

    Source: the definition; the zero-one loss is 1 minus this.
    """
    labels, logits = guard.classes(labels, logits)
    return tf.cast(tf.equal(tf.argmax(logits, axis=-1), labels), logits.dtype)


def top_k_accuracy(labels: tf.Tensor, logits: tf.Tensor, k: int = 5) -> tf.Tensor:
    """Whether the label's logit is among the ``k`` largest; among equal logits the first classes win.

    Formula: ``1 if #{c : l_c > l_label, or l_c = l_label and c < label} < k else 0``. ``k = 1`` is ``accuracy``.

    Args:
      labels: ``[B]``, any integer dtype, in ``[0, C)``.
      logits: ``[B, C]``, floating, ``C >= 2``. A label whose logit is NaN is not among the largest.
      k: How many guesses are allowed, from 1 to ``C``; with ``C`` every guess is right.

    Returns:
      ``[B]``, 0 or 1 (a fraction, once averaged). No gradient.

    Raises:
      ValueError: A wrong shape or dtype, or ``k`` out of range.

    Source: Russakovsky et al. 2015 (arXiv 1409.0575), section 4.1 (the top-5 error is 1 minus this).
    """
    labels, logits = guard.classes(labels, logits)
    count = logits.shape[1]
    guard.require(count is not None, "logits", guard.shape_of(logits), "of a known number of classes")
    guard.require(1 <= k <= count, "k", k, f"from 1 to the number of classes, {count}")
    own = tf.gather(logits, labels, axis=1, batch_dims=1)[:, None]
    later = tf.range(count, dtype=tf.int64) > labels[:, None]
    # Counted are those below and not those above: beside a NaN there are none.
    below = (logits < own) | ((logits == own) & later)
    return tf.cast(tf.math.count_nonzero(below, axis=1) >= count - k, logits.dtype)


def binary_accuracy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """The fraction of an example's yes/no labels that the sign of the logit tells.

    Formula: ``mean_j [1 if (l_j > 0) = (y_j > 1/2) else 0]``; a logit of exactly 0 says no.

    Args:
      labels: ``[B, ...]``, bool, integer or floating, in ``[0, 1]``.
      logits: ``[B, ...]``, floating, of the shape of ``labels``.

    Returns:
      ``[B]``, a fraction in ``[0, 1]``; 0 or 1 where there is one label per example. No gradient.

    Raises:
      ValueError: Two shapes, or logits that are not floating.

    Source: the definition.
    """
    (logits,) = guard.floats(logits=logits)
    labels = tf.cast(labels, logits.dtype)
    labels, logits = guard.rows(labels=labels, logits=logits)
    right = tf.cast(tf.equal(logits > 0.0, labels > 0.5), logits.dtype)
    return tf.reduce_mean(right, axis=1)


def _cross_entropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """``-log softmax(logits)_label``, ``[B]``.

    Where a GPU must give the same bits in each run, TensorFlow's function takes the label's entry, whose gradient
    is a scatter, and XLA makes of that a loop over the examples: 450 of 5 500 us of a ResNet-18's update on an H100.
    """
    if not tf.config.list_physical_devices("GPU"):
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    count = tf.shape(logits)[1]
    chosen = tf.one_hot(labels, count, dtype=logits.dtype)
    loss = -tf.reduce_sum(chosen * tf.nn.log_softmax(logits), axis=1)
    known = (labels >= 0) & (labels < tf.cast(count, labels.dtype))
    return tf.where(known, loss, tf.constant(math.nan, logits.dtype))


def _check_smoothing(label_smoothing: float) -> None:
    guard.require(0.0 <= label_smoothing < 1.0, "label_smoothing", label_smoothing, "at least 0 and below 1")


def _class_factors(labels: tf.Tensor, logits: tf.Tensor, class_weights: Sequence[float]) -> tf.Tensor:
    """The weight of each example's class, ``[B]``, scaled to a mean of 1 over the classes."""
    count = logits.shape[1]
    fits = count in (None, len(class_weights)) and all(0.0 < weight < math.inf for weight in class_weights)
    guard.require(fits, "class_weights", list(class_weights), f"{count} positive numbers, one for each class")
    mean = math.fsum(class_weights) / len(class_weights)
    return tf.gather(tf.constant([weight / mean for weight in class_weights], logits.dtype), labels)
