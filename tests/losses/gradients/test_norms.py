"""Norms that neither overflow nor vanish, and hide nothing that is not finite."""

import numpy as np
import pytest
import tensorflow as tf

from losses.gradients.norms import dot, norm, scaled, unit
from tests.losses.gradients.pulls import PLANS

DRAW = np.random.default_rng(0)
TENSORS = [DRAW.normal(size=shape) for shape in ((2, 3), (4,), ())]


def under(plan, function):
    return function if plan == "eager" else tf.function(function, jit_compile=plan == "xla")


def test_by_hand():
    # 3 and 4 make 5, whatever their shapes; half of (1, 2) with (3, 4) is 5.5.
    assert float(norm([tf.constant([3.0]), tf.constant(-4.0)])) == 5.0
    np.testing.assert_allclose(unit([tf.constant([3.0]), tf.constant([-4.0])]), [[0.6], [-0.8]], rtol=1e-6)
    assert float(dot([tf.constant([0.5]), tf.constant([[1.0]])], [tf.constant([3.0]), tf.constant([[4.0]])])) == 5.5


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("size", [1e-36, 1e-30, 1e-10, 1.0, 1e10, 1e30, 1e37])
def test_any_size_in_float32(size, plan):
    tensors = [tf.constant(size * x, tf.float32) for x in TENSORS]
    length = size * np.sqrt(sum(np.sum(x**2) for x in TENSORS))
    np.testing.assert_allclose(under(plan, norm)(tensors), length, rtol=1e-6)
    for found, x in zip(under(plan, unit)(tensors), TENSORS, strict=True):
        np.testing.assert_allclose(found, x * size / length, rtol=2e-6)


def test_float64_and_half():
    tensors = [tf.constant(TENSORS[0]), tf.constant(TENSORS[1], tf.bfloat16)]
    assert norm(tensors).dtype == tf.float64
    assert [each.dtype for each in unit(tensors)] == [each.dtype for each in scaled(0.5, tensors)] == [
        tf.float64, tf.bfloat16]
    narrow = [tf.fill([100], tf.constant(1000.0, tf.float16))]  # the sum of their squares has no float16
    assert norm(narrow).dtype == tf.float32
    assert float(norm(narrow)) == 1e4
    np.testing.assert_allclose(norm([tf.constant(x) for x in TENSORS]),
                               np.sqrt(sum(np.sum(x**2) for x in TENSORS)), rtol=1e-14)


@pytest.mark.parametrize("plan", PLANS)
def test_zeros_and_what_is_not_finite(plan):
    zeros = [tf.zeros([3]), tf.zeros([2, 2])]
    assert float(under(plan, norm)(zeros)) == 0.0
    assert all(not each.numpy().any() for each in under(plan, unit)(zeros))
    for bad in (np.nan, np.inf, -np.inf):  # XLA's maximum overlooks a NaN
        for others in (0.0, 2.0):
            tensors = [tf.constant([others, bad, others]), tf.fill([4], others)]
            assert not np.isfinite(under(plan, norm)(tensors))
            assert not np.isfinite(under(plan, unit)(tensors)[0][1])
