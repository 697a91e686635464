"""The cross-entropies and the accuracies, against hand work, NumPy, identities and extremes."""

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
from losses import accuracy, binary_accuracy, sigmoid_cross_entropy, softmax_cross_entropy
from tests import references

DRAW = np.random.default_rng(1)
LABELS = np.array([2, 0, 1, 2])
LOGITS = DRAW.normal(size=(4, 3))
CELLS = DRAW.normal(size=(4, 3, 2))
YES_NO = DRAW.integers(0, 2, size=(4, 3, 2))
SMOOTHINGS = [0.0, 0.1, 0.9]


def smoothed(loss, amount):
    return lambda labels, logits: loss(labels, logits, label_smoothing=amount)


def test_softmax_cross_entropy_by_hand():
    # softmax([0, log 3]) = [1/4, 3/4]: label 0 costs log 4, label 1 costs log 4/3.
    found = softmax_cross_entropy([0, 1], [[0.0, np.log(3.0)]] * 2)
    np.testing.assert_allclose(found, [np.log(4.0), np.log(4.0 / 3.0)], rtol=1e-6)


def test_softmax_cross_entropy_smoothed_by_hand():
    # s = 0.2 over 2 classes: target [0.1, 0.9], so 0.1 log 4 + 0.9 log 4/3 = 0.138629 + 0.258914.
    found = softmax_cross_entropy([1], [[0.0, np.log(3.0)]], label_smoothing=0.2)
    np.testing.assert_allclose(found, [0.397543], rtol=1e-5)


@pytest.mark.parametrize("amount", SMOOTHINGS)
@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
def test_softmax_cross_entropy_matches_numpy(amount, dtype):
    reference = smoothed(references.softmax_cross_entropy, amount)
    assert_matches_reference(smoothed(softmax_cross_entropy, amount), reference, LABELS.astype(dtype), LOGITS)


@pytest.mark.parametrize("amount", SMOOTHINGS)
def test_softmax_cross_entropy_limits(amount):
    loss = smoothed(softmax_cross_entropy, amount)
    # Even logits say log C whatever the label; a constant added to all logits changes nothing.
    np.testing.assert_allclose(loss([0, 6], tf.zeros([2, 7])), [np.log(7.0)] * 2, rtol=1e-6)
    np.testing.assert_allclose(loss(LABELS, LOGITS + 5.0), loss(LABELS, LOGITS), rtol=1e-9)


def test_softmax_cross_entropy_gradient_is_softmax_minus_target():
    logits = tf.constant(LOGITS)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = softmax_cross_entropy(LABELS, logits)
    expected = tf.nn.softmax(logits) - np.eye(3)[LABELS]
    np.testing.assert_allclose(tape.gradient(value, logits), expected, atol=1e-12)


def test_sigmoid_cross_entropy_by_hand():
    # sigmoid(log 3) = 3/4: a yes costs log 4/3, a no costs log 4; one example holds both, so log 16/3.
    found = sigmoid_cross_entropy([[1, 0]], [[np.log(3.0)] * 2])
    np.testing.assert_allclose(found, [np.log(16.0 / 3.0)], rtol=1e-6)


@pytest.mark.parametrize("amount", SMOOTHINGS)
@pytest.mark.parametrize("dtype", ["bool", "uint8", "float64"])
def test_sigmoid_cross_entropy_matches_numpy(amount, dtype):
    reference = smoothed(references.sigmoid_cross_entropy, amount)
    found = smoothed(sigmoid_cross_entropy, amount)
    # NumPy has no minus of bools: the reference always sees numbers.
    assert_matches_reference(lambda y, logits: found(tf.cast(y, dtype), logits), reference, YES_NO, CELLS)


def test_sigmoid_cross_entropy_is_a_softmax_over_zero_and_the_logit():
    labels, logits = np.array([0, 1, 1]), np.array([0.3, -2.0, 4.0])
    pairs = np.stack([np.zeros(3), logits], axis=1)
    expected = softmax_cross_entropy(labels, pairs)
    np.testing.assert_allclose(sigmoid_cross_entropy(labels, logits), expected, rtol=1e-12)
    # Smoothing by s moves both targets by s / 2.
    expected = softmax_cross_entropy(labels, pairs, label_smoothing=0.3)
    np.testing.assert_allclose(sigmoid_cross_entropy(labels, logits, 0.3), expected, rtol=1e-12)


def test_accuracy_by_hand():
    # Row 0 says class 1 (right), row 1 says class 0 (wrong), row 2 is a tie: the first class, 0 (right).
    found = accuracy([1, 2, 0], [[0.0, 2.0, 1.0], [3.0, 0.0, 1.0], [1.0, 1.0, 0.0]])
    np.testing.assert_array_equal(found, [1.0, 0.0, 1.0])


def test_accuracy_matches_numpy_and_its_limits():
    assert_matches_reference(accuracy, references.accuracy, LABELS, LOGITS)
    best = LOGITS.argmax(axis=1)
    np.testing.assert_array_equal(accuracy(best, LOGITS), np.ones(4))
    np.testing.assert_array_equal(accuracy((best + 1) % 3, LOGITS), np.zeros(4))


def test_binary_accuracy_by_hand():
    # Signs of the logits say [yes, no], [yes, no (exactly 0)]; the labels agree with 2 and with 1 of 2.
    found = binary_accuracy([[1, 0], [1, 1]], [[0.5, -2.0], [3.0, 0.0]])
    np.testing.assert_array_equal(found, [1.0, 0.5])


def test_binary_accuracy_matches_numpy_and_its_limits():
    assert_matches_reference(binary_accuracy, references.binary_accuracy, YES_NO, CELLS)
    np.testing.assert_array_equal(binary_accuracy(CELLS > 0, CELLS), np.ones(4))
    np.testing.assert_array_equal(binary_accuracy(CELLS < 0, CELLS), np.zeros(4))


@pytest.mark.parametrize("amount", SMOOTHINGS)
def test_gradients_and_extremes(amount):
    softmax, sigmoid = smoothed(softmax_cross_entropy, amount), smoothed(sigmoid_cross_entropy, amount)
    assert_gradients_match_finite_differences(softmax, LABELS, LOGITS)
    assert_gradients_match_finite_differences(sigmoid, YES_NO, CELLS)
    assert_finite(softmax, [0, 1, 2], [[1e4, -1e4, 0.0]] * 3)
    assert_finite(sigmoid, [[0, 1], [0, 1]], [[1e4, 1e4], [-1e4, -1e4]])


def test_value_at_extremes():
    # The wrong class leads by 20,000: the loss is the lead itself.
    np.testing.assert_allclose(softmax_cross_entropy([1], [[1e4, -1e4]]), [2e4])
    np.testing.assert_allclose(sigmoid_cross_entropy([0, 1], [1e4, 1e4]), [1e4, 0.0])
    assert_finite(accuracy, [0], [[1e4, -1e4]])
    assert_finite(binary_accuracy, [0], [-1e4])


@pytest.mark.parametrize("amount", [0.0, 0.1])
def test_plans_agree(amount):
    assert_plans_agree(smoothed(softmax_cross_entropy, amount), LABELS, LOGITS)
    assert_plans_agree(smoothed(sigmoid_cross_entropy, amount), YES_NO, CELLS)
    assert_plans_agree(accuracy, LABELS, LOGITS)
    assert_plans_agree(binary_accuracy, YES_NO, CELLS)


@pytest.mark.parametrize("loss", [softmax_cross_entropy, accuracy])
@pytest.mark.parametrize(
    "labels, logits, message",
    [
        ([[0]] * 8, [[0.0, 1.0]] * 8, "`labels` (shape (8, 1)) must be of the batch shape of `logits`, (8,)"),
        ([0] * 7, [[0.0, 1.0]] * 8, "`labels` (shape (7,)) must be of the batch shape of `logits`, (8,)"),
        ([0.0] * 8, [[0.0, 1.0]] * 8, "`labels` (dtype float32) must be integer class indices"),
        ([0] * 8, [0.0] * 8, "`logits` (shape (8,)) must be of shape [batch, classes]"),
        ([0] * 8, [[0.0]] * 8, "`logits` (shape (8, 1)) must be of 2 classes or more"),
        ([0] * 2, [[0, 1]] * 2, "`logits` (dtype int32) must be floating point"),
    ],
)
def test_class_guards(loss, labels, logits, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        loss(labels, logits)


@pytest.mark.parametrize("loss", [sigmoid_cross_entropy, binary_accuracy])
def test_yes_no_guards(loss):
    with pytest.raises(
        ValueError, match=r"^`logits` \(shape \(8, 1\)\) must be of the shape of `labels`, \(8,\)$"
    ):
        loss(tf.zeros([8]), tf.zeros([8, 1]))
    with pytest.raises(ValueError, match=r"^`labels` \(shape \(\)\) must be of a known rank of 1 or more"):
        loss(1.0, 0.5)


@pytest.mark.parametrize("amount", [1.5, 1.0, -0.1, float("nan")])
@pytest.mark.parametrize("loss", [softmax_cross_entropy, sigmoid_cross_entropy])
def test_label_smoothing_has_a_range(loss, amount):
    with pytest.raises(ValueError, match=rf"^`label_smoothing` \({amount}\) must be at least 0 and below 1$"):
        loss([0], [[0.0, 1.0]], label_smoothing=amount)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
@pytest.mark.parametrize("amount", SMOOTHINGS)
def test_softmax_cross_entropy_as_on_a_gpu(amount, dtype, monkeypatch):
    loss, labels, logits = smoothed(softmax_cross_entropy, amount), LABELS.astype(dtype), tf.constant(LOGITS)

    def both():
        with tf.GradientTape() as tape:
            tape.watch(logits)
            values = loss(labels, logits)
        return values, tape.gradient(values, logits)

    expected = both()
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["GPU:0"])
    for found, value in zip(both(), expected, strict=True):
        np.testing.assert_allclose(found, value, rtol=1e-12, atol=1e-15)
    graph = tf.function(both).get_concrete_function().graph
    assert not {operation.type for operation in graph.get_operations()} & {"GatherV2", "GatherNd", "ScatterNd"}


def test_softmax_cross_entropy_as_on_a_gpu_at_the_extremes(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["GPU:0"])
    np.testing.assert_allclose(softmax_cross_entropy([0, 1], [[1e4, -1e4], [1e4, -1e4]]), [0.0, 2e4])
    # A label that there is not must not be trained on without a word.
    assert np.isnan(softmax_cross_entropy([-1, 3], [[0.0, 1.0, 2.0]] * 2)).all()
