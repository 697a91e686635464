"""Sources: batch k is a function of (seed, k) alone; evaluation counts every example exactly once."""

import math

import numpy as np
import pytest
import tensorflow as tf

import engine.device
from engine.data.dataset_source import DatasetSource
from engine.data.source import ArraySource
from engine.errors import Invalid

SIZE, BATCH = 23, 5  # 4 full batches and a remainder of 3
IMAGES = np.random.default_rng(0).integers(0, 256, (SIZE, 4, 3, 1)).astype(np.uint8)
LABELS = np.arange(SIZE, dtype=np.int32)


def array_source(seed=0, **options):
    return ArraySource({"image": IMAGES, "label": LABELS}, BATCH, seed, **options)


def examples(shuffled=False):
    dataset = tf.data.Dataset.from_tensor_slices({"image": IMAGES, "label": LABELS})
    return dataset.shuffle(SIZE, seed=3, reshuffle_each_iteration=False) if shuffled else dataset


def dataset_source(**options):
    return DatasetSource(examples(), BATCH, **options)


def labels(source, first, count):
    """[count, B]: the labels of batches first, first + 1, ..., read as the compiled loop reads them."""
    reader = source.open(first)
    read = np.array([source.batch(tf.constant(k, tf.int64), reader)["label"].numpy()
                     for k in range(first, first + count)])
    source.left_at(first + count)
    return read


def epoch_labels(source, epoch):
    return labels(source, epoch * source.batches_per_epoch, source.batches_per_epoch).ravel()


@tf.function(reduce_retracing=True)
def loop(source, first, count, reader):
    """Traced: as ``labels``, in a while loop of the graph."""
    found = tf.TensorArray(tf.int32, size=tf.cast(count, tf.int32), element_shape=[BATCH])
    for step in tf.range(count):
        found = found.write(tf.cast(step, tf.int32), source.batch(first + step, reader)["label"])
    return found.stack()


def looped(source, first, count):
    read = loop(source, tf.constant(first, tf.int64), tf.constant(count, tf.int64), source.open(first))
    source.left_at(first + count)
    return read.numpy()


@tf.autograph.experimental.do_not_convert
def below_twelve(example):
    return example["label"] < 12


def in_order(source):
    reader = source.open_in_order()
    return [source.in_order(tf.constant(k, tf.int64), reader) for k in range(source.batches_in_order)]


def test_sizes_and_spec():
    for source in (array_source(), dataset_source()):
        assert (source.size, source.batch_size) == (23, 5)
        assert (source.batches_per_epoch, source.batches_in_order) == (4, 5)
        assert source.spec == {"image": tf.TensorSpec([5, 4, 3, 1], tf.uint8),
                               "label": tf.TensorSpec([5], tf.int32)}


def test_batches_are_as_stored_and_keys_stay_together():
    for source in (array_source(), dataset_source()):
        batch = source.batch(tf.constant(2, tf.int64), source.open(2))
        assert batch["image"].dtype == tf.uint8
        np.testing.assert_array_equal(batch["image"], IMAGES[batch["label"].numpy()])


@pytest.mark.parametrize("epoch", [0, 1, 1000, 10**9])
def test_no_example_twice_in_an_epoch(epoch):
    assert len(set(epoch_labels(array_source(), epoch))) == 20


@pytest.mark.parametrize("size", [1, 2, 3, 16, 17, 100])
def test_an_epoch_is_a_permutation_for_any_size(size):
    source = ArraySource({"label": np.arange(size)}, 1)
    for epoch in range(5):
        assert sorted(epoch_labels(source, epoch)) == list(range(size))


def test_epochs_and_seeds_differ_in_order_and_in_what_they_drop():
    source = array_source()
    epochs = [epoch_labels(source, epoch) for epoch in range(40)]
    assert len({tuple(epoch) for epoch in epochs}) == 40
    dropped = [frozenset(range(SIZE)) - set(epoch) for epoch in epochs]
    assert len(set(dropped)) > 30 and frozenset.union(*dropped) == set(range(SIZE))
    assert (epoch_labels(array_source(seed=1), 0) != epochs[0]).any()


def test_the_order_is_even():
    # Each of 23 examples is first of an epoch 1000/23 = 43.5 times; five standard deviations of sqrt(43.5) are 33.
    source = array_source()
    first = tf.function(lambda number: source.batch(number, ())["label"][0])
    firsts = [int(first(tf.constant(4 * epoch, tf.int64))) for epoch in range(1000)]
    assert (abs(np.bincount(firsts, minlength=SIZE) - 1000 / SIZE) < 33).all()


@pytest.mark.parametrize("make", [array_source, dataset_source,
                                  lambda: DatasetSource(examples(shuffled=True), BATCH)])
def test_batch_k_is_a_pure_function_of_k(make):
    whole = labels(make(), 0, 11)
    for first in (0, 3, 4, 9):
        np.testing.assert_array_equal(labels(make(), first, 2), whole[first:first + 2])
        np.testing.assert_array_equal(looped(make(), first, 2), whole[first:first + 2])
    one = make()  # as a run does: call after call, with jumps back and forth
    for first, count in ((0, 1), (1, 6), (7, 2), (2, 3), (5, 1)):
        np.testing.assert_array_equal(looped(one, first, count), whole[first:first + count])


def test_the_loop_is_traced_once_for_all_iterators_of_a_source():
    source, traces = dataset_source(), []

    @tf.function
    def read(number, reader):
        traces.append(1)
        return source.batch(number, reader)["label"]

    for first in (0, 1, 5):
        read(tf.constant(first, tf.int64), source.open(first))
        source.left_at(first + 1)
    assert len(traces) == 1


def test_the_dataset_source_keeps_its_iterator_where_it_was_left():
    source = dataset_source()
    reader = source.open(0)
    next(reader)
    source.left_at(1)
    assert source.open(1) is reader
    assert source.open(7) is not reader


def test_the_seeded_order_is_the_same_in_every_release():
    # Recorded once: a change here changes every run that anyone continues.
    assert labels(array_source(), 3, 2).tolist() == [[9, 11, 19, 0, 5], [3, 5, 7, 19, 22]]


def test_a_dataset_that_reshuffles_itself_resumes_in_a_new_run():
    def fresh():  # as a new process makes it; within one, TensorFlow goes on to another order at each opening
        return DatasetSource(examples().shuffle(SIZE, seed=3), BATCH)

    whole = labels(fresh(), 0, 9)
    assert (whole[:4] != whole[4:8]).any()
    np.testing.assert_array_equal(labels(fresh(), 6, 3), whole[6:])


def test_the_dataset_source_repeats_full_batches_only():
    np.testing.assert_array_equal(labels(dataset_source(), 0, 8).ravel(), list(range(20)) * 2)


@pytest.mark.parametrize("make", [array_source, dataset_source])
def test_in_order_covers_every_example_once_and_padding_weighs_nothing(make):
    source = make()
    for _ in range(2):  # and again, from the start
        batches = in_order(source)
        weights = np.concatenate([weights for _, weights in batches])
        found = np.concatenate([batch["label"] for batch, _ in batches])
        assert weights.dtype == np.float32 and weights.tolist() == [1] * SIZE + [0] * 2
        assert found[:SIZE].tolist() == LABELS.tolist() and set(found[SIZE:]) <= set(LABELS)
        for batch, weights in batches:
            assert weights.shape == [BATCH]
            assert {name: tf.TensorSpec.from_tensor(value) for name, value in batch.items()} == source.spec


@pytest.mark.parametrize("make", [array_source, dataset_source])
def test_in_order_without_padding_or_with_little_data(make):
    for size, batch in ((10, 5), (5, 5), (6, 5), (1, 1)):
        data = {"x": np.arange(size, dtype=np.float32)}
        source = (ArraySource(data, batch) if make is array_source
                  else DatasetSource(tf.data.Dataset.from_tensor_slices(data), batch))
        batches = in_order(source)
        assert len(batches) == math.ceil(size / batch)
        assert sum(float(tf.reduce_sum(weights)) for _, weights in batches) == size
        total = sum(float(tf.reduce_sum(batch["x"] * weights)) for batch, weights in batches)
        assert total == size * (size - 1) / 2


def test_evaluation_does_not_move_training():
    source = dataset_source()
    whole = labels(dataset_source(), 0, 6)
    np.testing.assert_array_equal(labels(source, 0, 3), whole[:3])
    in_order(source)
    np.testing.assert_array_equal(labels(source, 3, 3), whole[3:])


def test_a_dataset_of_unknown_size():
    few = examples().filter(below_twelve)
    with pytest.raises(Invalid, match=r"`size` \(-2\) must be given: the dataset cannot tell"):
        DatasetSource(few, BATCH)
    source = DatasetSource(few, BATCH, size=12)
    weights = np.concatenate([weights for _, weights in in_order(source)])
    assert weights.sum() == 12 and len(weights) == 15


@pytest.mark.parametrize("dataset, text", [
    (lambda: examples().repeat(), r"`size` \(-1\) must be given: .* or never ends"),
    (lambda: examples().batch(2).batch(2), r"must be of fully known shapes"),
    (lambda: tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)), r"must be of dicts \{name: tensor\}"),
    (lambda: tf.data.Dataset.from_tensor_slices(IMAGES), r"must be of dicts \{name: tensor\}"),
    (lambda: examples().map(lambda example: {"inner": example}), r"must be of dicts \{name: tensor\}"),
    (lambda: examples().take(0), r"`data` \(0 examples\) must be at least one example"),
])
def test_unfit_datasets(dataset, text):
    with pytest.raises(Invalid, match=text):
        DatasetSource(dataset(), 5)


@pytest.mark.parametrize("arrays, batch, text", [
    ({}, 5, r"`arrays` \(\{\}\) must be at least one array"),
    ({"image": IMAGES, "label": LABELS[:9]}, 5,
     r"`arrays` \(\{'image': 23, 'label': 9\}\) must be of one length"),
    ({"label": LABELS}, 0, r"`batch_size` \(0\) must be an integer of at least 1"),
    ({"label": LABELS}, 2.5, r"`batch_size` \(2.5\) must be an integer of at least 1"),
    ({"label": LABELS}, 24, r"`batch_size` \(24\) must be at most the number of examples, 23"),
    ({"label": LABELS[:0]}, 1, r"`data` \(0 examples\) must be at least one example"),
])
def test_unfit_arrays(arrays, batch, text):
    with pytest.raises(Invalid, match=text):
        ArraySource(arrays, batch)


def test_arrays_that_are_too_large_for_the_device_stay_with_the_host(monkeypatch):
    assert array_source().inside
    monkeypatch.setattr(engine.device, "CPU", engine.device.CPU._replace(data_bytes=10))
    assert not array_source().inside


def test_a_batch_made_inside_xla_is_the_same():
    source = array_source()
    compiled = tf.function(source.batch_inside, jit_compile=True)
    for number in (0, 3, 1000):
        inside, outside = compiled(tf.constant(number, tf.int64)), source.batch(tf.constant(number, tf.int64), ())
        for name in outside:
            np.testing.assert_array_equal(inside[name], outside[name])


def test_a_mask_says_which_examples_there_are_and_what_are_no_positions_is_refused():
    arrays = {"x": np.arange(10, dtype=np.float32), "label": np.arange(10, dtype=np.int32) % 5}
    of = ArraySource(arrays, 2, only=arrays["label"] == 3)
    assert of.size == 2
    batch, weights = of.in_order(tf.constant(0, tf.int64), ())
    assert batch["x"].numpy().tolist() == [3.0, 8.0] and weights.numpy().tolist() == [1.0, 1.0]
    for only, message in (
            (np.array([True] * 9), r"`only` \(a mask of shape \[9\]\) must be of shape \[10\]"),
            (np.array([0.0, 1.0]), r"`only` \(float64 \[2\]\) must be positions, integers \[n\], or a mask"),
            (np.array([[0, 1]]), "must be positions"), (["3"], "must be positions"),
            (np.array([0, 10]), r"`only` \(10\) must be of positions from 0 to 9"),
            ([-1, 2], r"`only` \(-1\) must be of positions")):
        with pytest.raises(Invalid, match=message):
            ArraySource(arrays, 2, only=only)
    with pytest.raises(Invalid, match="at least one example"):
        ArraySource(arrays, 2, only=arrays["label"] == 7)


def of_size(examples, size):
    """A dataset whose number of examples TensorFlow cannot tell."""
    def give():
        for i in range(examples):
            yield {"x": np.float32(i)}

    dataset = tf.data.Dataset.from_generator(give, output_signature={"x": tf.TensorSpec([], tf.float32)})
    return DatasetSource(dataset, 4, size=size)


@pytest.mark.parametrize("examples, size", [(10, 9), (10, 11), (10, 8), (10, 12), (10, 20), (30, 10)])
def test_a_size_that_is_wrong_is_an_error_with_both_numbers(examples, size):
    from engine.run.evaluate import Evaluation

    def evaluation(size):
        return Evaluation(lambda nets, batch, noise: {"x": batch["x"]}, {}, of_size(examples, size), seed=0,
                          plan="graph")

    for read in (Evaluation.means, Evaluation.examples):
        with pytest.raises(Invalid, match=rf"`size` \({size}\) must be the number of examples, {examples}"):
            read(evaluation(size))
    assert evaluation(examples).means() == {"x": (examples - 1) / 2}
