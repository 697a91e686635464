"""Max pooling by strided slices against TensorFlow's own."""

import numpy as np
import pytest
import tensorflow as tf

from nets._pooling import MaxPool, largest_of_slices


@pytest.mark.parametrize("side, size, stride, padding", [
    (8, 2, 2, "valid"), (9, 2, 2, "valid"), (9, 3, 2, "valid"), (9, 3, 2, "same"), (8, 3, 2, "same"),
    (7, 3, 1, "same"), (6, 3, 3, "valid")])
@pytest.mark.parametrize("compiled", [False, True])
def test_values_and_gradients_are_tensorflow_s(side, size, stride, padding, compiled):
    rng = np.random.default_rng(side)
    x = tf.constant(rng.integers(0, 4, (3, side, side, 2)), tf.float32)  # with many ties
    weights = tf.constant(rng.normal(size=tf.nn.max_pool2d(x, size, stride, padding.upper()).shape), tf.float32)

    def both(function):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
            total = tf.reduce_sum(y * weights)
        return y, tape.gradient(total, x)

    y, derivative = tf.function(lambda: both(lambda x: largest_of_slices(x, (size, size), (stride, stride), padding)),
                           jit_compile=compiled)()
    expected, expected_derivative = both(lambda x: tf.nn.max_pool2d(x, size, stride, padding.upper()))
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_allclose(derivative, expected_derivative, atol=1e-6)


def test_the_layer_takes_slices_on_a_gpu_alone(monkeypatch):
    x = tf.random.stateless_normal([2, 6, 6, 3], [0, 1])
    layer = MaxPool(2)
    here = layer(x)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["GPU:0"])
    there = tf.function(lambda: layer(x))
    operations = {operation.type for operation in there.get_concrete_function().graph.get_operations()}
    assert "MaxPool" not in operations and "Maximum" in operations
    np.testing.assert_array_equal(here, there())
