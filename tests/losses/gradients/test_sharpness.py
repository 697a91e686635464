"""Sharpness-aware minimisation: the gradient uphill, by hand, against NumPy, at radius 0 and at extremes."""

import numpy as np
import pytest
import tensorflow as tf

from losses.gradients import sharpness_aware
from tests.losses.gradients import references
from tests.losses.gradients.pulls import PLANS, FakePull, chosen

DRAW = np.random.default_rng(0)
SHAPES = ((2, 3), (4,), ())
WEIGHTS = [DRAW.normal(size=shape) for shape in SHAPES]
MATRIX = DRAW.normal(size=(11, 11))


def flat(tensors):
    return tf.concat([tf.reshape(each, [-1]) for each in tensors], axis=0)


def loss(weights, matrix=MATRIX):
    """``sum cos(matrix w)``: its gradient differs from place to place."""
    return tf.reduce_sum(tf.cos(tf.linalg.matvec(tf.cast(matrix, weights[0].dtype), flat(weights))))


def gradient_at(weights):
    return -MATRIX.T @ np.sin(MATRIX @ weights)


def pull(update=0, dtype="float32", function=loss, weights=WEIGHTS):
    return FakePull({"error": function}, [tf.constant(w, dtype) for w in weights])


def test_by_hand():
    # f = (x^2 + 2 y^2) / 2 at (3, 2): gradient (3, 4), of norm 5; 10 uphill is (9, 10), with the gradient (9, 20).
    def bowl(w):
        return (w[0] ** 2 + 2.0 * w[1] ** 2) / 2.0

    found = sharpness_aware(10.0)(FakePull({"error": bowl}, [tf.constant(3.0), tf.constant(2.0)]))
    np.testing.assert_allclose(found, [9.0, 20.0], rtol=1e-6)
    # Adaptive at (2.99, 1.99): T = (3, 2), gradient (2.99, 3.98), T g = (8.97, 7.96) of norm 11.9928;
    # T^2 g = (26.91, 15.92), over that and times 1: (2.24384, 1.32746) uphill.
    found = sharpness_aware(1.0, adaptive=True)(FakePull({"error": bowl}, [tf.constant(2.99), tf.constant(1.99)]))
    np.testing.assert_allclose(found, [2.99 + 2.24384, 2.0 * (1.99 + 1.32746)], rtol=1e-5)


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize("dtype, rtol", [("float32", 1e-4), ("float64", 1e-11)])
def test_numpy(dtype, rtol, adaptive, plan):
    found = chosen(sharpness_aware(0.3, adaptive), lambda update: pull(update, dtype), plan)
    expected = references.sharpness_aware(gradient_at, references.long(WEIGHTS), 0.3, adaptive)
    assert [each.shape for each in found] == list(SHAPES) and found[0].dtype == dtype
    np.testing.assert_allclose(references.long(found), expected, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("adaptive", [False, True])
def test_radius_0_is_the_plain_gradient_and_two_gradients_are_taken(adaptive):
    asked = pull()
    for found, plain in zip(sharpness_aware(0.0, adaptive)(asked), pull().gradients()[0], strict=True):
        np.testing.assert_array_equal(found, plain)
    assert asked.asked == 2


def test_the_step_is_as_long_as_the_radius():
    seen = []

    class Noting(FakePull):
        def gradients(self, *objectives, at=None):
            seen.append(at)
            return super().gradients(*objectives, at=at)

    weights = [tf.constant(w) for w in WEIGHTS]
    sharpness_aware(0.25)(Noting({"error": loss}, weights))
    moved = references.long(seen[1]) - references.long(WEIGHTS)
    np.testing.assert_allclose(np.linalg.norm(moved), 0.25, rtol=1e-12)
    np.testing.assert_allclose(moved / 0.25, (g := gradient_at(references.long(WEIGHTS))) / np.linalg.norm(g))


def test_the_adaptive_step_of_large_weights_does_not_see_a_rescaling():
    # The net is v w x: with (w, v) as with (10 w, v / 10), far above the 0.01, the loss uphill is the same.
    for scale in (1.0, 10.0):
        ends = []
        for adaptive in (False, True):
            w, v = tf.constant(100.0 * scale), tf.constant(70.0 / scale)
            found = sharpness_aware(0.5, adaptive)(FakePull({"error": lambda p: 1e-3 * (p[0] * p[1]) ** 2}, [w, v]))
            ends.append(float(found[0] * w))  # w df/dw, which has no unit of w
        if scale == 1.0:
            first = ends
    assert ends[1] == pytest.approx(first[1], rel=5e-3)
    assert ends[0] != pytest.approx(first[0], rel=5e-3)


@pytest.mark.parametrize("plan", ["eager", "xla"])
@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize("size", [0.0, 1e-30, 1e30])
def test_extremes(size, adaptive, plan):
    """The direction is that of a gradient of any size; a gradient of 0 moves nothing."""
    found = chosen(sharpness_aware(0.3, adaptive),
                   lambda update: pull(function=lambda w: tf.constant(size, tf.float64) * tf.cast(loss(w), tf.float64)),
                   plan)
    expected = references.sharpness_aware(gradient_at, references.long(WEIGHTS), 0.3, adaptive)
    np.testing.assert_allclose(references.long(found), size * expected, rtol=2e-4, atol=2e-4 * size)
    zeros = chosen(sharpness_aware(0.3, adaptive), lambda update: pull(weights=[np.zeros(s) for s in SHAPES]), plan)
    assert all(not each.any() for each in zeros)  # cos is flat at 0


@pytest.mark.parametrize("radius", [-0.1, float("inf"), float("nan")])
def test_radius_has_a_range(radius):
    with pytest.raises(ValueError, match=rf"^`radius` \({radius}\) must be at least 0 and finite$"):
        sharpness_aware(radius)
