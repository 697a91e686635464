"""The likelihoods, against hand work, NumPy, the total of probability and extremes."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from engine.testing import (
    assert_finite,
    assert_gradients_match_finite_differences,
    assert_matches_reference,
    assert_plans_agree,
)
from losses import bernoulli_nll, gaussian_nll, importance_weighted_nll
from tests import references

DRAW = np.random.default_rng(3)
GREY = DRAW.uniform(size=(4, 3, 2))
LOGITS, X, MEAN, LOG_VAR = DRAW.normal(size=(4, 4, 3, 2))


def test_bernoulli_nll_by_hand():
    # sigmoid(log 3) = 3/4. White costs log 4/3, black log 4, half grey the mean of both.
    white, black = np.log(4.0 / 3.0), np.log(4.0)
    found = bernoulli_nll([[1.0, 0.0], [0.5, 0.5]], [[np.log(3.0)] * 2] * 2)
    np.testing.assert_allclose(found, [white + black, white + black], rtol=1e-6)


@pytest.mark.parametrize("x", [GREY, np.round(GREY)], ids=["grey", "binary"])
def test_bernoulli_nll_matches_numpy(x):
    assert_matches_reference(bernoulli_nll, references.bernoulli_nll, x, LOGITS)


def test_bernoulli_probabilities_of_all_images_sum_to_one():
    images = np.array(list(itertools.product([0.0, 1.0], repeat=5)))
    logits = np.tile(np.array([0.3, -2.0, 0.0, 5.0, 1.0]), (len(images), 1))
    np.testing.assert_allclose(np.exp(-bernoulli_nll(images, logits)).sum(), 1.0, rtol=1e-12)


def test_bernoulli_nll_of_grey_is_least_at_the_grey_itself():
    logits = tf.constant(np.log(GREY / (1.0 - GREY)))
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = bernoulli_nll(GREY, logits)
    np.testing.assert_allclose(tape.gradient(value, logits), np.zeros_like(GREY), atol=1e-12)


def test_gaussian_nll_by_hand():
    # Variance 1 at the mean: 1/2 log 2 pi = 0.918939. Variance 4 at one standard deviation (2): that + log 2 + 1/2.
    found = gaussian_nll([[0.0], [3.0]], [[0.0], [1.0]], [[0.0], [np.log(4.0)]])
    np.testing.assert_allclose(found, [0.9189385, 0.9189385 + np.log(2.0) + 0.5], rtol=1e-6)


def test_gaussian_nll_matches_numpy():
    assert_matches_reference(gaussian_nll, references.gaussian_nll, X, MEAN, LOG_VAR)


def test_gaussian_density_integrates_to_one():
    x = np.linspace(-40.0, 40.0, 8001)
    for mean, log_var in [(0.0, 0.0), (3.0, 2.0), (-1.0, -3.0)]:
        density = np.exp(-gaussian_nll(x, np.full_like(x, mean), np.full_like(x, log_var)))
        np.testing.assert_allclose(density.sum() * (x[1] - x[0]), 1.0, rtol=1e-9)


def test_gaussian_nll_averages_to_the_entropy():
    # Monte Carlo: E[-log p] = 1/2 (1 + log 2 pi + log_var) per dimension; the standard error is
    # sqrt(1/2 per dimension / draws) = sqrt(2 * 1/2 / 50,000) = 0.0045.
    log_var = np.tile([1.0, -2.0], (50_000, 1))
    x = np.exp(log_var / 2) * np.random.default_rng(0).normal(size=log_var.shape)
    entropy = 1.0 + np.log(2.0 * np.pi) - 0.5
    assert abs(np.mean(gaussian_nll(x, np.zeros_like(x), log_var)) - entropy) < 4 * 0.0045


def test_gradients_match_finite_differences():
    assert_gradients_match_finite_differences(bernoulli_nll, GREY, LOGITS)
    assert_gradients_match_finite_differences(gaussian_nll, X, MEAN, LOG_VAR)


def test_finite_at_extremes():
    assert_finite(bernoulli_nll, [[0.0, 1.0, 0.5]] * 2, [[1e4] * 3, [-1e4] * 3])
    assert_finite(gaussian_nll, [[0.0, 1.0, -1.0]] * 2, [[0.0] * 3] * 2, [[80.0] * 3, [-80.0] * 3])
    assert_finite(gaussian_nll, [1.0, 1.0], [1.0, 1.0], [-170.0, 1e4])
    # A sure and right answer costs nothing, a sure and wrong one its logit.
    np.testing.assert_allclose(bernoulli_nll([[1.0, 0.0]], [[1e4, 1e4]]), [1e4])


def test_half_precision_is_summed_in_float32():
    # 20,000 cells of log 2 in float16 would stop counting at 2,048 or overflow at 65,504.
    found = bernoulli_nll(tf.ones([1, 20_000], tf.float16), tf.zeros([1, 20_000], tf.float16))
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, [20_000 * np.log(2.0)], rtol=1e-5)


def test_plans_agree():
    assert_plans_agree(bernoulli_nll, GREY, LOGITS)
    assert_plans_agree(gaussian_nll, X, MEAN, LOG_VAR)


def test_guards():
    flat, column = tf.zeros([8]), tf.zeros([8, 1])
    with pytest.raises(
        ValueError, match=r"^`logits` \(shape \(8, 1\)\) must be of the shape of `x`, \(8,\)$"
    ):
        bernoulli_nll(flat, column)
    with pytest.raises(ValueError, match=r"^`x` \(dtype uint8\) must be floating point$"):
        bernoulli_nll(tf.zeros([8], tf.uint8), flat)
    with pytest.raises(ValueError, match=r"^`mean` \(shape \(8, 1\)\) must be of the shape of `x`, \(8,\)$"):
        gaussian_nll(flat, column, flat)
    with pytest.raises(
        ValueError, match=r"^`log_var` \(shape \(8, 1\)\) must be of the shape of `x`, \(8,\)$"
    ):
        gaussian_nll(flat, flat, column)


def test_unknown_sizes_pass_and_a_known_clash_does_not():
    unknown = tf.TensorSpec([None, 3], tf.float32)
    tf.function(bernoulli_nll).get_concrete_function(unknown, tf.TensorSpec([8, 3], tf.float32))
    # The first two could be anything; the last two cannot be equal.
    with pytest.raises(
        ValueError, match=r"`log_var` \(shape \(1, 3\)\) must be of the shape of `mean`, \(8, 3\)"
    ):
        tf.function(gaussian_nll).get_concrete_function(
            unknown, tf.TensorSpec([8, 3], tf.float32), tf.TensorSpec([1, 3], tf.float32)
        )
    with pytest.raises(ValueError, match=r"`x` \(shape unknown\) must be of a known rank of 1 or more"):
        tf.function(bernoulli_nll).get_concrete_function(tf.TensorSpec(None, tf.float32), unknown)


WEIGHTS = DRAW.normal(size=(4, 5)) * 3.0


def test_importance_weighted_nll_by_hand():
    # Weights 1 and 3: -log of their mean 2. One weight of e^-3: 3.
    np.testing.assert_allclose(importance_weighted_nll([[0.0, np.log(3.0)]]), [-np.log(2.0)], rtol=1e-6)
    np.testing.assert_array_equal(importance_weighted_nll([[-3.0], [2.0]]), [3.0, -2.0])


def test_importance_weighted_nll_matches_numpy_finite_differences_and_plans():
    assert_matches_reference(importance_weighted_nll, references.importance_weighted_nll, WEIGHTS)
    assert_gradients_match_finite_differences(importance_weighted_nll, WEIGHTS)
    assert_plans_agree(importance_weighted_nll, WEIGHTS)


def test_importance_weighted_nll_limits():
    # Equal weights are one weight; the largest alone costs log k more than it; never above the mean (Jensen).
    np.testing.assert_allclose(importance_weighted_nll(np.full([2, 7], -90.0)), [90.0] * 2, rtol=1e-12)
    np.testing.assert_allclose(importance_weighted_nll([[-700.0, 0.0, -700.0]]), [np.log(3.0)], rtol=1e-6)
    assert np.all(importance_weighted_nll(WEIGHTS) < -WEIGHTS.mean(axis=1))


def test_importance_weighted_gradient_is_minus_the_fraction_of_each_weight():
    weights = tf.constant(WEIGHTS)
    with tf.GradientTape() as tape:
        tape.watch(weights)
        value = importance_weighted_nll(weights)
    expected = -np.exp(WEIGHTS) / np.exp(WEIGHTS).sum(axis=1, keepdims=True)  # equation 14 of the paper
    np.testing.assert_allclose(tape.gradient(value, weights), expected, rtol=1e-9)


def test_more_samples_tighten_the_bound():
    # Monte Carlo, p(z) = N(0, 1), p(x | z) = N(z, 1), so p(x) = N(0, 2); q = N(0, 1) and x = 1. Then log w is
    # -1/2 (log 2 pi + (1 - z)^2), the first bound its mean, 1/2 (log 2 pi + 2) = 1.918939, and the truth
    # 1/2 (log 4 pi + 1/2) = 1.515512.
    z = np.random.default_rng(0).normal(size=200_000)
    log_weights = -0.5 * (np.log(2.0 * np.pi) + (1.0 - z) ** 2)
    bounds = [float(np.mean(importance_weighted_nll(log_weights.reshape(-1, k)))) for k in (1, 5, 50, 200_000)]
    # The standard deviation of (1 - z)^2 / 2 is sqrt(1.5).
    assert abs(bounds[0] - 1.918939) < 4 * 1.23 / np.sqrt(200_000)
    assert bounds[0] > bounds[1] > bounds[2] > bounds[3]
    assert abs(bounds[3] - 1.515512) < 0.01


def test_importance_weighted_nll_at_extremes():
    assert_finite(importance_weighted_nll, [[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4]])
    np.testing.assert_allclose(importance_weighted_nll([[-1e4, -1e4]]), [1e4])  # exp alone would be 0


@pytest.mark.parametrize("shape", [[8], [8, 0], [8, 2, 3]])
def test_importance_weighted_guards(shape):
    message = rf"^`log_weights` \(shape \({', '.join(map(str, shape))},?\)\) must be of shape \[batch, samples\], 1 "
    with pytest.raises(ValueError, match=message):
        importance_weighted_nll(tf.zeros(shape))
