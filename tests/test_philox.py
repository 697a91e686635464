"""Philox in elementwise operations: TensorFlow's own numbers, eagerly, in a graph and under XLA."""

import numpy as np
import pytest
import tensorflow as tf

from engine import philox

SEEDS = ((0, 0), (1, 2), (-1, -7), (2**63 - 1, -(2**63)), (2**40 + 3, 2**40), (0x123456789ABCDEF, 5 * 2**40 + 1))
SHAPES = ((), (0,), (1,), (4,), (7,), (3, 0, 2), (5, 3, 2), (4099,))
BIG = (2, 250_001)


def eager(function, shape):
    return lambda seed: function(shape, seed)


def graph(function, shape):
    return tf.function(eager(function, shape), autograph=False)


def xla(function, shape):
    return tf.function(eager(function, shape), autograph=False, jit_compile=True)


def their_integers(shape, seed):
    return tf.random.stateless_uniform(shape, seed, None, None, tf.int64, alg="philox")


def their_uniform(shape, seed):
    return tf.random.stateless_uniform(shape, seed, alg="philox")


def their_normal(shape, seed):
    return tf.random.stateless_normal(shape, seed, alg="philox")


def same_bits(ours, theirs):
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours, theirs)


def within_roundings(ours, theirs):
    """Up to 5 ulp outside XLA and 2 under it were seen, in 32 million numbers: 8 are allowed."""
    assert ours.dtype == theirs.dtype == tf.float32
    np.testing.assert_array_max_ulp(ours.numpy(), theirs.numpy(), maxulp=8)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-6)


KINDS = pytest.mark.parametrize("ours, theirs, check", [
    (philox.uniform, their_uniform, same_bits),
    (philox.integers, their_integers, same_bits),
    (philox.normal, their_normal, within_roundings),
], ids=("uniform", "integers", "normal"))


@pytest.mark.parametrize("counter, key, words", [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
])
def test_known_answers_of_the_random123_distribution(counter, key, words):
    counter, key = ([tf.constant(int(word, 16), tf.uint32) for word in text.split()] for text in (counter, key))
    assert " ".join(f"{int(word):08x}" for word in philox.philox(counter, key)) == words


@KINDS
@pytest.mark.parametrize("run", [eager, graph, xla])
def test_tensorflows_own_numbers_for_every_shape(run, ours, theirs, check):
    seed = tf.constant(SEEDS[-1], tf.int64)
    for shape in (SHAPES if run is eager else SHAPES[::3]):
        check(run(ours, shape)(seed), theirs(shape, seed))


@KINDS
@pytest.mark.parametrize("run", [eager, xla])
def test_tensorflows_own_numbers_for_every_seed(run, ours, theirs, check):
    drawn = run(ours, (6, 3))
    for seed in SEEDS:
        check(drawn(tf.constant(seed, tf.int64)), theirs((6, 3), tf.constant(seed, tf.int64)))


@KINDS
@pytest.mark.parametrize("run", [eager, xla])
def test_tensorflows_own_numbers_in_a_large_draw(run, ours, theirs, check):
    seed = tf.constant([-3, 2**40], tf.int64)
    check(run(ours, BIG)(seed), theirs(BIG, seed))


@KINDS
def test_inside_an_xla_loop_with_the_counter_in_the_seed(ours, theirs, check):
    @tf.function(autograph=False, jit_compile=True)
    def loop(first, last):
        def body(update, rows):
            drawn = ours([9], tf.stack([tf.constant(-11, tf.int64), update]))
            return update + 1, tf.tensor_scatter_nd_update(rows, [[tf.cast(update - first, tf.int32)]], drawn[None])

        kind = tf.int64 if ours is philox.integers else tf.float32
        return tf.while_loop(lambda update, _: update < last, body, (first, tf.zeros([4, 9], kind)))[1]

    first = tf.constant(2**40 - 2, tf.int64)
    rows = [theirs([9], tf.stack([tf.constant(-11, tf.int64), first + step])) for step in range(4)]
    check(loop(first, first + 4), tf.stack(rows))


@pytest.mark.parametrize("function", [philox.uniform, philox.normal, philox.integers])
def test_xla_keeps_no_constant_as_long_as_the_draw(function):
    drawn = xla(function, (4096,))
    compiled = drawn.experimental_get_compiler_ir(tf.constant([1, 2], tf.int64))(stage="optimized_hlo")
    assert "constant({...})" not in compiled


def test_moments():
    seed = tf.constant([8, 9], tf.int64)
    uniform, normal = philox.uniform([100_000], seed).numpy(), philox.normal([100_000], seed).numpy()
    whole = philox.integers([100_000], seed).numpy() / 2.0**63
    assert (uniform.mean(), uniform.var()) == (pytest.approx(0.5, abs=0.005), pytest.approx(1 / 12, abs=0.002))
    assert (normal.mean(), normal.var()) == (pytest.approx(0, abs=0.015), pytest.approx(1, abs=0.02))
    assert (whole.mean(), whole.var()) == (pytest.approx(0, abs=0.01), pytest.approx(1 / 3, abs=0.005))
    assert uniform.min() >= 0.0 and uniform.max() < 1.0
