"""Binary classification of token sequences against NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from engine import Invalid, Noise
from engine.testing import try_phase
from losses.strategies import Binary
from tests import references

TOKENS = np.random.default_rng(0).integers(0, 5, (6, 7)).astype("int32")
LABELS = np.array([0, 1, 1, 0, 1, 0], "int32")
VALUES = np.array([0.0, 1.0, -2.0, 0.5, -0.25])
BATCH = {"tokens": TOKENS, "label": LABELS}


class Sum(keras.Model):
    """One logit [B]: the sum of a value per token."""

    def __init__(self):
        super().__init__()
        self.values = self.add_weight(shape=(5,), initializer=lambda shape, dtype: tf.constant(VALUES, dtype))

    def call(self, tokens, training=False):
        return tf.reduce_sum(tf.gather(self.values, tokens), axis=1)


LOGITS = VALUES[TOKENS].sum(axis=1)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_and_accuracy_of_one_logit(smoothing):
    tried = try_phase(Binary(smoothing), "classifier", {"classifier": Sum()}, BATCH)
    expected = references.sigmoid_cross_entropy(LABELS, LOGITS, smoothing).mean()
    assert tried.means["cross_entropy"] == pytest.approx(expected, rel=1e-5)
    assert tried.means["objective"] == pytest.approx(expected, rel=1e-5)  # accuracy is watched only
    assert tried.means["accuracy"] == pytest.approx(np.mean((LOGITS > 0) == LABELS))
    # d/dv is the number of times the token stands in a text, times sigmoid - target, over 6 texts
    counts = np.stack([np.bincount(row, minlength=5) for row in TOKENS])
    derivative = references.sigmoid(LOGITS) - (LABELS + smoothing * (0.5 - LABELS))
    np.testing.assert_allclose(next(iter(tried.gradients.values())), counts.T @ derivative / 6, rtol=1e-4, atol=1e-6)


def test_metrics_are_without_smoothing_and_logits_are_the_nets():
    strategy, nets = Binary(0.2), {"classifier": Sum()}
    metrics = strategy.metrics(nets, BATCH, Noise(examples=6))
    np.testing.assert_allclose(metrics["cross_entropy"], references.sigmoid_cross_entropy(LABELS, LOGITS), rtol=1e-4)
    np.testing.assert_array_equal(metrics["accuracy"], (LOGITS > 0) == LABELS)
    np.testing.assert_allclose(strategy.logits(nets, BATCH, Noise(examples=6))["logits"], LOGITS, rtol=1e-5)


def test_a_net_with_an_axis_too_many_is_refused():
    wide = keras.Sequential([keras.layers.Embedding(5, 1), keras.layers.GlobalAveragePooling1D()])  # [B, 1]
    with pytest.raises(ValueError, match=r"`logits` \(shape \(6, 1\)\) must be of the shape of `labels`, \(6,\)"):
        try_phase(Binary(), "classifier", {"classifier": wide}, BATCH)


def test_label_smoothing_has_a_range():
    with pytest.raises(Invalid, match=r"^`label_smoothing` \(1.0\) must be at least 0 and below 1$"):
        Binary(1.0)
