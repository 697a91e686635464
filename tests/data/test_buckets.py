"""Sources of several lengths: a batch is of one bucket; batch k is a function of (seed, k); each example once."""

import numpy as np
import pytest
import tensorflow as tf

from engine import BucketedSource, DatasetSource, Invalid
from engine.data.source import BUCKET

BUCKETS = (3, 5, 8)
LENGTHS = np.random.default_rng(0).permutation([*[1, 2, 3] * 4, *[4, 5] * 4, *[6, 7, 8] * 5]).astype("int32")  # 35
TOKENS = [100 * i + np.arange(length, dtype="int32") for i, length in enumerate(LENGTHS)]
INDEX = np.arange(len(LENGTHS), dtype="int32")
SIZES = (12, 8, 15)  # examples of each bucket
BATCH = 4  # so 3, 2 and 3 full batches


def lists(**options):
    options = {"batch_size": BATCH, "buckets": BUCKETS, **options}
    return BucketedSource({"tokens": TOKENS, "index": INDEX}, **options)


def padded(**options):
    tokens = np.zeros([len(LENGTHS), 9], "int32")
    for row, each in zip(tokens, TOKENS, strict=True):
        row[:len(each)] = each
    options = {"batch_size": BATCH, "buckets": BUCKETS, "lengths": LENGTHS, **options}
    return BucketedSource({"tokens": tokens, "index": INDEX}, **options)


def examples(tokens=TOKENS, index=INDEX):
    """A ragged tf.data.Dataset."""
    def each():
        yield from ({"tokens": row, "index": number} for row, number in zip(tokens, index, strict=True))

    return tf.data.Dataset.from_generator(each, output_signature={
        "tokens": tf.TensorSpec([None], tf.int32), "index": tf.TensorSpec([], tf.int32)})


def dataset(**options):
    return DatasetSource(examples(), **{"batch_size": BATCH, "buckets": BUCKETS, **options})


SOURCES = [lists, padded, dataset]


def read(source, first, count):
    """Batches first, first + 1, ... as the compiled loop reads them."""
    reader = source.open(first)
    found = [{name: value.numpy() for name, value in source.batch(tf.constant(k, tf.int64), reader).items()}
             for k in range(first, first + count)]
    source.left_at(first + count)
    return found


def indices(source, first, count):
    return [batch["index"].tolist() for batch in read(source, first, count)]


@pytest.mark.parametrize("make", SOURCES)
def test_sizes_and_forms(make):
    source = make()
    assert (source.size, source.batch_size) == (35, 4)
    assert (source.batches_per_epoch, source.batches_in_order) == (3 + 2 + 3, 3 + 2 + 4)
    forms = [{"tokens": tf.TensorSpec([4, length], tf.int32), "index": tf.TensorSpec([4], tf.int32),
              "length": tf.TensorSpec([4], tf.int32)} for length in BUCKETS]
    assert list(source.buckets) == forms
    assert source.spec == {**forms[-1], BUCKET: tf.TensorSpec([4], tf.int32)}


@pytest.mark.parametrize("make", SOURCES)
def test_a_batch_is_of_one_bucket_padded_to_the_longest(make):
    seen = set()
    for batch in read(make(), 0, 16):
        bucket = set(batch[BUCKET])
        assert len(bucket) == 1
        seen |= bucket
        longest = BUCKETS[bucket.pop()]
        assert batch["tokens"].shape == (4, 8) and batch["length"].max() <= longest
        assert all(batch["length"] > ([0, *BUCKETS][BUCKETS.index(longest)]))  # the smallest that holds it
        for row, index, length in zip(batch["tokens"], batch["index"], batch["length"], strict=True):
            assert length == LENGTHS[index]
            np.testing.assert_array_equal(row, [*TOKENS[index], *[0] * (8 - length)])
    assert seen == {0, 1, 2}


@pytest.mark.parametrize("make", SOURCES)
def test_no_example_twice_in_an_epoch_and_only_remainders_are_dropped(make):
    source = make()
    for epoch in range(4):
        found = np.concatenate(indices(source, 8 * epoch, 8))
        assert len(found) == len(set(found)) == 32
        assert set(range(35)) - set(found) <= set(np.flatnonzero(LENGTHS > 5))  # 15 = 3 batches of 4, and 3


def test_epochs_and_seeds_differ_in_order_and_in_what_they_drop():
    source = lists()
    epochs = [indices(source, 8 * epoch, 8) for epoch in range(30)]
    assert len({str(epoch) for epoch in epochs}) == 30
    dropped = [frozenset(range(35)) - set(np.concatenate(epoch)) for epoch in epochs]
    assert len(set(dropped)) > 20 and frozenset.union(*dropped) == set(np.flatnonzero(LENGTHS > 5))
    assert indices(lists(seed=1), 0, 8) != epochs[0]
    order = [tuple(len(TOKENS[batch[0]]) > 5 for batch in epoch) for epoch in epochs]
    assert len(set(order)) > 10  # the buckets take turns at random


@pytest.mark.parametrize("make", SOURCES)
def test_batch_k_is_a_pure_function_of_seed_and_k(make):
    whole = indices(make(), 0, 20)
    for first in (0, 3, 8, 17):
        assert indices(make(), first, 3) == whole[first:first + 3]
    one = make()  # as a run does: call after call, with jumps
    for first, count in ((0, 1), (1, 6), (7, 2), (2, 3)):
        assert indices(one, first, count) == whole[first:first + count]


def test_arrays_and_lists_are_the_same_source():
    for ours, theirs in zip(read(lists(), 0, 10), read(padded(), 0, 10), strict=True):
        for name in ours:
            np.testing.assert_array_equal(ours[name], theirs[name])


def test_many_batches_at_once_and_inside_xla_are_the_same():
    source = lists()
    one = read(source, 5, 6)
    many = source.batches(tf.range(5, 11, dtype=tf.int64), tf.constant(6), ())
    inside = tf.function(source.batch_inside, jit_compile=True)
    for i, batch in enumerate(one):
        compiled = inside(tf.constant(5 + i, tf.int64))
        for name in batch:
            np.testing.assert_array_equal(batch[name], many[name][i])
            np.testing.assert_array_equal(batch[name], compiled[name])


def test_the_seeded_order_is_the_same_in_every_release():
    # Recorded once: a change here changes every run that anyone continues.
    assert indices(lists(), 3, 2) == [[16, 22, 1, 20], [9, 18, 8, 14]]


@pytest.mark.parametrize("make", SOURCES)
def test_in_order_gives_every_example_once_in_its_bucket(make):
    source = make()
    for _ in range(2):  # and again, from the start
        reader, found = source.open_in_order(), []
        for number in range(source.batches_in_order):
            batch, weights = source.in_order(tf.constant(number, tf.int64), reader)
            assert {name: tf.TensorSpec.from_tensor(value) for name, value in batch.items()} == source.spec
            assert len(set(batch[BUCKET].numpy())) == 1
            assert all(batch["length"].numpy() <= BUCKETS[int(batch[BUCKET][0])])
            assert weights.dtype == tf.float32 and weights.shape == [4]
            found += batch["index"].numpy()[weights.numpy() > 0].tolist()
        assert sorted(found) == INDEX.tolist()
        assert source.stored_places.tolist() == found


def test_other_names_paddings_and_several_arrays():
    pictures = [np.full([length, 2], length, "float32") for length in LENGTHS]
    source = BucketedSource({"tokens": TOKENS, "x": pictures}, BATCH, BUCKETS, pad={"tokens": -1}, length="n")
    batch = read(source, 0, 1)[0]
    assert batch["x"].shape == (4, 8, 2)
    for row, x, length in zip(batch["tokens"], batch["x"], batch["n"], strict=True):
        assert (row[length:] == -1).all() and (x[:length] == length).all() and not x[length:].any()
    given = read(DatasetSource(examples(), BATCH, buckets=BUCKETS, pad=-1, length="n"), 0, 1)[0]
    assert all((row[length:] == -1).all() for row, length in zip(given["tokens"], given["n"], strict=True))


def test_ragged_tensors_object_arrays_and_lists_of_numbers():
    whole = read(lists(), 0, 4)
    rows = np.empty(35, object)
    rows[:] = TOKENS
    for tokens in (tf.ragged.constant([row.tolist() for row in TOKENS], tf.int32), rows, tuple(TOKENS)):
        source = BucketedSource({"tokens": tokens, "index": INDEX.tolist()}, BATCH, BUCKETS)
        for ours, theirs in zip(read(source, 0, 4), whole, strict=True):
            for name in ours:
                np.testing.assert_array_equal(ours[name], theirs[name])


def test_of_arrays_those_are_cut_that_are_named():
    wide = np.ones([35, 9], "float32")
    source = BucketedSource({"tokens": wide, "vector": wide}, BATCH, BUCKETS, lengths=LENGTHS, cut=["tokens"])
    assert [source.buckets[0][name].shape for name in ("tokens", "vector")] == [[4, 3], [4, 9]]


def test_a_ragged_tensor_and_a_shuffled_dataset():
    ragged = tf.data.Dataset.from_tensor_slices({"tokens": tf.ragged.constant([list(row) for row in TOKENS], tf.int32),
                                                 "index": INDEX})
    assert indices(DatasetSource(ragged, BATCH, buckets=BUCKETS), 0, 9) == indices(dataset(), 0, 9)
    shuffled = [DatasetSource(lambda: examples().shuffle(35, seed=3), BATCH, buckets=BUCKETS) for _ in range(2)]
    whole = indices(shuffled[0], 0, 12)
    assert whole != indices(dataset(), 0, 12) and indices(shuffled[1], 5, 4) == whole[5:9]


@pytest.mark.parametrize("make, text", [
    (lambda: lists(buckets=(3, 5)),
     r"`tokens of example \d+` \([678] long\) must be at most 5 long, the longest bucket"),
    (lambda: padded(buckets=(3, 5)), r"`lengths of example \d+` \([678] long\) must be at most 5 long"),
    (lambda: dataset(buckets=(3, 5)), r"`tokens of example \d+` \([678] long\) must be at most 5 long"),
    (lambda: lists(buckets=()), r"`buckets` \(\[\]\) must be at least one length"),
    (lambda: lists(buckets=(5, 3)), r"`buckets` \(\[5, 3\]\) must be whole numbers of at least 1, rising"),
    (lambda: dataset(buckets=(0, 8)), r"`buckets` \(\[0, 8\]\) must be whole numbers of at least 1, rising"),
    (lambda: lists(batch_size=9),
     r"`batch_size` \(9\) must be at most the examples of each bucket: 8 are of bucket 5"),
    (lambda: dataset(batch_size=9),
     r"`batch_size` \(9\) must be at most the examples of each bucket: 8 are of bucket 5"),
    (lambda: lists(length="index"), r"`length` \(index\) must be a name that the arrays do not have"),
    (lambda: dataset(length="index"), r"`length` \(index\) must be a name that the dataset does not have"),
    (lambda: BucketedSource({"index": INDEX}, BATCH, BUCKETS),
     r"`lengths` \(None\) must be given, or an array as a list of arrays of several lengths"),
    (lambda: BucketedSource({"tokens": TOKENS[:9], "index": INDEX}, BATCH, BUCKETS),
     r"`arrays` \(.*\) must be of one length"),
    (lambda: BucketedSource({"x": [np.ones([2, 3]), np.ones([2, 4])]}, 1, BUCKETS),
     r"`x of example 1` \(shape \[2, 4\]\) must be of shape \['t', 3\], as the first"),
    (lambda: padded(lengths=LENGTHS[:9]), r"`lengths` \(9 numbers\) must be one for each of 35 examples"),
    (lambda: BucketedSource({"tokens": np.ones([35, 6])}, BATCH, BUCKETS, lengths=LENGTHS),
     r"`tokens` \(6 long\) must be at least as long as the longest of lengths, 8"),
    (lambda: padded(lengths=LENGTHS, cut=["words"]), r"`cut` \(words\) must be one of tokens, index"),
    (lambda: padded(lengths=LENGTHS, cut=["index"]),
     r"`index` \(shape \[35\]\) must be of two axes or more: .* length"),
    (lambda: lists(lengths=LENGTHS + 1), r"`lengths` \(given\) must be left out: the lists have lengths"),
    (lambda: DatasetSource(examples(), BATCH),
     r"`dataset` \(tokens of shape \(None,\)\) must be of fully known shapes, or be given buckets=\[...\]: lengths to "
     r"which its examples are padded"),
    (lambda: DatasetSource(tf.data.Dataset.from_tensor_slices({"x": INDEX}), BATCH, buckets=BUCKETS),
     r"`buckets` \(\[3, 5, 8\]\) must be left out: all shapes of the dataset are known"),
    (lambda: DatasetSource(examples().batch(2), 1, buckets=BUCKETS),
     r"`dataset` \(tokens of shape \(None, None\)\) must be of unknown length in the first axis alone"),
    (lambda: DatasetSource(examples().repeat(), BATCH, buckets=BUCKETS), r"`dataset` \(endless\) must be finite"),
    (lambda: lists(pad=0.5), r"`pad of tokens` \(0.5\) must be a number that int32 holds"),
    (lambda: dataset(pad=0.5), r"`pad of tokens` \(0.5\) must be a number that int32 holds"),
    (lambda: lists(pad={"tokens": 2**40}), r"`pad of tokens` \(1099511627776\) must be a number that int32 holds"),
    (lambda: lists(pad={"words": 1}), r"`pad` \(words\) must be for one of tokens"),
    (lambda: dataset(pad={"index": 1}), r"`pad` \(index\) must be for one of tokens"),
])
def test_what_is_refused(make, text):
    with pytest.raises(Invalid, match=text):
        make()

