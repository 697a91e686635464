"""The order of an epoch: a permutation, never the same one twice, and as even as NumPy's shuffle."""

import numpy as np
import pytest
import tensorflow as tf

from engine.data import permutation
from engine.data.permutation import permuted
from engine.data.source import ArraySource
from engine.noise import fingerprint

KEY = fingerprint(0, "order")


@tf.function(reduce_retracing=True)
def _of_many(positions, epochs, size, key):
    return permuted(positions[None, :], epochs[:, None], size, key)


def ours(positions, epochs, size, key=KEY):
    """[epochs, positions]: the numbers at the positions."""
    return _of_many(tf.constant(positions, tf.int64), tf.constant(epochs, tf.int64), size, key).numpy()


def numpys(positions, epochs, size):
    """The same of NumPy's shuffle."""
    generator = np.random.default_rng(7)
    return np.array([generator.permutation(size)[positions] for _ in epochs])


def standard_deviations(counts):
    """By how many standard deviations chi-squared is off, of counts that are all expected to be alike."""
    expected, free = counts.mean(), counts.size - 1
    return (((counts - expected) ** 2).sum() / expected - free) / np.sqrt(2 * free)


def histogram(*values, sizes):
    return np.bincount(np.ravel_multi_index(values, sizes).ravel(), minlength=np.prod(sizes))


@pytest.mark.parametrize("size", [*range(1, 71), 97, 127, 128, 129, 251, 1009, 4099, 60000, 65537, 300007])
def test_each_epoch_is_a_permutation(size):
    epochs = tf.constant([0, 1, 255, 2**40 + 1, 2**63 - 1], tf.int64)
    for row in permuted(tf.range(size, dtype=tf.int64)[None], epochs[:, None], size, KEY).numpy():
        np.testing.assert_array_equal(np.sort(row), np.arange(size))


@pytest.mark.parametrize("size", [90, 200])
def test_shapes_that_broadcast(size):
    whole = ours(range(10), range(10), size)
    positions, epochs = np.arange(100) % 10, np.arange(100) // 10
    np.testing.assert_array_equal(permuted(tf.constant(positions), tf.constant(epochs), size, KEY), whole.ravel())
    one = tf.constant(2, tf.int64)
    np.testing.assert_array_equal(permuted(tf.range(10, dtype=tf.int64), one, size, KEY), whole[2])
    assert permuted(tf.constant(3, tf.int64), one, size, KEY) == whole[2, 3]


@pytest.mark.parametrize("size", [1000, 65537])
def test_no_two_of_5000_epochs_are_alike(size):
    near, far = np.arange(2500), 2**33 * np.arange(1, 2501)
    rows = ours(range(12), np.concatenate([near, far]), size)
    assert len({tuple(row) for row in rows}) == 5000


def test_no_two_of_5000_seeds_are_alike(monkeypatch):
    keys = [fingerprint(seed, "order") for seed in range(5000)]
    epoch, count = tf.constant([0], tf.int64), 3 * permutation.ROUNDS
    of_all = tf.stack([permutation._keys(tf.cast(epoch, tf.uint64), key, count) for key in keys])
    for size in (1000, 65537):
        with monkeypatch.context() as patch:  # one call for all seeds, where 5000 would take long
            patch.setattr(permutation, "_keys", lambda *_: of_all)
            rows = permuted(tf.range(12, dtype=tf.int64), epoch, size, 0).numpy()
        assert len({tuple(row) for row in rows}) == 5000
        np.testing.assert_array_equal(rows[77], ours(range(12), [0], size, keys[77])[0])


@pytest.mark.parametrize("order, size, epochs", [
    *((order, size, 20000) for order in (ours, numpys) for size in (5, 10, 128, 129, 138, 1000)),
    (ours, 60000, 300000)])  # NumPy's takes minutes
def test_every_number_comes_at_every_position_as_often(order, size, epochs):
    found = order(np.unique([0, 1, size // 2, size - 1]), range(epochs), size)
    for column in found.T:
        assert abs(standard_deviations(histogram(column, sizes=[size]))) < 5


@pytest.mark.parametrize("size, batch, epochs", [(10, 3, 20000), (1000, 128, 5000)])
@pytest.mark.parametrize("order", [ours, numpys])
def test_every_number_is_left_out_as_often(order, size, batch, epochs):
    left_out = order(np.arange(size - size % batch, size), range(epochs), size)
    assert abs(standard_deviations(histogram(left_out, sizes=[size]))) < 5


@pytest.mark.parametrize("size, epochs", [(5, 50000), (10, 50000), (128, 200000), (129, 200000), (138, 200000)])
def test_two_neighbours_come_at_every_two_positions_as_often(size, epochs):
    for pair in ([0, 1], [size // 2, size - 1]):
        first, second = ours(pair, range(epochs), size).T
        steps = (second - first) % size
        assert steps.min() > 0
        assert abs(standard_deviations(histogram(steps - 1, first, sizes=[size - 1, size]))) < 5
        assert abs(standard_deviations(histogram(steps - 1, sizes=[size - 1]))) < 5


@pytest.mark.parametrize("size", [10, 138, 1000, 60000])
def test_epochs_that_follow_each_other_are_unrelated(size):
    positions = np.arange(0, size, max(1, size // 50))
    found = ours(positions, range(2001), size)
    steps = (found[1:] - found[:-1]) % size
    cells = size if size < 1000 else 50
    assert abs(standard_deviations(histogram(steps * cells // size, sizes=[cells]))) < 5


@pytest.mark.parametrize("size", [10, 1000, 60000, 65537])
def test_eager_graph_and_xla_give_the_same_numbers(size):
    positions = tf.constant(np.arange(40).reshape(4, 10) % size, tf.int64)
    epochs = tf.constant([[0], [3], [300], [2**62 + 5]], tf.int64)
    eager = permuted(positions, epochs, size, KEY)
    for compiled in (False, True):
        program = tf.function(lambda positions, epochs: permuted(positions, epochs, size, KEY), jit_compile=compiled)
        np.testing.assert_array_equal(program(positions, epochs), eager)


def test_the_order_is_the_same_in_every_release():
    # Recorded once: a change here changes every run that anyone continues.
    assert ours(range(6), [0, 1], 10).tolist() == [[0, 7, 1, 9, 2, 8], [2, 4, 5, 8, 9, 7]]
    assert ours(range(3), [0, 1], 60000).tolist() == [[24450, 55623, 34377], [33361, 10720, 7155]]


def left_out(source, epoch):
    """The examples that no batch of the epoch holds."""
    numbers = tf.range(source.batches_per_epoch, dtype=tf.int64) + epoch * source.batches_per_epoch
    held = source.batches(numbers, tf.constant(source.batches_per_epoch), ())["label"]
    return sorted(set(range(source.size)) - set(held.numpy().ravel().tolist()))


def test_a_source_repeats_no_epoch_after_256():
    source = ArraySource({"label": np.arange(1000)}, 100)
    for epoch in (0, 1, 77):
        first, later = (source.batch(tf.constant(10 * number, tf.int64), ())["label"].numpy()
                        for number in (epoch, epoch + 256))
        assert (first != later).mean() > 0.9


def test_a_source_has_another_order_for_each_seed():
    firsts = {tuple(ArraySource({"label": np.arange(1000)}, 20, seed).batch_inside(tf.constant(0, tf.int64))["label"]
                    .numpy()) for seed in range(200)}  # the same as ``batch``, without 200 traces
    assert len(firsts) == 200


def test_a_source_leaves_out_every_example_as_often():
    source = ArraySource({"label": np.arange(10)}, 3)
    program = tf.function(lambda numbers: source.batches(numbers, tf.constant(3 * 2000), ())["label"])
    held = program(tf.range(3 * 2000, dtype=tf.int64)).numpy().reshape(2000, 9)
    left = 45 - held.sum(axis=1)
    assert abs(standard_deviations(np.bincount(left, minlength=10))) < 5
    assert (left[256:512] == left[:256]).mean() < 0.25
    assert left_out(source, 1) == [left[1]]
