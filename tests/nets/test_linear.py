"""Linear regression: its sum, and where it starts."""

import numpy as np
import pytest
import tensorflow as tf

import nets


def test_the_prediction_is_x_w_plus_b():
    net = nets.create("linear")
    x = tf.constant([[1.0, 2.0], [0.5, -1.0], [0.0, 0.0]])
    net(x)
    net.set_weights([np.float32([[2.0], [-3.4]]), np.float32([4.2])])
    np.testing.assert_allclose(net(x), [2 - 6.8 + 4.2, 1 + 3.4 + 4.2, 4.2], atol=1e-6)


def test_several_outputs_are_as_many_columns():
    net = nets.create("linear", outputs=3)
    assert net(tf.zeros([5, 2])).shape == (5, 3)
    np.testing.assert_allclose(net(tf.ones([1, 2]))[0], np.sum(net.linear.kernel, axis=0), rtol=1e-6)


def test_it_starts_from_a_normal_of_deviation_0_01_and_no_bias():
    net = nets.create("linear", outputs=2)
    net(tf.zeros([1, 20_000]))
    assert np.std(net.linear.kernel) == pytest.approx(0.01, rel=0.02)  # 4 standard errors
    assert np.mean(net.linear.kernel) == pytest.approx(0.0, abs=2e-4)
    np.testing.assert_array_equal(net.linear.bias, [0, 0])


def test_images_are_refused():
    with pytest.raises(ValueError, match=r"`features` \(2, 28, 28, 1\) must be of shape \[B, any\]"):
        nets.create("linear")(tf.zeros([2, 28, 28, 1]))
