"""Mixup: the fraction's distribution against its integral, and points between examples."""

import numpy as np
import pytest
import tensorflow as tf

from engine.testing import (
    assert_finite,
    assert_gradients_match_finite_differences,
    assert_matches_reference,
    assert_plans_agree,
)
from losses import mixup, softmax_cross_entropy, symmetric_beta
from tests import references

DRAW = np.random.default_rng(7)
RADIUS, ANGLE = DRAW.uniform(size=(2, 40))
FIRST, SECOND = DRAW.normal(size=(2, 4, 3, 2))
FRACTION = DRAW.uniform(size=4)
ALPHAS = [0.1, 0.2, 0.5, 1.0, 2.0, 30.0]


def with_alpha(function, alpha):
    return lambda radius, angle: function(radius, angle, alpha)


def test_symmetric_beta_by_hand():
    # alpha 1: u = 1 - 3/4, so t^2 = 4 - 1 = 3 times cos^2. Angle 0: t = sqrt 3, 1/2 (1 + sqrt 3 / 2) = 0.933013;
    # half a turn: the other side; a quarter: t = 0; a third: cos -1/2, t^2 = 3/4, 1/2 (1 - sqrt(3/7)) = 0.172673.
    found = symmetric_beta([0.75] * 4, [0.0, 0.5, 0.25, 1.0 / 3.0], 1.0)
    np.testing.assert_allclose(found, [0.933013, 0.066987, 0.5, 0.172673], rtol=1e-5)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_symmetric_beta_matches_numpy_and_plans(alpha):
    assert_matches_reference(
        with_alpha(symmetric_beta, alpha), with_alpha(references.symmetric_beta, alpha), RADIUS, ANGLE
    )
    assert_plans_agree(with_alpha(symmetric_beta, alpha), RADIUS, ANGLE)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("alpha", ALPHAS)
def test_symmetric_beta_has_the_distribution(alpha, dtype):
    # Kolmogorov-Smirnov against the incomplete beta integral at 2,000 places: the fractions of 100,000 draws below
    # them are off by less than 1.95 / sqrt(100,000) with probability 0.999.
    radius, angle = np.random.default_rng(0).integers(0, 2**23, (2, 100_000)).astype(dtype) / 2**23
    fractions = np.sort(symmetric_beta(radius.astype(dtype), angle.astype(dtype), alpha).numpy())
    places = np.linspace(0.0, 1.0, 2_002)[1:-1]
    expected = tf.math.betainc(*(tf.constant(np.broadcast_to(x, 2_000), tf.float64) for x in (alpha, alpha, places)))
    found = np.searchsorted(fractions, places) / 100_000
    assert np.max(np.abs(found - expected)) < 1.95 / np.sqrt(100_000)


def test_symmetric_beta_moments():
    # Variance 1 / (4 (2 alpha + 1)), from the textbook's formula with both parameters alpha.
    radius, angle = np.random.default_rng(1).uniform(size=(2, 200_000))
    for alpha in ALPHAS:
        fractions = symmetric_beta(radius, angle, alpha).numpy()
        variance = 1.0 / (4.0 * (2.0 * alpha + 1.0))
        assert abs(fractions.mean() - 0.5) < 4.0 * np.sqrt(variance / 200_000)
        np.testing.assert_allclose(fractions.var(), variance, rtol=0.01)


def test_symmetric_beta_limits():
    # A large alpha: always half. A small one: 0 or 1.
    np.testing.assert_allclose(symmetric_beta(RADIUS, ANGLE, 1e8), np.full(40, 0.5), atol=1e-3)
    fractions = symmetric_beta(RADIUS, ANGLE, 1e-4).numpy()
    np.testing.assert_allclose(fractions, np.round(fractions), atol=1e-6)
    np.testing.assert_array_equal(np.round(fractions), np.cos(2.0 * np.pi * ANGLE) > 0)


@pytest.mark.parametrize("alpha", [1e-30, 0.1, 1.0, 1e30])
def test_symmetric_beta_stays_a_fraction_at_the_ends(alpha):
    ends = np.array([0.0, 1e-30, 1.0 - 2.0**-24])
    angles = [0.0, 0.25, 0.5, 0.75, 1.0 - 2.0**-24]
    radius, angle = (grid.ravel().astype("float32") for grid in np.meshgrid(ends, angles))
    assert_finite(with_alpha(symmetric_beta, alpha), radius, angle)
    fractions = symmetric_beta(radius, angle, alpha).numpy()
    assert fractions.min() >= 0.0 and fractions.max() <= 1.0
    np.testing.assert_array_equal(fractions[radius == 0.0], 0.5)


def test_symmetric_beta_has_no_gradient():
    radius = tf.constant(RADIUS)
    with tf.GradientTape() as tape:
        tape.watch(radius)
        fractions = symmetric_beta(radius, ANGLE, 0.5)
    assert tape.gradient(fractions, radius) is None


def test_mixup_by_hand():
    # A quarter of the way from (8, 0) to (0, 4): fraction 3/4 of the first; and all of the second.
    found = mixup([[8.0, 0.0], [1.0, 1.0]], [[0.0, 4.0], [5.0, 6.0]], [0.75, 0.0])
    np.testing.assert_array_equal(found, [[6.0, 1.0], [5.0, 6.0]])


def test_mixup_matches_numpy_finite_differences_and_plans():
    assert_matches_reference(mixup, references.mixup, FIRST, SECOND, FRACTION)
    assert_matches_reference(mixup, references.mixup, FIRST[:, 0, 0], SECOND[:, 0, 0], FRACTION)
    assert_gradients_match_finite_differences(mixup, FIRST, SECOND, FRACTION)
    assert_plans_agree(mixup, FIRST, SECOND, FRACTION)
    assert_finite(mixup, [[1e30, -1e30]] * 2, [[-1e30, 1e-30]] * 2, [0.0, 1.0])


def test_mixup_limits():
    np.testing.assert_array_equal(mixup(FIRST, SECOND, np.ones(4)), FIRST)
    np.testing.assert_array_equal(mixup(FIRST, SECOND, np.zeros(4)), SECOND)
    np.testing.assert_allclose(mixup(FIRST, FIRST, FRACTION), FIRST, rtol=1e-12)
    np.testing.assert_allclose(mixup(FIRST, SECOND, FRACTION), mixup(SECOND, FIRST, 1.0 - FRACTION), rtol=1e-12)


def test_mixed_losses_are_the_loss_of_the_mixed_label():
    # Equation 2 of the paper: the target is fraction onehot(a) + (1 - fraction) onehot(b).
    logits, a, b = FIRST[:, :, 0], np.array([0, 1, 2, 0]), np.array([2, 2, 0, 0])
    target = FRACTION[:, None] * np.eye(3)[a] + (1.0 - FRACTION[:, None]) * np.eye(3)[b]
    expected = -(target * np.log(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))).sum(axis=1)
    found = mixup(softmax_cross_entropy(a, logits), softmax_cross_entropy(b, logits), FRACTION)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("alpha", [0.0, -1.0, float("inf"), float("nan")])
def test_alpha_has_a_range(alpha):
    with pytest.raises(ValueError, match=rf"^`alpha` \({alpha}\) must be above 0 and finite$"):
        symmetric_beta([0.5], [0.5], alpha)


def test_guards():
    with pytest.raises(ValueError, match=r"^`angle` \(shape \(8, 1\)\) must be of the shape of `radius`, \(8,\)$"):
        symmetric_beta(tf.zeros([8]), tf.zeros([8, 1]), 1.0)
    with pytest.raises(ValueError, match=r"^`radius` \(dtype int32\) must be floating point$"):
        symmetric_beta([1, 2], [0.5, 0.5], 1.0)
    with pytest.raises(ValueError, match=r"^`second` \(shape \(8, 1\)\) must be of the shape of `first`, \(8,\)$"):
        mixup(tf.zeros([8]), tf.zeros([8, 1]), tf.zeros([8]))
    message = r"^`fraction` \(shape \(8, 1\)\) must be one number per example, of shape \(8,\)$"
    with pytest.raises(ValueError, match=message):
        mixup(tf.zeros([8, 2]), tf.zeros([8, 2]), tf.zeros([8, 1]))
    with pytest.raises(ValueError, match=r"^`first` \(dtype uint8\) must be floating point$"):
        mixup(tf.zeros([8], tf.uint8), tf.zeros([8]), tf.zeros([8]))
