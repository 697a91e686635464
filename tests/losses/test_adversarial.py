"""The two-player losses: one table of facts that each of them must meet."""

import numpy as np
import pytest
import tensorflow as tf

import losses
from engine.testing import (
    assert_finite,
    assert_gradients_match_finite_differences,
    assert_matches_reference,
    assert_plans_agree,
)
from tests import references

DRAW = np.random.default_rng(5)
REAL, FAKE = DRAW.normal(size=(2, 6)) * 2.0

PAIRS = [
    "wasserstein_critic",
    "non_saturating_discriminator",
    "least_squares_discriminator",
    "hinge_discriminator",
]
GENERATORS = [
    "wasserstein_generator",
    "non_saturating_generator",
    "minimax_generator",
    "least_squares_generator",
    "hinge_generator",
]
ALL = [(name, (REAL, FAKE)) for name in PAIRS] + [(name, (FAKE,)) for name in GENERATORS]
LOG_3 = float(np.log(3.0))

BY_HAND = [
    # Scores of 2 (real) and 5 (fake): 5 - 2; the generator wants 5 up, so -5.
    ("wasserstein_critic", ([2.0], [5.0]), 3.0),
    ("wasserstein_generator", ([5.0],), -5.0),
    # sigmoid(log 3) = 3/4: -log 3/4 for the real one, -log(1 - 3/4) for the fake one; log 4/3 + log 4.
    ("non_saturating_discriminator", ([LOG_3], [LOG_3]), np.log(16.0 / 3.0)),
    ("non_saturating_generator", ([LOG_3],), np.log(4.0 / 3.0)),
    # log(1 - 3/4): what the discriminator loses on the fake one, with the other sign.
    ("minimax_generator", ([LOG_3],), -np.log(4.0)),
    # 1/2 (3 - 1)^2 + 1/2 (-2)^2 = 2 + 2; 1/2 (-2 - 1)^2.
    ("least_squares_discriminator", ([3.0], [-2.0]), 4.0),
    ("least_squares_generator", ([-2.0],), 4.5),
    # max(0, 1 - 0.25) + max(0, 1 + 0.5) = 0.75 + 1.5; the generator's is -0.5.
    ("hinge_discriminator", ([0.25], [0.5]), 2.25),
    ("hinge_generator", ([0.5],), -0.5),
]


@pytest.mark.parametrize("name, scores, expected", BY_HAND, ids=[case[0] for case in BY_HAND])
def test_by_hand(name, scores, expected):
    np.testing.assert_allclose(getattr(losses, name)(*scores), [expected], rtol=1e-6)


@pytest.mark.parametrize("name, scores", ALL, ids=[case[0] for case in ALL])
def test_matches_numpy_finite_differences_and_plans(name, scores):
    loss = getattr(losses, name)
    assert_matches_reference(loss, getattr(references, name), *scores)
    assert_gradients_match_finite_differences(loss, *scores)
    assert_plans_agree(loss, *scores)


@pytest.mark.parametrize("name, scores", ALL, ids=[case[0] for case in ALL])
def test_finite_at_extremes(name, scores):
    ends = np.array([1e4, -1e4, 1e4, -1e4, 0.0])
    assert_finite(getattr(losses, name), *[ends, ends[::-1]][: len(scores)])


def test_wasserstein_estimates_the_distance_of_two_points_of_mass():
    # Monte Carlo: N(2, 1) and N(0, 1) are a distance 2 apart, told by the 1-Lipschitz critic f(x) = x;
    # the standard error is sqrt(2 / 50,000) = 0.0063.
    draw = np.random.default_rng(0)
    real, fake = draw.normal(2.0, 1.0, 50_000), draw.normal(0.0, 1.0, 50_000)
    assert abs(-np.mean(losses.wasserstein_critic(real, fake)) - 2.0) < 4 * 0.0063
    np.testing.assert_array_equal(losses.wasserstein_critic(real, real), np.zeros(50_000))


def test_non_saturating_limits():
    # Blind: 2 log 2. Sure and right: 0. It is the sigmoid's cross-entropy to labels 1 and 0.
    np.testing.assert_allclose(
        losses.non_saturating_discriminator([0.0], [0.0]), [2.0 * np.log(2.0)], rtol=1e-6
    )
    np.testing.assert_allclose(losses.non_saturating_discriminator([200.0], [-200.0]), [0.0], atol=1e-30)
    ones, zeros = np.ones(6), np.zeros(6)
    expected = losses.sigmoid_cross_entropy(ones, REAL) + losses.sigmoid_cross_entropy(zeros, FAKE)
    np.testing.assert_allclose(losses.non_saturating_discriminator(REAL, FAKE), expected, rtol=1e-12)
    expected = losses.sigmoid_cross_entropy(ones, FAKE)
    np.testing.assert_allclose(losses.non_saturating_generator(FAKE), expected, rtol=1e-12)


def test_non_saturating_generator_keeps_its_gradient_while_it_loses():
    fake = tf.constant([-1e4, 0.0, 1e4])
    with tf.GradientTape() as tape:
        tape.watch(fake)
        value = losses.non_saturating_generator(fake)
    np.testing.assert_allclose(tape.gradient(value, fake), [-1.0, -0.5, 0.0])


def test_minimax_limits():
    # The zero-sum game: minus what the discriminator loses on the fake ones. Blind: -log 2. Found out: 0.
    certain = np.full(6, 1e4)  # real ones known as real cost nothing
    expected = -losses.non_saturating_discriminator(certain, FAKE)
    np.testing.assert_allclose(losses.minimax_generator(FAKE), expected, rtol=1e-12)
    np.testing.assert_allclose(losses.minimax_generator([0.0]), [-np.log(2.0)], rtol=1e-6)
    fake = tf.constant([-1e4, 0.0, 1e4])
    with tf.GradientTape() as tape:
        tape.watch(fake)
        value = losses.minimax_generator(fake)
    np.testing.assert_allclose(tape.gradient(value, fake), [0.0, -0.5, -1.0])  # dies while it loses


def test_least_squares_limits():
    # Scores on their marks cost nothing; the blind best, 1/2 for both, costs 1/8 + 1/8.
    np.testing.assert_array_equal(losses.least_squares_discriminator([1.0], [0.0]), [0.0])
    np.testing.assert_array_equal(losses.least_squares_discriminator([0.5], [0.5]), [0.25])
    np.testing.assert_array_equal(losses.least_squares_generator([1.0]), [0.0])


def test_hinge_limits():
    # Beyond the margins nothing; within them Wasserstein's value plus both margins.
    np.testing.assert_array_equal(losses.hinge_discriminator([1.0, 9.0], [-1.0, -9.0]), [0.0, 0.0])
    inside = np.tanh(REAL), np.tanh(FAKE)
    expected = losses.wasserstein_critic(*inside) + 2.0
    np.testing.assert_allclose(losses.hinge_discriminator(*inside), expected, rtol=1e-12)
    np.testing.assert_array_equal(losses.hinge_generator(FAKE), losses.wasserstein_generator(FAKE))


def words(name):
    return ("real_logits", "fake_logits") if name.startswith(("non_saturating", "minimax")) else ("real", "fake")


@pytest.mark.parametrize("name", PAIRS)
def test_guards_of_pairs(name):
    loss, (real, fake) = getattr(losses, name), words(name)
    flat, column = tf.zeros([8]), tf.zeros([8, 1])
    with pytest.raises(
        ValueError, match=rf"^`{fake}` \(shape \(8, 1\)\) must be of shape \[batch\], one score per"
    ):
        loss(flat, column)
    with pytest.raises(
        ValueError, match=rf"^`{real}` \(shape \(8, 1\)\) must be of shape \[batch\], one score per"
    ):
        loss(column, column)
    with pytest.raises(
        ValueError, match=rf"^`{fake}` \(shape \(1,\)\) must be of the shape of `{real}`, \(8,\)$"
    ):
        loss(flat, tf.zeros([1]))


@pytest.mark.parametrize("name", GENERATORS)
def test_guards_of_generators(name):
    fake = words(name)[1]
    with pytest.raises(
        ValueError, match=rf"^`{fake}` \(shape \(8, 1\)\) must be of shape \[batch\], one score per"
    ):
        getattr(losses, name)(tf.zeros([8, 1]))
    with pytest.raises(ValueError, match=rf"^`{fake}` \(dtype int32\) must be floating point$"):
        getattr(losses, name)([1, 2])
