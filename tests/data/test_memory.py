"""Tensors over arrays: no copy where TensorFlow can read the memory, and the right numbers everywhere."""

import gc
import weakref

import numpy as np
import pytest
import tensorflow as tf

from engine.data import memory
from engine.data.dataset import Dataset
from engine.data.source import ArraySource


def address(tensor: tf.Tensor) -> int:
    return np.asarray(memoryview(tensor)).ctypes.data


def offset(array: np.ndarray, bytes_off: int) -> np.ndarray:
    """A copy that begins ``bytes_off`` after a multiple of 64."""
    room = np.zeros(array.nbytes + 128, np.uint8)
    start = -room.ctypes.data % 64 + bytes_off
    copy = room[start:start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "float32", "float64"])
def test_an_aligned_array_to_be_read_is_shared_and_any_other_copied(dtype):
    values = np.arange(60).reshape(3, 4, 5).astype(dtype)
    for start, writable, shared in ((0, False, True), (0, True, False), (16, False, False), (8, False, False)):
        array = offset(values, start)
        array.flags.writeable = writable
        made = memory.tensor(array)
        np.testing.assert_array_equal(made.numpy(), values)
        assert made.dtype == dtype and (address(made) == array.ctypes.data) == shared
        # Operations that insist on alignment end the process if it is wrong.
        np.testing.assert_array_equal(tf.gather(made, [2, 0]).numpy(), values[[2, 0]])


def test_what_has_gaps_another_byte_order_or_nothing_in_it_is_copied():
    array = memory.aligned(np.arange(24, dtype=np.int32).reshape(4, 6))
    for other in (array.T, array[:, ::2], array.astype(">i4"), array[:0]):
        np.testing.assert_array_equal(memory.tensor(other).numpy(), other)


def test_a_file_mapped_for_reading_is_not_read_whole(tmp_path):
    np.save(tmp_path / "rows.npy", np.arange(4096, dtype=np.uint8).reshape(-1, 64))
    rows = np.load(tmp_path / "rows.npy", mmap_mode="r")
    made = memory.tensor(rows)
    assert address(made) == rows.ctypes.data
    np.testing.assert_array_equal(made.numpy(), rows)
    part = memory.tensor(rows[5:9])
    assert address(part) == rows[5:].ctypes.data


def test_memory_lives_as_long_as_its_tensor():
    class Held(np.ndarray):
        pass

    array = memory.aligned(np.full([1000, 64], 7, np.uint8)).view(Held)
    gone = weakref.ref(array)
    made = memory.tensor(array)
    del array
    gc.collect()
    assert gone() is not None and int(tf.reduce_max(made)) == 7
    del made
    gc.collect()
    assert gone() is None


def test_aligned_copies_only_what_must_be_and_is_to_be_read():
    array = offset(np.arange(1000.0), 0)
    view = memory.aligned(array)
    assert view.ctypes.data == array.ctypes.data and not view.flags.writeable and array.flags.writeable
    moved = memory.aligned(offset(array, 16))
    assert moved.ctypes.data % 64 == 0 and (moved == array).all() and not moved.flags.writeable
    words = np.array(["a", None], object)
    assert (memory.aligned(words) == words).all()


def test_zeros_can_be_filled_and_need_no_copy_afterwards():
    array = memory.zeros((3, 5), np.float32)
    array[1] = 2.0
    view = memory.aligned(array)
    assert array.shape == (3, 5) and array.sum() == 10.0 and view.ctypes.data == array.ctypes.data
    assert address(memory.tensor(view)) == array.ctypes.data


def test_a_data_set_is_in_memory_once():
    images = offset(np.arange(600, dtype=np.uint8).reshape(10, 60), 16)
    dataset = Dataset("any", {"image": images}, {"image": images[:2]})
    for part, split in (("train", dataset.train), ("test", dataset.test)):
        source = dataset.source(part, 2)
        assert address(source.arrays["image"]) == split["image"].ctypes.data
    assert (dataset.train["image"] == images).all()
    assert isinstance(ArraySource({"image": images}, 2).arrays["image"], tf.Tensor)
