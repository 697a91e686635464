"""The kit itself: what is right passes; what is wrong fails with argument, element and both numbers."""

import numpy as np
import pytest
import tensorflow as tf

from engine.testing import (
    assert_finite,
    assert_gradients_match_finite_differences,
    assert_matches_reference,
    assert_plans_agree,
    assert_second_order_gradients,
)

X = np.array([[0.5, -1.0], [2.0, 0.25]])


def cube(x):
    return tf.reduce_sum(x**3, axis=1)


def numpy_cube(x):
    return (x**3).sum(axis=1)


@tf.custom_gradient
def wrong_derivative(x):
    return x**2, lambda upstream: upstream * x  # half of the truth


@tf.custom_gradient
def wrong_curve(x):
    return x**2, lambda upstream: upstream * 2.0 * tf.stop_gradient(x)  # the derivative is right, its derivative is not


def test_reference_passes():
    assert_matches_reference(cube, numpy_cube, X)


def test_reference_names_the_element_and_both_numbers():
    message = r"^value in float32, element \(1,\): 8.015625 where 9.015625 was expected \(1 of 2 elements"
    with pytest.raises(AssertionError, match=message):
        assert_matches_reference(cube, lambda x: numpy_cube(x) + np.array([0.0, 1.0]), X)


def test_reference_refuses_a_broadcast():
    with pytest.raises(AssertionError, match=r"value in float32: shape \(2, 2\) where \(2,\) was expected"):
        assert_matches_reference(lambda x: cube(x)[:, None] - cube(x), numpy_cube, X)


def test_reference_refuses_a_hidden_cast():
    with pytest.raises(AssertionError, match="value: dtype float32 for arguments of float64"):
        assert_matches_reference(lambda x: cube(tf.cast(x, tf.float32)), numpy_cube, X)


def test_reference_asks_for_more_digits_in_float64():
    # A relative error of 1e-8 is beyond float32 and within the reach of float64.
    with pytest.raises(AssertionError, match="value in float64"):
        assert_matches_reference(lambda x: cube(x) * (1.0 + 1e-8), numpy_cube, X)


def test_reference_refuses_nan():
    with pytest.raises(AssertionError, match=r"value in float32, element \(0,\): nan where"):
        assert_matches_reference(lambda x: cube(x) * np.nan, numpy_cube, X)


def test_gradients_pass_and_integers_are_left_alone():
    labels = np.array([0, 1])
    assert_gradients_match_finite_differences(
        lambda y, x: tf.gather(x, y, axis=1, batch_dims=1) ** 3, labels, X
    )


def test_gradients_of_a_scalar_and_of_an_unused_argument():
    assert_gradients_match_finite_differences(lambda x, y: x**2, np.array(3.0), X)


def test_gradients_name_the_argument_and_the_element():
    message = (
        r"^gradient of argument 1, element \(0, 0\): 0.5 where (1|1\.0\d*|0\.9\d*) was expected \(4 of 4"
    )
    with pytest.raises(AssertionError, match=message):
        assert_gradients_match_finite_differences(lambda y, x: wrong_derivative(x) + y, X, X)


def test_gradients_leave_the_arrays_as_they_were():
    before = X.copy()
    assert_gradients_match_finite_differences(cube, X)
    np.testing.assert_array_equal(X, before)


def test_second_order():
    assert_second_order_gradients(cube, X)
    assert_gradients_match_finite_differences(wrong_curve, X)
    with pytest.raises(AssertionError, match=r"^gradient of argument 0, element \(0, 0\): 0 where "):
        assert_second_order_gradients(wrong_curve, X)


def test_plans():
    assert_plans_agree(cube, X)

    def differs(x):
        return cube(x) + (0.0 if tf.executing_eagerly() else 1.0)

    with pytest.raises(AssertionError, match=r"^value under graph, against eager, element \(0,\): "):
        assert_plans_agree(differs, X)


def test_finite():
    assert_finite(cube, X)
    with pytest.raises(AssertionError, match=r"^value, element \(0,\): inf is not finite$"):
        assert_finite(cube, [[1e20, 0.0]])
    with pytest.raises(
        AssertionError, match=r"^gradient of argument 0, element \(1, 0\): inf is not finite$"
    ):
        assert_finite(tf.sqrt, [[1.0], [0.0]])
