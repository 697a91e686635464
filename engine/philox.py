"""TensorFlow's stateless Philox draws, written in elementwise operations that XLA can compile.

XLA gives its own numbers for ``tf.random.stateless_*``. These functions give the numbers TensorFlow
gives outside XLA, in both places: the bits are the same, only log, sin and cos of ``normal`` may round
differently. Every step is elementwise over the groups of four words, so XLA fuses them into one loop.

Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC11 (2011).
"""

import math
from collections.abc import Sequence

import tensorflow as tf

Words = tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]


def philox(counter: Words, key: tuple[tf.Tensor, tf.Tensor]) -> Words:
    """philox4x32-10: four random words of a counter and a key; all uint32, of shapes that broadcast."""
    (c0, c1, c2, c3), (k0, k1) = counter, key
    for _ in range(10):
        (low0, high0), (low1, high1) = _product(c0, 0xD2511F53), _product(c2, 0xCD9E8D57)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = k0 + tf.constant(0x9E3779B9, tf.uint32), k1 + tf.constant(0xBB67AE85, tf.uint32)
    return c0, c1, c2, c3


def uniform(shape: Sequence[int], seed: tf.Tensor) -> tf.Tensor:
    """Uniform numbers in [0, 1), ``shape`` float32; ``seed`` is [2] int64.

    Equals ``tf.random.stateless_uniform(shape, seed, alg="philox")``, bit for bit.
    """
    return _shaped(_unit(_side_by_side(*_drawn(shape, 4, seed))), shape)


def normal(shape: Sequence[int], seed: tf.Tensor) -> tf.Tensor:
    """Standard normal numbers, ``shape`` float32; ``seed`` is [2] int64.

    Equals ``tf.random.stateless_normal(shape, seed, alg="philox")`` but for the rounding of log, sin and cos.

    Source: Box and Muller, "A note on the generation of random normal deviates" (1958).
    """
    w0, w1, w2, w3 = _drawn(shape, 4, seed)
    radius = tf.sqrt(-2.0 * tf.math.log(tf.maximum(_unit(_side_by_side(w0, w2)), 1e-7)))
    # The product in double precision, as TensorFlow's: with a float32 π the angle's last bits differ.
    angle = tf.cast(tf.cast(_unit(_side_by_side(w1, w3)), tf.float64) * (2.0 * math.pi), tf.float32)
    return _shaped(_side_by_side(tf.sin(angle) * radius, tf.cos(angle) * radius), shape)


def integers(shape: Sequence[int], seed: tf.Tensor) -> tf.Tensor:
    """Integers over the full range, ``shape`` int64; ``seed`` is [2] int64.

    Equals ``tf.random.stateless_uniform(shape, seed, None, None, tf.int64, alg="philox")``, bit for bit.
    """
    w0, w1, w2, w3 = (tf.cast(word, tf.uint64) for word in _drawn(shape, 2, seed))
    bits = tf.constant(32, tf.uint64)
    low, high = _side_by_side(w0, w2), _side_by_side(w1, w3)
    return _shaped(tf.bitcast(low | tf.bitwise.left_shift(high, bits), tf.int64), shape)


def _drawn(shape: Sequence[int], per_group: int, seed: tf.Tensor) -> Words:
    """The four words, each [groups] uint32, of as many groups as ``shape`` needs; TensorFlow's use of the seed."""
    (s0, s1), (s2, s3) = _words_of(tf.bitcast(seed[0], tf.uint64)), _words_of(tf.bitcast(seed[1], tf.uint64))
    k0, k1, c2, c3 = philox((s0, s1, s2, s3), (tf.constant(0x3EC8F720, tf.uint32), tf.constant(0x02461E29, tf.uint32)))
    # The zero hangs on the seed lest TensorFlow folds what follows into constants as long as the draw.
    groups = tf.range(-(-math.prod(shape) // per_group), dtype=tf.int64) + (seed[0] & tf.constant(0, tf.int64))
    return philox((*_words_of(tf.bitcast(groups, tf.uint64)), c2, c3), (k0, k1))


def _product(word: tf.Tensor, factor: int) -> tuple[tf.Tensor, tf.Tensor]:
    return _words_of(tf.cast(word, tf.uint64) * tf.constant(factor, tf.uint64))


def _words_of(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The low and the high 32 bits of uint64 ``number``, as uint32."""
    high = tf.bitwise.right_shift(number, tf.constant(32, tf.uint64))
    return tf.cast(number, tf.uint32), tf.cast(high, tf.uint32)


def _unit(word: tf.Tensor) -> tf.Tensor:
    """A float32 in [0, 1) of the low 23 bits of a word: they are the fraction of a number in [1, 2)."""
    return tf.bitcast((word & tf.constant(0x7FFFFF, tf.uint32)) | tf.constant(0x3F800000, tf.uint32), tf.float32) - 1.0


def _side_by_side(*parts: tf.Tensor) -> tf.Tensor:
    """[..., parts] of parts [...]. Chosen by place: around a tf.stack XLA computes what the parts share many times."""
    place = tf.range(len(parts))
    chosen = parts[0][..., None]
    for number, part in enumerate(parts[1:], 1):
        chosen = tf.where(place < number, chosen, part[..., None])
    return chosen


def _shaped(numbers: tf.Tensor, shape: Sequence[int]) -> tf.Tensor:
    """As many of the numbers as ``shape`` holds, the first groups first."""
    return tf.reshape(tf.reshape(numbers, [-1])[:math.prod(shape)], shape)
