"""Pictures read from files while training: the bits of an ArraySource, whatever the call, the plan or the cache."""

import numpy as np
import pytest
import tensorflow as tf

from engine import ArraySource, Trainer, prepare
from engine.data import kept_pictures
from engine.data.file_source import FileSource
from engine.data.image_folder import image_folder
from tests import toys
from tests.painted import class_folder

BATCH = 5
SIZE = 23  # training pictures: 4 full batches and a remainder of 3


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return class_folder(tmp_path_factory.mktemp("pictures"), {"cat": 15, "dog": 14})


@pytest.fixture(scope="module", params=["decoded", "cached", "kept"])
def folder(request, root, tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache") / "pictures.npy" if request.param == "cached" else None
    return image_folder(root, (1, 2), cache=cache, in_memory=request.param == "kept")


def as_numbers(batch, noise):
    """The six numbers of a picture of 1 x 2 pixels, for ``toys.Fit``."""
    return {"x": tf.reshape(tf.cast(batch["image"], tf.float32), [BATCH, 6]) * np.float32(1 / 255)}


def twin(folder, **options):
    """The same examples in memory."""
    return ArraySource(folder.arrays("train"), BATCH, seed=3, **options)


def files(folder, **options):
    return folder.source("train", BATCH, seed=3, **options)


def read(source, first, count):
    reader = source.open(first)
    batches = [source.batch(tf.constant(number, tf.int64), reader) for number in range(first, first + count)]
    source.left_at(first + count)
    return [{name: tensor.numpy() for name, tensor in batch.items()} for batch in batches]


def same(left, right):
    assert len(left) == len(right)
    for one, other in zip(left, right, strict=True):
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


def test_batch_k_has_the_bits_of_the_pictures_in_memory(folder):
    source = files(folder)
    assert (source.size, source.batches_per_epoch, source.spec) == (SIZE, 4, twin(folder).spec)
    same(read(source, 0, 13), read(twin(folder), 0, 13))


def test_batch_k_is_the_same_after_reopening_at_k(folder):
    whole, one = read(files(folder), 0, 11), files(folder)
    for first in (0, 3, 4, 9):
        same(read(files(folder), first, 2), whole[first:first + 2])
    for first, count in ((0, 1), (1, 6), (7, 2), (2, 3), (5, 1)):
        same(read(one, first, count), whole[first:first + count])


def test_a_call_goes_on_with_what_was_read_ahead(root):
    source = files(image_folder(root, (1, 2), in_memory=False))
    reader = source.open(0)
    next(reader)
    source.left_at(1)
    assert source.open(1) is reader and source.open(7) is not reader


def test_seeds_differ(folder):
    first, other = (read(folder.source("train", SIZE, seed=seed), 0, 1)[0]["image"] for seed in (0, 1))
    assert (first != other).any()


def test_pictures_without_room_are_read_from_their_files(root, monkeypatch):
    assert isinstance(files(image_folder(root, (1, 2))), ArraySource)
    monkeypatch.setattr(kept_pictures, "ROOM", 29 * 6 - 1)
    assert isinstance(files(image_folder(root, (1, 2))), FileSource)


def test_in_order_every_picture_counts_once(folder):
    source, other = files(folder), twin(folder)
    for _ in range(2):
        reader, weights = source.open_in_order(), []
        for number in range(source.batches_in_order):
            place = tf.constant(number, tf.int64)
            (batch, weight), (expected, of_expected) = source.in_order(place, reader), other.in_order(place, ())
            same([{**batch, "weight": weight}], [{**expected, "weight": of_expected}])
            weights += weight.numpy().tolist()
        assert weights == [1] * SIZE + [0] * 2


def trained(source, plan, calls):
    made_of = {"net": toys.net(4, 1)}
    engine = toys.engine(toys.Fit(), made_of, {"fit": toys.adam()}, source, plan=plan)
    for cycles in calls:
        engine.run(cycles)
    return toys.bits(engine, made_of)


@pytest.mark.parametrize("plan, folder", [("graph", "decoded"), ("xla", "cached")], indirect=["folder"])
def test_the_engine_trains_on_files_as_on_memory(folder, plan):
    found = []
    for make, calls in ((twin, [7]), (files, [2, 1, 4])):
        prepare(0)
        found.append(trained(make(folder, transform=as_numbers), plan, calls))
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("folder", ["decoded"], indirect=True)
def test_the_trainer_evaluates_between_calls(folder):
    found, held_out = [], folder.source("test", BATCH, transform=as_numbers)
    for make in (twin, files):
        prepare(0)
        trainer = Trainer(toys.Fit(), {"net": toys.net(1)}, toys.adam(), make(folder, transform=as_numbers),
                          plan="graph")
        numbers = []
        for cycles in (2, 5):
            trainer.train(cycles=cycles)
            numbers.append(trainer.evaluate(held_out)["absolute_error"])
        found.append(numbers)
    assert found[0] == found[1] and found[0][0] != found[0][1]
