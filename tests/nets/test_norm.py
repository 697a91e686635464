"""Fused batch normalisation against the formula, Keras's layer and finite differences."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from nets._norm import BatchNorm


def layers(shape, dtype="float32", **options):
    """Ours and Keras's, with the same scales, offsets and moving statistics."""
    pair = BatchNorm(dtype=dtype, **options), keras.layers.BatchNormalization(dtype=dtype, **options)
    rng = np.random.default_rng(1)
    weights = [rng.uniform(0.5, 1.5, shape[-1]) for _ in range(4)]
    for layer in pair:
        layer.build(shape)
        layer.set_weights(weights)
    return pair


@pytest.mark.parametrize("shape", [(6, 3, 4, 5), (16, 5), (7, 3, 5), (2, 2, 3, 2, 4)])
@pytest.mark.parametrize("training, gpus", [(True, []), (False, []), (False, ["GPU:0"])])
def test_outputs_and_gradients_are_keras_s(shape, training, gpus, monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: gpus)
    x = tf.constant(np.random.default_rng(0).normal(2, 3, shape), tf.float32)
    results = []
    for layer in layers(shape, momentum=0.9, epsilon=1e-5):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=training)
            loss = tf.reduce_sum(tf.sin(y))
        results.append([y, *tape.gradient(loss, [x, *(v.value for v in layer.trainable_variables)])])
    for ours, theirs in zip(*results, strict=True):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=2e-5)


def test_the_moving_variance_is_that_of_the_unbiased_estimate():
    """By hand: the values 1, 2, 6 have mean 3, variance 14 / 3, unbiased 7."""
    layer = BatchNorm(momentum=0.5)
    layer.build((3, 1))
    y = layer(tf.constant([[1.0], [2.0], [6.0]]), training=True)
    np.testing.assert_allclose(y[:, 0], np.array([-2, -1, 3]) / np.sqrt(14 / 3 + 1e-3), rtol=1e-5)
    np.testing.assert_allclose(layer.moving_mean, [0.5 * 0 + 0.5 * 3], rtol=1e-6)
    np.testing.assert_allclose(layer.moving_variance, [0.5 * 1 + 0.5 * 7], rtol=1e-6)


def test_evaluation_and_a_frozen_layer_leave_the_moving_statistics():
    layer = BatchNorm()
    layer.build((4, 2))
    x = tf.constant([[1.0, 2.0], [3.0, 8.0]])
    plain = layer(x, training=False)
    layer.trainable = False
    np.testing.assert_array_equal(layer(x, training=True), plain)
    np.testing.assert_array_equal(layer.moving_mean, [0, 0])
    np.testing.assert_array_equal(layer.moving_variance, [1, 1])


def test_one_example_is_normalised_to_the_offset():
    layer, _ = layers((1, 3))
    np.testing.assert_allclose(layer(tf.constant([[7.0, -1.0, 1e6]]), training=True)[0], layer.beta, atol=1e-6)


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_in_half_precision_the_statistics_keep_float32(dtype):
    """Values near 300 differ by less than half precision could keep of their squares."""
    ours, _ = layers((512, 2), dtype)
    x = np.random.default_rng(0).choice([296.0, 300.0, 304.0], (512, 2))  # exact in both dtypes
    y = ours(tf.constant(x, ours.compute_dtype), training=True)
    assert y.dtype == ours.compute_dtype
    gamma, beta = np.asarray(ours.gamma), np.asarray(ours.beta)
    expected = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-3) * gamma + beta
    np.testing.assert_allclose(tf.cast(y, tf.float32), expected, atol=0.02)
    np.testing.assert_allclose(ours.moving_mean.numpy() - 0.99 * layers((512, 2), dtype)[0].moving_mean.numpy(),
                               0.01 * x.mean(0), rtol=1e-4)


def test_float64_is_keras_s_layer_to_the_last_bit():
    ours, theirs = layers((6, 3, 3, 2), "float64")
    x = tf.constant(np.random.default_rng(0).normal(size=(6, 3, 3, 2)))
    np.testing.assert_array_equal(ours(x, training=True), theirs(x, training=True))
    np.testing.assert_array_equal(ours.moving_variance, theirs.moving_variance)


def test_the_second_derivative_by_finite_differences():
    """A gradient penalty goes through the gradient of the fused operation."""
    layer, _ = layers((8, 3))
    rng = np.random.default_rng(0)
    x, direction = rng.normal(size=(8, 3)), rng.normal(size=(8, 3))

    def derivative(x):
        x = tf.constant(x, tf.float32)
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                loss = tf.reduce_sum(tf.sin(layer(x, training=True)))
            penalty = tf.reduce_sum(tf.square(inner.gradient(loss, x)))
        return float(penalty), outer.gradient(penalty, x)

    step = 1e-2
    numeric = (derivative(x + step * direction)[0] - derivative(x - step * direction)[0]) / (2 * step)
    np.testing.assert_allclose(np.sum(derivative(x)[1] * direction), numeric, rtol=2e-2)


def test_the_same_bits_in_every_repeat():
    layer, _ = layers((64, 14, 14, 32))
    x = tf.random.stateless_normal((64, 14, 14, 32), (0, 0))
    call = tf.function(lambda x: layer(x, training=True))
    first = call(x).numpy()
    assert all(np.array_equal(call(x), first) for _ in range(5))
