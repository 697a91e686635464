"""Examples of several lengths in memory: batches of one length each, out of a few."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from engine.data.lengths import Buckets, Pad, forms, pads_of, rising
from engine.data.permutation import permuted
from engine.data.source import BUCKET, ArraySource, Batch, Transform, unchanged
from engine.errors import require
from engine.noise import fingerprint

Stored = np.ndarray | list[np.ndarray]  # of one length, or of several


class BucketedSource(ArraySource):
    """Arrays whose examples have several lengths, each padded to the smallest bucket that holds it.

    All examples of a batch are of one bucket, and the loss sees the batch at that bucket's length: it is traced once
    for each. In an epoch the batches of all buckets come in a random order, and the examples of a bucket, too; what
    does not fill a batch of its bucket is dropped, another remainder each epoch.

    Args:
      arrays: {name: array [N, T, ...], or N arrays [t, ...] of several lengths: a list, or a ``tf.RaggedTensor``}.
      batch_size: Examples per batch, of every bucket.
      buckets: Lengths, rising.
      lengths: Lengths of the examples, [N], where they are not those of lists.
      cut: Names of the arrays whose second axis is the length. None: the lists; without lists, all of two axes or more.
      pad: What lists are padded with; a number, or {name: number}, 0 for others.
      length: Name of the examples' lengths in a batch, int32 [B], for masks; of several lists the longest's.
      seed, transform: The same as of ``ArraySource``.

    Raises:
      Invalid: An example that no bucket holds, a bucket of fewer examples than a batch, or lengths that do not fit.
    """

    def __init__(self, arrays: Mapping[str, Any], batch_size: int, buckets: Sequence[int],
                 lengths: np.ndarray | None = None, cut: Sequence[str] | None = None, pad: Pad = 0,
                 length: str = "length", seed: int = 0, transform: Transform = unchanged) -> None:
        longest = rising(buckets)
        require(length not in arrays, "length", length, "a name that the arrays do not have")
        arrays = {name: _rows(name, array) for name, array in arrays.items()}
        counts = {name: len(array) for name, array in arrays.items()}
        require(len(set(counts.values())) == 1, "arrays", counts, "of one length")
        lists = [name for name, array in arrays.items() if isinstance(array, list)]
        of, known = _lengths(arrays, lists, lengths)
        self._buckets = Buckets(longest, of, known, batch_size)
        chosen = _cut(arrays, lists, cut)
        pads = pads_of(pad, {name: _dtype(arrays[name]) for name in chosen})
        stored = {name: _padded(name, array, known, longest[-1], pads[name]) if name in chosen else array
                  for name, array in arrays.items()}
        super().__init__({**stored, length: known.astype(np.int32), BUCKET: self._buckets.of}, batch_size, seed,
                         transform)
        self.buckets = forms(self.spec, chosen, longest)
        self.batches_per_epoch = self._buckets.batches_per_epoch
        self.batches_in_order = self._buckets.batches_in_order
        self.stored_places = np.argsort(self._buckets.of, kind="stable")  # bucket by bucket
        self._keys = [fingerprint(seed, "order", length) for length in longest]

    def _order_of_examples(self, numbers: tf.Tensor) -> tf.Tensor:
        """The epoch's permutation of batches tells the bucket, that of the bucket the examples."""
        epochs, within = numbers // self.batches_per_epoch, numbers % self.batches_per_epoch
        turn = permuted(within, epochs, self.batches_per_epoch, self._key)
        found = tf.zeros_like(turn + tf.range(self.batch_size, dtype=tf.int64))
        first = before = 0  # batch of the bucket, and example in bucket order
        for size, key in zip(self._buckets.sizes, self._keys, strict=True):
            count = size // self.batch_size
            if count:
                mine = (turn >= first) & (turn < first + count)
                batch = tf.clip_by_value(turn - first, 0, count - 1)
                places = batch * self.batch_size + tf.range(self.batch_size, dtype=tf.int64)
                found = tf.where(mine, before + permuted(places, epochs, size, key), found)
            first, before = first + count, before + size
        return tf.gather(tf.constant(self.stored_places, tf.int64), found)

    def in_order(self, number: tf.Tensor, reader: Any) -> tuple[Batch, tf.Tensor]:
        first, ends, before = [], [], 0
        for size in self._buckets.sizes:
            first += [before + start for start in range(0, size, self.batch_size)]
            ends += [before + size] * -(-size // self.batch_size)
            before += size
        start, end = (tf.gather(tf.constant(each, tf.int64), number) for each in (first, ends))
        positions = start + tf.range(self.batch_size, dtype=tf.int64)
        places = tf.gather(tf.constant(self.stored_places, tf.int64), tf.minimum(positions, end - 1))
        return self._take(places), tf.cast(positions < end, tf.float32)


def _rows(name: str, array: Any) -> Stored:
    """An array, or the rows of what holds several lengths."""
    if isinstance(array, tf.RaggedTensor) or (isinstance(array, np.ndarray) and array.dtype.hasobject):
        array = list(array)
    if not isinstance(array, list | tuple) or not np.ndim(array[0] if array else 0):
        return np.asanyarray(array)
    rows = [np.asarray(row) for row in array]
    for place, row in enumerate(rows):
        require(row.ndim and row.shape[1:] == rows[0].shape[1:], f"{name} of example {place}",
                f"shape {list(row.shape)}", f"of shape {['t', *rows[0].shape[1:]]}, as the first")
    return rows


def _lengths(arrays: Mapping[str, Stored], lists: Sequence[str], given: np.ndarray | None) -> tuple[str, np.ndarray]:
    """What tells the examples' lengths, and these."""
    require(lists or given is not None, "lengths", given,
            "given, or an array as a list of arrays of several lengths")
    if given is None:
        return " or ".join(lists), np.max([[len(each) for each in arrays[name]] for name in lists], axis=0)
    require(not lists, "lengths", "given", "left out: the lists have lengths")
    size, found = len(next(iter(arrays.values()))), np.asarray(given)
    require(found.shape == (size,), "lengths", f"{found.size} numbers", f"one for each of {size} examples")
    require(found.dtype.kind in "iu" and (found >= 0).all(), "lengths", found.dtype, "whole numbers, at least 0")
    return "lengths", found.astype(np.int64)


def _cut(arrays: Mapping[str, Stored], lists: Sequence[str], given: Sequence[str] | None) -> list[str]:
    """Names of the arrays whose second axis is the length."""
    if given is None:
        return list(lists) or [name for name, array in arrays.items() if np.ndim(array) > 1]
    for name in given:
        require(name in arrays, "cut", name, f"one of {', '.join(arrays)}")
        require(name in lists or np.ndim(arrays[name]) > 1, name, f"shape {list(np.shape(arrays[name]))}",
                "of two axes or more: the second is the length")
    return [*lists, *(name for name in given if name not in lists)]


def _dtype(array: Stored) -> np.dtype:
    return array.dtype if isinstance(array, np.ndarray) else np.result_type(*{row.dtype for row in array})


def _padded(name: str, array: Stored, lengths: np.ndarray, longest: int, pad: Any) -> np.ndarray:
    """[N, longest, ...]."""
    if isinstance(array, np.ndarray):
        needed = int(lengths.max())
        require(array.shape[1] >= needed, name, f"{array.shape[1]} long",
                f"at least as long as the longest of lengths, {needed}")
        more = [(0, 0), (0, max(0, longest - array.shape[1])), *[(0, 0)] * (array.ndim - 2)]
        return np.pad(array[:, :longest], more, constant_values=pad)
    found = np.full([len(array), longest, *array[0].shape[1:]], pad, _dtype(array))
    for place, row in zip(found, array, strict=True):
        place[:len(row)] = row
    return found
