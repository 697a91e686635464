"""The divergences: closed form against hand work, NumPy and Monte Carlo; limits and extremes."""

import numpy as np
import pytest
import tensorflow as tf

from engine.testing import (
    assert_finite,
    assert_gradients_match_finite_differences,
    assert_matches_reference,
    assert_plans_agree,
)
from losses import free_bits, kl_between_gaussians, kl_to_standard_normal, kl_to_standard_normal_per_dimension
from tests import references

DRAW = np.random.default_rng(4)
MEAN_Q, LOG_VAR_Q, MEAN_P, LOG_VAR_P = FOUR = DRAW.normal(size=(4, 3, 2))
KL = DRAW.uniform(0.0, 2.0, size=(4, 3))
ZEROS = np.zeros([3, 2])


def floored(loss, floor):
    return lambda kl: loss(kl, floor)


def test_kl_to_standard_normal_by_hand():
    # Mean 1, variance 1: 1/2. Mean 0, variance 4: 1/2 (4 - 1 - log 4) = 0.806853. Together 1.306853.
    mean, log_var = [[1.0, 0.0], [0.0, 0.0]], [[0.0, np.log(4.0)], [0.0, 0.0]]
    np.testing.assert_allclose(
        kl_to_standard_normal_per_dimension(mean, log_var)[0], [0.5, 0.806853], rtol=1e-6
    )
    np.testing.assert_allclose(kl_to_standard_normal(mean, log_var), [1.306853, 0.0], rtol=1e-6)


def test_kl_between_gaussians_by_hand():
    # q = N(1, 1), p = N(3, 4): log(2/1) + (1 + 4) / (2 * 4) - 1/2 = 0.693147 + 0.125.
    found = kl_between_gaussians([[1.0]], [[0.0]], [[3.0]], [[np.log(4.0)]])
    np.testing.assert_allclose(found, [0.818147], rtol=1e-6)


def test_matches_numpy():
    assert_matches_reference(kl_to_standard_normal, references.kl_to_standard_normal, MEAN_Q, LOG_VAR_Q)
    assert_matches_reference(
        kl_to_standard_normal_per_dimension, references.kl_to_standard_normal_per_dimension, MEAN_Q, LOG_VAR_Q
    )
    assert_matches_reference(kl_between_gaussians, references.kl_between_gaussians, *FOUR)


def test_closed_forms_match_monte_carlo():
    estimate, error = references.kl_monte_carlo(*FOUR, samples=50_000)
    assert np.all(np.abs(kl_between_gaussians(*FOUR) - estimate) < 4 * error)
    estimate, error = references.kl_monte_carlo(MEAN_Q, LOG_VAR_Q, ZEROS, ZEROS, samples=50_000)
    assert np.all(np.abs(kl_to_standard_normal(MEAN_Q, LOG_VAR_Q) - estimate) < 4 * error)


def test_identities():
    # The standard normal is one p among others; nothing diverges from itself; dimensions add up.
    to_prior = kl_to_standard_normal(MEAN_Q, LOG_VAR_Q)
    np.testing.assert_allclose(kl_between_gaussians(MEAN_Q, LOG_VAR_Q, ZEROS, ZEROS), to_prior, rtol=1e-12)
    np.testing.assert_allclose(
        kl_between_gaussians(MEAN_Q, LOG_VAR_Q, MEAN_Q, LOG_VAR_Q), np.zeros(3), atol=1e-15
    )
    per_dimension = kl_to_standard_normal_per_dimension(MEAN_Q, LOG_VAR_Q)
    np.testing.assert_allclose(np.sum(per_dimension, axis=1), to_prior, rtol=1e-12)


def test_near_the_prior_no_digit_is_lost_and_nothing_is_negative():
    # For small v, 1/2 (e^v - 1 - v) = v^2 / 4 + v^3 / 12: at 1e-2 it is 2.5083e-5; `exp(v) - 1` alone would
    # carry an error of 6e-8 there in float32.
    small = tf.constant([[1e-2], [-1e-2]])
    found = kl_to_standard_normal(tf.zeros([2, 1]), small)
    np.testing.assert_allclose(found, [2.50835e-5, 2.49168e-5], rtol=1e-4)
    tiny = tf.constant(np.random.default_rng(0).normal(scale=1e-4, size=(1000, 1)), tf.float32)
    assert np.all(kl_to_standard_normal(tf.zeros([1000, 1]), tiny) >= 0.0)


def test_free_bits_by_hand():
    # Floor 0.5: max(0.5, 0.1) + max(0.5, 2) = 2.5. The floor is per dimension, not on the sum.
    np.testing.assert_allclose(free_bits([[0.1, 2.0], [0.1, 0.1]], 0.5), [2.5, 1.0])


@pytest.mark.parametrize("floor", [0.0, 0.7, 5.0])
def test_free_bits_matches_numpy(floor):
    assert_matches_reference(floored(free_bits, floor), floored(references.free_bits, floor), KL)


def test_free_bits_limits():
    # No floor: the plain sum. A floor above all: D * floor and no gradient.
    np.testing.assert_allclose(free_bits(KL, 0.0), KL.sum(axis=1), rtol=1e-12)
    kl = tf.constant(KL)
    with tf.GradientTape() as tape:
        tape.watch(kl)
        value = free_bits(kl, 9.0)
    np.testing.assert_array_equal(value, [27.0] * 4)
    np.testing.assert_array_equal(tape.gradient(value, kl), np.zeros([4, 3]))


def test_gradients_match_finite_differences():
    assert_gradients_match_finite_differences(kl_to_standard_normal, MEAN_Q, LOG_VAR_Q)
    assert_gradients_match_finite_differences(kl_to_standard_normal_per_dimension, MEAN_Q, LOG_VAR_Q)
    assert_gradients_match_finite_differences(kl_between_gaussians, *FOUR)
    assert_gradients_match_finite_differences(floored(free_bits, 0.7), KL)


def test_finite_at_extremes():
    extreme = [[80.0, -80.0], [0.0, -1e4]]
    for loss in (kl_to_standard_normal, kl_to_standard_normal_per_dimension):
        assert_finite(loss, [[1e4, -1e4], [0.0, 1e18]], extreme)
    # exp(80 - (-80)) has no float32; each end against the middle has.
    assert_finite(kl_between_gaussians, [[1.0, -1.0]], [[80.0, -80.0]], [[0.0, 0.0]], [[0.0, 0.0]])
    assert_finite(kl_between_gaussians, [[1.0, -1.0]], [[0.0, 0.0]], [[0.0, 0.0]], [[80.0, -80.0]])
    assert_finite(kl_between_gaussians, [[1.0, -1.0]], [[80.0, -80.0]], [[0.0, 0.0]], [[80.0, -80.0]])
    assert_finite(floored(free_bits, 0.5), [[0.0, 1e30]])


def test_plans_agree():
    assert_plans_agree(kl_to_standard_normal, MEAN_Q, LOG_VAR_Q)
    assert_plans_agree(kl_to_standard_normal_per_dimension, MEAN_Q, LOG_VAR_Q)
    assert_plans_agree(kl_between_gaussians, *FOUR)
    assert_plans_agree(floored(free_bits, 0.7), KL)


@pytest.mark.parametrize("loss", [kl_to_standard_normal, kl_to_standard_normal_per_dimension])
def test_guard_of_the_prior(loss):
    message = r"^`log_var` \(shape \(8, 1\)\) must be of the shape of `mean`, \(8, 2\)$"
    with pytest.raises(ValueError, match=message):
        loss(tf.zeros([8, 2]), tf.zeros([8, 1]))


@pytest.mark.parametrize("index, name", [(1, "log_var_q"), (2, "mean_p"), (3, "log_var_p")])
def test_guard_of_two_gaussians(index, name):
    tensors = [tf.zeros([8, 2])] * 4
    tensors[index] = tf.zeros([1, 2])
    message = rf"^`{name}` \(shape \(1, 2\)\) must be of the shape of `mean_q`, \(8, 2\)$"
    with pytest.raises(ValueError, match=message):
        kl_between_gaussians(*tensors)


def test_guards_of_free_bits():
    with pytest.raises(ValueError, match=r"^`kl` \(shape \(8,\)\) must be of shape \[batch, dimension\]$"):
        free_bits(tf.zeros([8]), 0.5)
    with pytest.raises(ValueError, match=r"^`floor` \(-0.5\) must be at least 0$"):
        free_bits(tf.zeros([8, 2]), -0.5)
