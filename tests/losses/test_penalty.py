"""The gradient penalty: critics whose gradient is known, second order, a gradient of zero, and the guards."""

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
from losses import gradient_penalty
from tests import references

DRAW = np.random.default_rng(6)
REAL, FAKE = DRAW.normal(size=(2, 4, 2, 3))
MIX = DRAW.uniform(size=4)
INNER, OUTER = DRAW.normal(size=(6, 5)), DRAW.normal(size=5)


def linear_penalty(weights, real, fake, mix, **options):
    return gradient_penalty(
        lambda x: tf.linalg.matvec(tf.reshape(x, [-1, 6]), weights), real, fake, mix, **options
    )


def tanh_critic(x, inner, outer):
    return tf.linalg.matvec(tf.tanh(tf.reshape(x, [-1, 6]) @ inner), outer)


def tanh_penalty(inner, outer, real, fake, mix, **options):
    return gradient_penalty(lambda x: tanh_critic(x, inner, outer), real, fake, mix, **options)


def half_square(x):
    """Its gradient at x is x itself."""
    return 0.5 * tf.reduce_sum(tf.square(x), axis=1)


@pytest.mark.parametrize("one_sided", [False, True])
def test_by_hand(one_sided):
    # Gradient x at x = (3, 4) (1 - mix). mix 0.4: norm 3, so (3 - 1)^2 = 4. mix 0.9: norm 0.5, so 0.25.
    real, fake = [[3.0, 4.0]] * 2, [[0.0, 0.0]] * 2
    found = gradient_penalty(half_square, real, fake, [0.4, 0.9], one_sided=one_sided)
    np.testing.assert_allclose(found, [4.0, 0.0 if one_sided else 0.25], rtol=1e-5)


@pytest.mark.parametrize("target", [0.0, 1.0, 10.0])
def test_linear_critic_has_the_slope_of_its_weights(target):
    # grad w.x = w everywhere, so (|w| - target)^2 whatever the points are.
    weights = OUTER[[0, 1, 2, 3, 4, 0]]
    found = linear_penalty(weights, REAL, FAKE, MIX, target=target)
    np.testing.assert_allclose(found, [(np.linalg.norm(weights) - target) ** 2] * 4, rtol=1e-12)


@pytest.mark.parametrize("target, one_sided", [(1.0, False), (1.0, True), (0.0, False), (2.0, True)])
def test_matches_numpy(target, one_sided):
    arrays = (INNER, OUTER, REAL, FAKE, MIX)
    options = {"target": target, "one_sided": one_sided}
    assert_matches_reference(
        lambda *tensors: tanh_penalty(*tensors, **options),
        lambda *tensors: references.tanh_critic_penalty(*tensors, **options),
        *arrays,
    )


def test_reference_gradient_by_finite_differences():
    # The hand-written gradient in the reference, against NumPy's own differences: target 0 gives |grad|^2.
    x, step = REAL[0].reshape(-1), 1e-6
    moved = [
        references.tanh_critic(np.stack([x + step * unit, x - step * unit]), INNER, OUTER)
        for unit in np.eye(6)
    ]
    derivative = np.array([(up - down) / (2 * step) for up, down in moved])
    found = references.tanh_critic_penalty(INNER, OUTER, REAL[:1], REAL[:1], [0.0], target=0.0)
    np.testing.assert_allclose(found, [derivative @ derivative], rtol=1e-7)


def test_averages_over_mix_as_the_integral_does():
    # Monte Carlo: gradient norm 5u with u uniform; the integral of (5u - 1)^2 is 25/3 - 5 + 1 = 13/3. The
    # standard deviation of (5u - 1)^2 is 4.72, so the error over 20,000 draws is 0.034.
    mix = np.random.default_rng(0).uniform(size=20_000)
    real, fake = np.tile([3.0, 4.0], (20_000, 1)), np.zeros((20_000, 2))
    found = gradient_penalty(half_square, real, fake, mix)
    assert abs(np.mean(found) - 13.0 / 3.0) < 4 * 0.034


def test_ends_of_mix_are_the_real_and_the_fake():
    def seen(mix):
        points = []
        gradient_penalty(lambda x: points.append(x) or half_square(x), REAL[:, 0], FAKE[:, 0], mix)
        return points[0]

    np.testing.assert_array_equal(seen(np.zeros(4)), REAL[:, 0])
    np.testing.assert_allclose(seen(np.ones(4)), FAKE[:, 0], rtol=1e-12)
    # One number per example: a row of its own mix, all its pixels alike.
    fraction = (seen(MIX) - REAL[:, 0]) / (FAKE[:, 0] - REAL[:, 0])
    np.testing.assert_allclose(fraction, np.tile(MIX[:, None], (1, 3)), rtol=1e-9)


@pytest.mark.parametrize("one_sided", [False, True])
def test_gradients_of_the_weights_are_second_order_and_right(one_sided):
    def loss(*tensors):
        return tanh_penalty(*tensors, one_sided=one_sided)

    assert_gradients_match_finite_differences(loss, INNER, OUTER, REAL, FAKE, MIX, rtol=1e-4, atol=1e-6)


def test_second_order_gradients_of_critic_and_penalty():
    assert_second_order_gradients(tanh_critic, REAL, INNER, OUTER)
    assert_second_order_gradients(lambda outer: tanh_penalty(INNER, outer, REAL, FAKE, MIX), OUTER, rtol=1e-4)


def test_linear_critic_descends_to_the_target():
    # d (|w| - 1)^2 / dw = 2 (|w| - 1) w / |w|: with |w| = 2 it is w itself.
    weights = tf.constant([2.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    with tf.GradientTape() as tape:
        tape.watch(weights)
        value = linear_penalty(weights, *(tf.cast(array, tf.float32) for array in (REAL, FAKE, MIX)))
    np.testing.assert_allclose(tape.gradient(value, weights) / 4.0, weights, rtol=1e-6)


@pytest.mark.parametrize("one_sided", [False, True])
@pytest.mark.parametrize("size", [0.0, 1e-30, 1e-20, 1e-10, 1e10, 1e18])
def test_finite_at_any_gradient_norm(size, one_sided):
    def loss(*tensors):
        return linear_penalty(*tensors, one_sided=one_sided)

    assert_finite(loss, np.full(6, size), REAL, FAKE, MIX)


@pytest.mark.parametrize("jit", [False, True])
def test_slope_of_exactly_zero(jit):
    # A dead relu: the penalty is target^2, its gradient 0, not NaN.
    def critic(x, weights):
        return tf.nn.relu(tf.linalg.matvec(x, weights) - 1e6)

    @tf.function(jit_compile=jit)
    def loss_and_gradient(weights, points, mix):
        with tf.GradientTape() as tape:
            tape.watch(weights)
            value = gradient_penalty(lambda x: critic(x, weights), points, -points, mix, target=3.0)
        return value, tape.gradient(value, weights)

    value, gradient = loss_and_gradient(tf.ones([2]), tf.ones([4, 2]), tf.zeros([4]))
    np.testing.assert_array_equal(value, [9.0] * 4)
    np.testing.assert_array_equal(gradient, [0.0, 0.0])


def test_plans_agree():
    assert_plans_agree(tanh_penalty, INNER, OUTER, REAL, FAKE, MIX, rtol=1e-4, atol=1e-5)
    images, kernel = DRAW.normal(size=(3, 6, 6, 2)), DRAW.normal(size=(3, 3, 2, 4))

    def conv_penalty(kernel, real, fake, mix):
        def critic(x):
            return tf.reduce_mean(tf.nn.leaky_relu(tf.nn.conv2d(x, kernel, 2, "SAME"), 0.2), axis=[1, 2, 3])

        return gradient_penalty(critic, real, fake, mix)

    assert_plans_agree(conv_penalty, kernel, images, images[::-1], MIX[:3], rtol=1e-4, atol=1e-5)


def test_half_precision_images_are_taken_in_float32():
    narrow = tf.cast(REAL, tf.float16), tf.cast(FAKE, tf.float16), tf.cast(MIX, tf.float16)
    found = linear_penalty(tf.fill([6], 200.0), *narrow)
    assert found.dtype == tf.float32  # the square of the gradient norm, 240,000, has no float16
    np.testing.assert_allclose(found, [(200.0 * 6**0.5 - 1.0) ** 2] * 4, rtol=1e-5)


def test_guards():
    real, mix = tf.zeros([8, 2]), tf.zeros([8])

    def penalty(critic=half_square, real=real, fake=real, mix=mix, **options):
        return gradient_penalty(critic, real, fake, mix, **options)

    with pytest.raises(
        ValueError, match=r"^`fake` \(shape \(1, 2\)\) must be of the shape of `real`, \(8, 2\)$"
    ):
        penalty(fake=tf.zeros([1, 2]))
    message = r"^`mix` \(shape \(8, 2\)\) must be one number per example, of shape \(8,\)$"
    with pytest.raises(ValueError, match=message):
        penalty(mix=tf.zeros([8, 2]))
    message = r"^`critic\(x\)` \(shape \(8, 1\)\) must be one number per example, of shape \(8,\)$"
    with pytest.raises(ValueError, match=message):
        penalty(critic=lambda x: half_square(x)[:, None])
    message = r"^`critic\(x\)` \(shape \(\)\) must be one number per example, of shape \(8,\)$"
    with pytest.raises(ValueError, match=message):
        penalty(critic=lambda x: tf.reduce_mean(x))
    message = r"^`critic` \(no gradient to x\) must be differentiable in its input$"
    with pytest.raises(ValueError, match=message):
        penalty(critic=lambda x: tf.zeros([8]))
    with pytest.raises(ValueError, match=r"^`target` \(-1.0\) must be at least 0$"):
        penalty(target=-1.0)
    with pytest.raises(ValueError, match=r"^`real` \(dtype uint8\) must be floating point$"):
        penalty(real=tf.zeros([8, 2], tf.uint8))


def test_unknown_batch_size_passes():
    spec = tf.TensorSpec([None, 2], tf.float32)
    compiled = tf.function(lambda real, fake, mix: gradient_penalty(half_square, real, fake, mix))
    traced = compiled.get_concrete_function(spec, spec, tf.TensorSpec([None], tf.float32))
    found = traced(tf.constant([[3.0, 4.0]]), tf.constant([[0.0, 0.0]]), tf.constant([0.4]))
    np.testing.assert_allclose(found, [4.0], rtol=1e-5)
