"""The order of an epoch as a pure function: no table, no state, each place on its own.

Only elementwise operations on 64-bit integers, so eager, graph and XLA give the same numbers on every device.
"""

import math

import tensorflow as tf

from engine.noise import fingerprint

RANKED = 128  # up to so many numbers, a power of two, the order is that of as many random draws
ROUNDS = 4  # of two steps each; three show in a count of neighbours below 500 numbers, four in none above RANKED
# Source: G. Steele, D. Lea and C. Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014: the step of
# SplitMix64 and its two factors (D. Stafford's mixer 13).
STEP, FACTORS = 0x9E3779B97F4A7C15, (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)


def permuted(positions: tf.Tensor, epochs: tf.Tensor, size: int, key: int) -> tf.Tensor:
    """The numbers at ``positions`` of the epochs' orders: for each epoch a permutation of 0..size-1.

    A pure function of (key, epoch), and of all their bits.

    Args:
      positions: int64 [...], each in 0..size-1.
      epochs: int64, at least 0, of a shape that broadcasts to that of ``positions``; the keys are computed in this one.
      size: Number of elements, at least 1, below 2**63.
      key: The fingerprint of a seed.

    Returns:
      int64, of the shape of ``positions``.
    """
    places, epochs = tf.cast(positions, tf.uint64), tf.cast(epochs, tf.uint64)
    shuffled = _ranks(places, epochs, size, key) if size <= RANKED else _rounds(places, epochs, size, key)
    return tf.cast(shuffled, tf.int64)


def _ranks(places: tf.Tensor, epochs: tf.Tensor, size: int, key: int) -> tf.Tensor:
    """The rank of each place's draw among all ``size`` of its epoch, all different: the last bits are the place."""
    def draws(places: tf.Tensor) -> tf.Tensor:
        drawn = _mixed(stream + places * STEP)
        return drawn - drawn % RANKED + places

    stream = _keys(epochs, key, 1)  # [..., 1]
    lower = draws(tf.cast(tf.range(size), tf.uint64)) < draws(places[..., None])
    return tf.reduce_sum(tf.cast(lower, tf.int32), axis=-1)


def _rounds(places: tf.Tensor, epochs: tf.Tensor, size: int, key: int) -> tf.Tensor:
    """Rounds that are permutations each, with keys of their own.

    Source: J. Black and P. Rogaway, "Ciphers with Arbitrary Finite Domains", CT-RSA 2002: a Feistel network on the
    pairs of a number below ``left`` and one below ``right``. They walk on from the numbers that are no pairs, those
    from ``left * right`` on, for as long as it takes. Here these few stay where they are for a round, and as all
    numbers are first turned by a step of the round, they are others in each.
    """
    keys = tf.unstack(_keys(epochs, key, 3 * ROUNDS), axis=-1)
    for first in range(0, 3 * ROUNDS, 3):
        places = _round(places, size, *keys[first:first + 3])
    return places


def _round(places: tf.Tensor, size: int, turn: tf.Tensor, of_low: tf.Tensor, of_high: tf.Tensor) -> tf.Tensor:
    left, right = _sides(size)
    turned = (places + turn) % size
    high = turned // right
    low = turned - high * right
    high = (high + _hash(low + of_low)) % left
    low = (low + _hash(high + of_high)) % right
    joined = high * right + low
    return joined if left * right == size else tf.where(turned < left * right, joined, turned)


def _sides(size: int) -> tuple[int, int]:
    """Two numbers near the root of ``size`` whose product falls short of it as little as possible."""
    root = math.isqrt(size)
    left = min(range(3 * root // 4 + 1, root + 1), key=lambda left: (size % left, -left))
    return left, size // left


def _keys(epochs: tf.Tensor, key: int, count: int) -> tf.Tensor:
    """``count`` keys of 63 bits for each epoch: uint64 [..., count]."""
    starts = tf.constant([fingerprint(key, number) for number in range(count)], tf.uint64)
    return _shifted(_mixed(epochs[..., None] * STEP + starts), 1)


def _mixed(numbers: tf.Tensor) -> tf.Tensor:
    """Other 64 bits for each 64 bits, of which each depends on all."""
    return _folded(_folded(_folded(numbers, 30) * FACTORS[0], 27) * FACTORS[1], 31)


def _hash(numbers: tf.Tensor) -> tf.Tensor:
    """32 bits for each 64 bits, as ``_mixed`` but with fewer operations."""
    return _shifted(_folded(numbers * FACTORS[0], 32) * FACTORS[1], 32)


def _folded(numbers: tf.Tensor, bits: int) -> tf.Tensor:
    return tf.bitwise.bitwise_xor(numbers, _shifted(numbers, bits))


def _shifted(numbers: tf.Tensor, bits: int) -> tf.Tensor:
    return tf.bitwise.right_shift(numbers, tf.constant(bits, tf.uint64))
