"""Tensors over the memory of arrays, without a copy: a data set is in memory once, and a mapped file not at all.

TensorFlow reads memory only where it begins at a multiple of 64 bytes. A mapped ``.npy`` file does; what NumPy
allocates rarely does, so loaders put their arrays there (``aligned``).
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from engine.errors import Invalid, require

ALIGNMENT = 64  # bytes; TensorFlow aborts the process on tensors that begin elsewhere


def checked(name: Any, array: Any) -> np.ndarray:
    """``array`` as an array of examples. Raises ``Invalid`` for what is none, or of no numbers or texts."""
    require(isinstance(name, str), "name of an array", repr(name), "text")
    try:
        found = np.asanyarray(array)
    except Exception as fault:  # of NumPy for lists of several shapes; of other libraries for tensors on a device, say
        raise Invalid(f"`{name}` ({type(array).__name__}) must be an array (BucketedSource takes lists of several "
                      f"lengths): {' '.join(str(fault).split())}") from None
    require(not np.ma.is_masked(found), name, "a masked array", "an array without masked values: .filled(...) them")
    require(found.ndim, name, found.dtype, "an array whose first axis counts examples, but is a single value")
    require(_is_known(found), name, f"values of the type {found.dtype}", "numbers or texts")
    return found


def _is_known(array: np.ndarray) -> bool:
    if array.dtype.hasobject:
        return all(isinstance(value, str | bytes) for value in array.flat)
    try:
        return bool(tf.as_dtype(array.dtype))
    except TypeError:  # dates and records, say
        return False


class _Alias:
    """Lets NumPy make a second array over memory that may only be read; TensorFlow never writes into it."""

    def __init__(self, array: np.ndarray) -> None:
        self._held = array  # as long as anybody uses the second
        described = dict(array.__array_interface__)
        self.__array_interface__ = {**described, "data": (described["data"][0], False)}


def tensor(array: np.ndarray) -> tf.Tensor:
    """``array`` as a tensor in the host's memory.

    It is the same memory if the array may only be read, so that it stays as it is, and begins where TensorFlow can
    read it; a copy else.
    """
    if array.flags.writeable or not _readable(array):
        return tf.convert_to_tensor(array)
    return tf.experimental.dlpack.from_dlpack(np.asarray(_Alias(array)).__dlpack__())


def aligned(array: np.ndarray) -> np.ndarray:
    """A view of ``array`` to be read only, if it begins at a multiple of 64 bytes, without gaps; of a copy else."""
    if not _begins_well(array) and not array.dtype.hasobject:
        copy = zeros(array.shape, array.dtype)
        copy[...] = array
        array = copy
    view = array.view()
    view.flags.writeable = False
    return view


def zeros(shape: Sequence[int], dtype: Any) -> np.ndarray:
    """An array to be filled that begins at a multiple of 64 bytes."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    room = np.zeros(size + ALIGNMENT, np.uint8)
    start = -room.ctypes.data % ALIGNMENT
    return room[start:start + size].view(dtype).reshape(shape)


def _readable(array: np.ndarray) -> bool:
    return array.dtype.kind in "uif" and array.dtype.isnative and array.size > 0 and _begins_well(array)


def _begins_well(array: np.ndarray) -> bool:
    return array.flags.c_contiguous and array.ctypes.data % ALIGNMENT == 0
