"""What many and uneven classes need: class weights in the cross-entropy, and top-k accuracy."""

import re

import numpy as np
import pytest
import tensorflow as tf

from engine.testing import (
    assert_finite,
    assert_gradients_match_finite_differences,
    assert_matches_reference,
    assert_plans_agree,
)
from losses import accuracy, softmax_cross_entropy, top_k_accuracy
from tests import references

DRAW = np.random.default_rng(8)
LABELS = np.array([2, 0, 1, 2])
LOGITS = DRAW.normal(size=(4, 3))
WEIGHTS = (1.0, 4.0, 0.5)


def weighted(loss, weights=WEIGHTS, amount=0.0):
    return lambda labels, logits: loss(labels, logits, label_smoothing=amount, class_weights=weights)


def with_k(metric, k):
    return lambda labels, logits: metric(labels, logits, k=k)


def test_weights_by_hand():
    # Weights 1 and 3 have a mean of 2: factors 1/2 and 3/2, on log 4 and log 4/3.
    found = softmax_cross_entropy([0, 1], [[0.0, np.log(3.0)]] * 2, class_weights=[1, 3])
    np.testing.assert_allclose(found, [0.5 * np.log(4.0), 1.5 * np.log(4.0 / 3.0)], rtol=1e-6)


@pytest.mark.parametrize("amount", [0.0, 0.3])
def test_weights_match_numpy_finite_differences_and_plans(amount):
    loss = weighted(softmax_cross_entropy, amount=amount)
    assert_matches_reference(loss, weighted(references.softmax_cross_entropy, amount=amount), LABELS, LOGITS)
    assert_gradients_match_finite_differences(loss, LABELS, LOGITS)
    assert_plans_agree(loss, LABELS, LOGITS)
    assert_finite(loss, [0, 1, 2], [[1e4, -1e4, 0.0]] * 3)


def test_only_the_ratios_of_weights_count_and_equal_ones_are_none():
    plain = softmax_cross_entropy(LABELS, LOGITS)
    np.testing.assert_allclose(weighted(softmax_cross_entropy, [7.0] * 3)(LABELS, LOGITS), plain, rtol=1e-12)
    scaled = weighted(softmax_cross_entropy, [1e3 * weight for weight in WEIGHTS])(LABELS, LOGITS)
    np.testing.assert_allclose(scaled, weighted(softmax_cross_entropy)(LABELS, LOGITS), rtol=1e-12)


def test_the_mean_over_a_balanced_batch_stays_a_mean():
    # Equal logits cost log 3 for each class; the factors have a mean of 1.
    found = weighted(softmax_cross_entropy)(np.array([0, 1, 2]), np.zeros([3, 3]))
    np.testing.assert_allclose(np.mean(found), np.log(3.0), rtol=1e-12)


def test_weights_undo_an_imbalance():
    # Nine of class 0 and one of class 1, weighted by the inverse of their counts: in sum as if balanced.
    labels, logits = np.array([0] * 9 + [1]), np.tile([0.3, -0.4], (10, 1))
    found = softmax_cross_entropy(labels, logits, class_weights=[1 / 9, 1]).numpy()
    assert found[:9].sum() / found[9] == pytest.approx(
        float(softmax_cross_entropy([0], logits[:1])[0] / softmax_cross_entropy([1], logits[:1])[0])
    )


@pytest.mark.parametrize("weights", [(1.0, 2.0), (1.0, 2.0, 3.0, 4.0), (1.0, 0.0, 1.0), (1.0, -1.0, 1.0),
                                     (1.0, float("nan"), 1.0), (1.0, float("inf"), 1.0), ()])
def test_weights_are_one_positive_number_per_class(weights):
    message = f"`class_weights` ({list(weights)}) must be 3 positive numbers, one for each class"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        softmax_cross_entropy(LABELS, LOGITS, class_weights=weights)


def test_top_k_by_hand():
    # Ranked: classes 1, 3, 0, 2. The label is second: not the best, among the best two.
    logits = [[0.5, 3.0, -1.0, 2.0]]
    assert [float(top_k_accuracy([3], logits, k)[0]) for k in (1, 2, 3, 4)] == [0.0, 1.0, 1.0, 1.0]
    assert [float(top_k_accuracy([2], logits, k)[0]) for k in (1, 2, 3, 4)] == [0.0, 0.0, 0.0, 1.0]


def test_top_k_among_equal_logits_takes_the_first_classes():
    # Classes 1, 2 and 3 are equal below class 0: of two guesses one is left, and it is class 1.
    logits = [[5.0, 1.0, 1.0, 1.0, 0.0]] * 5
    np.testing.assert_array_equal(top_k_accuracy([0, 1, 2, 3, 4], logits, k=2), [1.0, 1.0, 0.0, 0.0, 0.0])
    # A net that says nothing is right for k classes of C and not for all of them.
    nothing = np.zeros([10, 10])
    np.testing.assert_array_equal(top_k_accuracy(np.arange(10), nothing, k=5), [1.0] * 5 + [0.0] * 5)


@pytest.mark.parametrize("k", [1, 2, 5, 7])
def test_top_k_matches_numpy_and_plans(k):
    logits = np.round(DRAW.normal(size=(60, 7)) * 2.0)  # whole numbers: many ties
    labels = DRAW.integers(0, 7, 60)
    assert_matches_reference(with_k(top_k_accuracy, k), with_k(references.top_k_accuracy, k), labels, logits)
    assert_plans_agree(with_k(top_k_accuracy, k), labels, logits)
    for dtype in ("uint8", "int32"):
        np.testing.assert_array_equal(
            top_k_accuracy(labels.astype(dtype), logits, k), top_k_accuracy(labels, logits, k)
        )


def test_top_k_limits():
    logits = np.round(DRAW.normal(size=(60, 7)) * 2.0)
    labels = DRAW.integers(0, 7, 60)
    np.testing.assert_array_equal(top_k_accuracy(labels, logits, 1), accuracy(labels, logits))
    np.testing.assert_array_equal(top_k_accuracy(labels, logits, 7), np.ones(60))
    right = [float(np.sum(top_k_accuracy(labels, logits, k))) for k in range(1, 8)]
    assert right == sorted(right)
    # Monte Carlo: logits that know nothing are right in k of C; the standard deviation of the mean is 0.0022.
    blind = np.random.default_rng(0).normal(size=(50_000, 10))
    assert abs(np.mean(top_k_accuracy(np.arange(50_000) % 10, blind, 5)) - 0.5) < 4 * 0.0022


def test_top_k_at_extremes():
    assert_finite(with_k(top_k_accuracy, 2), [0, 1], [[1e4, -1e4, 0.0]] * 2)
    # A net that went to NaN is not called right.
    np.testing.assert_array_equal(top_k_accuracy([0, 4], np.full([2, 5], np.nan), 4), [0.0, 0.0])


@pytest.mark.parametrize("k", [0, -1, 4])
def test_k_has_a_range(k):
    with pytest.raises(ValueError, match=rf"^`k` \({k}\) must be from 1 to the number of classes, 3$"):
        top_k_accuracy(LABELS, LOGITS, k)


def test_top_k_guards():
    message = r"^`labels` \(shape \(4, 1\)\) must be of the batch shape of `logits`, \(4,\)$"
    with pytest.raises(ValueError, match=message):
        top_k_accuracy(LABELS[:, None], LOGITS, 2)
    unknown = tf.function(lambda logits: top_k_accuracy(tf.zeros([4], tf.int32), logits, 2))
    with pytest.raises(ValueError, match=r"`logits` \(shape \(4, None\)\) must be of a known number of classes"):
        unknown.get_concrete_function(tf.TensorSpec([4, None]))
