"""Ways between latents: a case by hand, what a turn keeps, its limits, and the ends' bits."""

import numpy as np
import pytest

from engine import Invalid
from engine.reporting.interpolation import linear, spherical

RNG = np.random.default_rng(0)


def pairs(dimensions, dtype=np.float32):
    return RNG.normal(size=(5, dimensions)).astype(dtype), RNG.normal(size=(5, dimensions)).astype(dtype)


def test_a_quarter_turn_in_three_steps_by_hand():
    # From (2, 0) to (0, 2) by 30 degrees each: 2 cos, 2 sin of 0, 30, 60, 90.
    way = spherical(np.array([[2.0, 0.0]]), np.array([[0.0, 2.0]]), 4)
    np.testing.assert_allclose(way[0], [[2, 0], [3**0.5, 1], [1, 3**0.5], [0, 2]], atol=1e-12)


def test_equal_lengths_keep_their_length_and_turn_by_equal_angles():
    start, end = pairs(64, np.float64)
    end *= np.linalg.norm(start, axis=1, keepdims=True) / np.linalg.norm(end, axis=1, keepdims=True)
    way = spherical(start, end, 9)
    lengths = np.linalg.norm(way, axis=2)
    np.testing.assert_allclose(lengths, np.broadcast_to(lengths[:, :1], lengths.shape), rtol=1e-12)
    cosines = np.sum(way[:, 1:] * way[:, :-1], axis=2) / lengths[:, :1] ** 2
    np.testing.assert_allclose(cosines, np.broadcast_to(cosines[:, :1], cosines.shape), rtol=1e-12)


def test_a_straight_way_leaves_the_shell_that_a_turn_keeps():
    start, end = (RNG.normal(size=(200, 100)) for _ in range(2))
    middle = [np.linalg.norm(way(start, end, 3)[:, 1], axis=1).mean() for way in (linear, spherical)]
    assert middle[0] == pytest.approx(50**0.5, rel=0.02)  # the mean of two has half the variance
    assert middle[1] == pytest.approx(10, rel=0.02)


@pytest.mark.parametrize("way", [linear, spherical])
@pytest.mark.parametrize("dimensions", [1, 2, 100])
def test_the_ends_are_exact_and_the_dtype_stays(way, dimensions):
    start, end = pairs(dimensions)
    found = way(start, end, 7)
    assert found.shape == (5, 7, dimensions) and found.dtype == np.float32
    np.testing.assert_array_equal(found[:, 0], start)
    np.testing.assert_array_equal(found[:, -1], end)


def test_latents_of_many_axes_turn_as_their_flat_form():
    start, end = RNG.normal(size=(2, 3, 2, 4, 5))
    flat = spherical(start.reshape(3, -1), end.reshape(3, -1), 6)
    np.testing.assert_array_equal(spherical(start, end, 6).reshape(3, 6, -1), flat)
    np.testing.assert_allclose(linear(start, end, 3)[:, 1], (start + end) / 2, rtol=1e-15)


@pytest.mark.parametrize("factor", [1.0, 3.0, -1.0, -0.5, 0.0])
def test_one_direction_has_no_plane_and_goes_straight(factor):
    start = RNG.normal(size=(4, 8))
    np.testing.assert_allclose(spherical(start, factor * start, 5), linear(start, factor * start, 5), atol=1e-12)


def test_a_small_angle_comes_near_the_straight_way():
    start = np.array([[1.0, 0.0]])
    end = np.array([[1.0, 1e-4]])
    np.testing.assert_allclose(spherical(start, end, 5), linear(start, end, 5), atol=1e-8)


@pytest.mark.parametrize("way", [linear, spherical])
def test_bad_arguments_are_named(way):
    with pytest.raises(Invalid, match=r"`end` \(shape \[2, 3\]\) must be of start's shape \[2, 4\]"):
        way(np.zeros([2, 4]), np.zeros([2, 3]), 3)
    with pytest.raises(Invalid, match=r"`steps` \(1\) must be an integer of at least 2"):
        way(np.zeros([2, 4]), np.zeros([2, 4]), 1)
