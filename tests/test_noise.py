"""Draws are pure functions of (seed, phase, update, name, example)."""

import numpy as np
import pytest
import tensorflow as tf

from engine import Invalid, Noise
from engine.noise import Request, fingerprint, key, some_of


def test_the_same_key_gives_the_same_draw_and_any_other_part_another():
    def draw(seed=1, phase="critic", update=2, name="z"):
        return Noise(seed, phase, update, 4).normal(name, [3]).numpy()

    np.testing.assert_array_equal(draw(), draw())
    for other in (draw(seed=2), draw(phase="generator"), draw(update=3), draw(name="y")):
        assert not np.any(other == draw())


def test_an_examples_draw_does_not_depend_on_how_many_there_are():
    few, many = (Noise(0, "p", 0, examples).normal("z", [3]).numpy() for examples in (4, 64))
    np.testing.assert_array_equal(many[:4], few)


def test_moments_and_ranges():
    noise = Noise(0, "p", 0, 20_000)
    normal, uniform = noise.normal("a").numpy(), noise.uniform("b", low=-2.0, high=3.0).numpy()
    heads = noise.bernoulli("c", tf.fill([20_000], 0.3)).numpy()
    assert (normal.mean(), normal.std()) == (pytest.approx(0, abs=0.03), pytest.approx(1, abs=0.03))
    assert (uniform.min(), uniform.max()) == (pytest.approx(-2, abs=0.01), pytest.approx(3, abs=0.01))
    assert uniform.max() < 3.0
    assert heads.mean() == pytest.approx(0.3, abs=0.015)
    assert set(np.unique(heads)) == {0.0, 1.0}


def test_draws_made_before_are_handed_out_by_name():
    made = Noise(5, "p", 7, 4)
    z, u = made.normal("z", [2]), made.uniform("u", low=1.0, high=2.0)
    raw = {name: request.draw(tf.constant([fingerprint(5, "p", name), 7], tf.int64), 4)
           for name, request in made.requests.items()}
    given = Noise(examples=4, drawn=raw)
    np.testing.assert_array_equal(given.normal("z", [2]), z)
    np.testing.assert_array_equal(given.uniform("u", low=1.0, high=2.0), u)


def test_a_name_used_twice_and_an_unknown_shape_are_refused():
    noise = Noise(examples=4)
    noise.normal("z")
    with pytest.raises(Invalid, match=r"`noise name` \(z\) must be used once per loss"):
        noise.uniform("z")
    with pytest.raises(Invalid, match=r"`shape of noise y` \(\(None,\)\) must be known before the run"):
        noise.normal("y", tf.TensorShape([None]))


def test_fingerprints_are_the_same_in_every_process_and_fit_int64():
    assert fingerprint(0, "critic", "z") == fingerprint(0, "critic", "z")
    assert fingerprint(1, "ab", "c") != fingerprint(1, "a", "bc")
    assert all(0 <= fingerprint(i) < 2**63 for i in range(1000))
    assert fingerprint("phaseloop") == 4590538923444259406  # recorded: a change breaks every resume


@pytest.mark.parametrize("kind", ["normal", "uniform"])
@pytest.mark.parametrize("shape", [(), (3,), (5, 7, 1)])
def test_some_of_a_draw_are_the_bits_of_the_whole(kind, shape):
    pair = key(3, "phase", 17, "z")
    whole = Request(kind, shape).draw(pair, 40)
    for rows in (slice(0, 40), slice(0, 10), slice(13, 14), slice(7, 40)):
        np.testing.assert_array_equal(some_of(kind, pair, shape, rows), whole[rows])
