"""Squared and Huber errors, against hand work, NumPy, limits and extremes."""

import numpy as np
import pytest
import tensorflow as tf

from engine.testing import (
    assert_finite,
    assert_gradients_match_finite_differences,
    assert_matches_reference,
    assert_plans_agree,
)
from losses import huber, squared_error
from tests import references

DRAW = np.random.default_rng(2)
TARGETS, PREDICTIONS = DRAW.normal(size=(2, 4, 3, 2)) * 2.0
DELTAS = [0.5, 1.0, 3.0]


def with_delta(loss, delta):
    return lambda targets, predictions: loss(targets, predictions, delta=delta)


def test_squared_error_by_hand():
    # Errors (-2, 0) and (-1, 1): (4 + 0) / 2 = 2 and (1 + 1) / 2 = 1.
    found = squared_error([[1.0, 2.0], [0.0, 0.0]], [[3.0, 2.0], [1.0, -1.0]])
    np.testing.assert_array_equal(found, [2.0, 1.0])


def test_squared_error_of_scalars_is_the_plain_square():
    np.testing.assert_array_equal(squared_error([1.0, 5.0], [3.0, 5.0]), [4.0, 0.0])


def test_squared_error_matches_numpy():
    assert_matches_reference(squared_error, references.squared_error, TARGETS, PREDICTIONS)


def test_squared_error_from_the_mean_is_the_variance():
    # Monte Carlo: 40,000 draws of N(3, 2^2) about 3; the standard error is 4 sqrt(2 / 40,000) = 0.028.
    draws = np.random.default_rng(0).normal(3.0, 2.0, size=(1, 40_000))
    assert abs(float(squared_error(draws, np.full_like(draws, 3.0))[0]) - 4.0) < 4 * 0.028


def test_huber_by_hand():
    # delta 1: an error of 0.5 costs 0.125, one of 3 costs 1 (3 - 1/2) = 2.5; mean 1.3125.
    np.testing.assert_allclose(huber([[0.5, -3.0]], [[0.0, 0.0]]), [1.3125])
    # delta 2: the error of 3 costs 2 (3 - 1) = 4, the small one as before; mean 2.0625.
    np.testing.assert_allclose(huber([[0.5, -3.0]], [[0.0, 0.0]], delta=2.0), [2.0625])


@pytest.mark.parametrize("delta", DELTAS)
def test_huber_matches_numpy(delta):
    assert_matches_reference(
        with_delta(huber, delta), with_delta(references.huber, delta), TARGETS, PREDICTIONS
    )


def test_huber_limits():
    # Wide: half the squared error. Narrow: delta times the absolute error.
    wide = huber(TARGETS, PREDICTIONS, delta=1e6)
    np.testing.assert_allclose(wide, 0.5 * squared_error(TARGETS, PREDICTIONS), rtol=1e-12)
    narrow = huber(TARGETS, PREDICTIONS, delta=1e-9) / 1e-9
    np.testing.assert_allclose(narrow, np.abs(TARGETS - PREDICTIONS).mean(axis=(1, 2)), rtol=1e-6)


@pytest.mark.parametrize("loss", [squared_error, *(with_delta(huber, delta) for delta in DELTAS)])
def test_gradients_extremes_and_plans(loss):
    assert_gradients_match_finite_differences(loss, TARGETS, PREDICTIONS)
    assert_finite(loss, [[0.0, 1e18], [0.0, 0.0]], [[0.0, -1e18], [1e-30, 0.0]])
    assert_plans_agree(loss, TARGETS, PREDICTIONS)


def test_huber_stays_finite_where_the_square_overflows():
    assert_finite(huber, [0.0, 0.0], [1e30, -1e30])


@pytest.mark.parametrize("loss", [squared_error, huber])
def test_guards(loss):
    message = r"^`predictions` \(shape \(8, 1\)\) must be of the shape of `targets`, \(8,\)$"
    with pytest.raises(ValueError, match=message):
        loss(tf.zeros([8]), tf.zeros([8, 1]))
    with pytest.raises(ValueError, match=r"^`targets` \(dtype uint8\) must be floating point$"):
        loss(tf.zeros([8], tf.uint8), tf.zeros([8]))


@pytest.mark.parametrize("delta", [0.0, -1.0])
def test_delta_has_a_range(delta):
    with pytest.raises(ValueError, match=rf"^`delta` \({delta}\) must be above 0$"):
        huber([0.0], [0.0], delta=delta)
