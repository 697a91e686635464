"""Layer normalisation against the formula, Keras's layer and finite differences, to the third derivative."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from engine.testing import assert_gradients_match_finite_differences, assert_second_order_gradients
from nets._norm import LayerNorm, standardized

RNG = np.random.default_rng(0)


def plain(x, epsilon):
    """The formula, which TensorFlow differentiates."""
    centred = x - tf.reduce_mean(x, axis=1, keepdims=True)
    return centred / tf.sqrt(tf.reduce_mean(centred**2, axis=1, keepdims=True) + epsilon)


def test_by_hand():
    """1, 2, 6 have mean 3 and variance 14 / 3; the other example changes nothing."""
    layer = LayerNorm()
    y = layer(tf.constant([[1.0, 2.0, 6.0], [100.0, -5.0, 3.0]]))
    np.testing.assert_allclose(y[0], np.array([-2, -1, 3]) / np.sqrt(14 / 3 + 1e-3), rtol=1e-6)


@pytest.mark.parametrize("shape", [(5, 7), (3, 4, 2, 3)])
def test_outputs_and_gradients_are_keras_s(shape):
    x, results = tf.constant(RNG.normal(2, 3, shape)), []
    weights = [RNG.uniform(0.5, 1.5, shape[1:]) for _ in range(2)]
    for layer in (LayerNorm(dtype="float64"),
                  keras.layers.LayerNormalization(axis=list(range(1, len(shape))), dtype="float64")):
        layer.build(shape)
        layer.set_weights(weights)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
            loss = tf.reduce_sum(tf.sin(y))
        results.append([y, *tape.gradient(loss, [x, *(v.value for v in layer.trainable_variables)])])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


def test_its_derivatives_are_those_of_finite_differences():
    """Keras's second derivative is 9 % off here: it stops the gradient of the mean inside the variance."""
    weight = tf.constant(RNG.normal(size=(2, 6)))

    def loss(x):
        return tf.reduce_sum(tf.cast(weight, x.dtype) * tf.sin(standardized(x, 1e-3)), axis=1)

    x = RNG.normal(size=(2, 6))
    assert_gradients_match_finite_differences(loss, x)
    assert_second_order_gradients(loss, x)


@pytest.mark.parametrize("compiled", [False, True])
def test_every_derivative_to_the_third_is_that_of_the_formula(compiled):
    x, *weights = (tf.constant(RNG.normal(size=(3, 7))) for _ in range(4))

    def derivative(function, order, x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            last = derivative(function, order - 1, x) if order > 1 else tf.tanh(function(x, 0.1))
            total = tf.reduce_sum(tf.square(last) * weights[order - 1])
        return tape.gradient(total, x)

    for order in (1, 2, 3):
        ours, theirs = (derivative if not compiled else tf.function(derivative) for _ in range(2))
        expected = theirs(plain, order, x).numpy()
        np.testing.assert_allclose(ours(standardized, order, x), expected, atol=1e-12 * np.abs(expected).max())


def test_a_penalty_computes_the_moments_once():
    @tf.function
    def penalty(x):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = tf.reduce_sum(tf.sin(standardized(x, 1e-3)))
            square = tf.reduce_sum(tf.square(inner.gradient(y, x)))
        return outer.gradient(square, x)

    kinds = [each.type for each in penalty.get_concrete_function(tf.TensorSpec((64, 98))).graph.get_operations()]
    assert kinds.count("Rsqrt") == 1
    assert kinds.count("Mean") <= 2 + 3 * 2 + 1  # two moments; two means of each of three gradients; one of both


def test_a_constant_example_becomes_the_offset_and_has_a_finite_gradient():
    layer = LayerNorm()
    layer.build((1, 3))
    layer.set_weights([np.ones(3), np.array([1.0, 2.0, 3.0])])
    x = tf.fill([1, 3], 7.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
    np.testing.assert_array_equal(y[0], [1, 2, 3])
    assert np.all(np.isfinite(tape.gradient(y, x)))


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_in_half_precision_the_statistics_keep_float32(dtype):
    """Values near 300 differ by less than half precision could keep of their squares."""
    layer = LayerNorm(dtype=dtype)
    x = RNG.choice([296.0, 300.0, 304.0], (4, 8, 8, 2))  # exact in both dtypes
    y = layer(tf.constant(x, layer.compute_dtype))
    assert y.dtype == layer.compute_dtype
    expected = (x - x.mean((1, 2, 3), keepdims=True)) / np.sqrt(x.var((1, 2, 3), keepdims=True) + 1e-3)
    np.testing.assert_allclose(tf.cast(y, tf.float32), expected, atol=0.01)


def test_it_is_made_again_from_its_configuration():
    first = LayerNorm(epsilon=0.1, center=False)
    first.build((None, 2, 3))
    again = LayerNorm.from_config(first.get_config())
    again.build((None, 2, 3))
    x = tf.constant(RNG.normal(size=(4, 2, 3)), tf.float32)
    np.testing.assert_array_equal(first(x), again(x))
    assert len(again.weights) == 1


def test_what_it_does_not_compute_is_refused():
    with pytest.raises(ValueError, match=r"`rms_scaling` \(True\) must be False"):
        LayerNorm(rms_scaling=True)
