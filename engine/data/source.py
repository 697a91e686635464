"""Where batches come from. Batch ``k`` is a pure function of ``(seed, k)``.

A source hands out *raw* batches, as stored; its ``transform(batch, noise) -> batch`` runs inside the
compiled update, where scaling and augmentation are fused with the first layer.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from engine.data import memory
from engine.data.permutation import permuted
from engine.device import device
from engine.errors import require
from engine.noise import Noise, fingerprint
from engine.workers.part import WHOLE, Part

Batch = Mapping[str, tf.Tensor]
Specs = Mapping[str, tf.TensorSpec]
Transform = Callable[[Batch, Noise], Batch]
BUCKET = "/bucket"  # int32 [B] in a raw batch: the number of its bucket, for each example the same; no user sees it


def unchanged(batch: Batch, noise: Noise) -> Batch:
    """The transform that does nothing."""
    return batch


class Source:
    """The interface of all sources.

    Attributes:
      size: Examples. batch_size: Examples per batch, B. seed: Seed of the order.
      batches_per_epoch: Full batches per epoch; the remainder of an epoch is dropped, another one each epoch.
      spec: {name: tf.TensorSpec of one batch}, as stored.
      buckets: Forms to which a batch may be cut, the shortest first: {name: tf.TensorSpec} each; none for a source of
        one form. Each batch is stored at the last of them, padded, and tells by ``BUCKET`` which one it is of.
      stored_places: Places in stored order of the examples as ``in_order`` gives them; None if it gives that order.
      transform: Function that runs in the graph on each raw batch.
      inside: Whether ``batch_inside`` is there, for XLA to compile: the data lie where the updates are computed.
      notes: What people should know of it: a trainer tells it, a line each.
      doubts: Why a repeat may read other batches.
    """

    spec: dict[str, tf.TensorSpec]
    buckets: Sequence[Specs] = ()
    stored_places: np.ndarray | None = None
    inside = False
    notes: Sequence[str] = ()
    doubts: Sequence[str] = ()

    def __init__(self, size: int, batch_size: int, seed: int, transform: Transform) -> None:
        require(isinstance(batch_size, int | np.integer) and batch_size >= 1, "batch_size", batch_size,
                "an integer of at least 1")
        require(size >= 1, "data", f"{size} examples", "at least one example")
        require(batch_size <= size, "batch_size", batch_size, f"at most the number of examples, {size}")
        self.size, self.batch_size, self.seed, self.transform = size, int(batch_size), seed, transform
        self.batches_per_epoch = size // self.batch_size
        self.batches_in_order = math.ceil(size / self.batch_size)

    def open(self, batch: int, part: Part = WHOLE) -> Any:
        """What the compiled loop is handed to read ``part`` of each batch from ``batch`` on: tensors or an iterator."""
        return ()

    @property
    def in_sequence(self) -> bool:
        """Whether batches must be read one after the other: so it is if there is a reader to open."""
        return type(self).open is not Source.open

    def left_at(self, batch: int) -> None:
        """Told after a call of the compiled loop: the next batch to be read is ``batch``."""

    def batch(self, number: tf.Tensor, reader: Any) -> Batch:
        """Traced: the raw batch ``number`` (int64 scalar) of the shuffled, endless sequence."""
        raise NotImplementedError

    def part(self, number: tf.Tensor, reader: Any, part: Part) -> Batch:
        """Traced: the rows of ``batch`` that are of ``part``."""
        whole = self.batch(number, reader)
        return whole if part.of == 1 else {name: tensor[part.rows(self.batch_size)] for name, tensor in whole.items()}

    def batch_inside(self, number: tf.Tensor) -> Batch:
        """Traced: the same as ``batch``, of operations that XLA compiles."""
        raise NotImplementedError

    def batches(self, numbers: tf.Tensor, wanted: tf.Tensor, reader: Any) -> Batch:
        """Traced: the batches ``numbers`` (int64 [n]), each tensor [n, B, ...].

        Only the first ``wanted`` (int32 scalar) need be read; the others may be zeros.
        """
        count = numbers.shape[0]
        arrays = {name: tf.TensorArray(spec.dtype, count, element_shape=spec.shape) for name, spec in self.spec.items()}

        def one(i: tf.Tensor, arrays: dict[str, Any]) -> tuple[tf.Tensor, dict[str, Any]]:
            batch = self.batch(numbers[i], reader)
            return i + 1, {name: array.write(i, batch[name]) for name, array in arrays.items()}

        _, arrays = tf.while_loop(lambda i, _: i < wanted, one, [tf.constant(0), arrays])
        return {name: array.stack() for name, array in arrays.items()}

    def in_order(self, number: tf.Tensor, reader: Any) -> tuple[Batch, tf.Tensor]:
        """Traced: raw batch ``number`` in stored order and weights [B]: 1, or 0 for padding.

        Of a source with buckets in the order ``stored_places``, so that each batch is of one bucket.
        """
        raise NotImplementedError

    def range_of(self, key: str) -> tuple[int, int] | None:
        """Least and largest of an array of integers, over all examples; None if that is not known."""
        return None

    def open_in_order(self, part: Part = WHOLE) -> Any:
        """What ``in_order`` is handed as ``reader``, at its first batch; they are every ``part.of``-th."""
        return ()

    def check_read(self, examples: int, reader: Any) -> None:
        """Raises ``Invalid`` unless the ``examples`` read in order, to the end, are as many as ``size`` says."""
        require(examples == self.size, "size", self.size, f"the number of examples, {examples}")


class ArraySource(Source):
    """Arrays in memory, as stored (uint8 stays uint8): one gather per batch, no shuffle buffer.

    Example ``i`` of epoch ``e`` is a keyed permutation of ``i``, so a resume needs one integer.

    Args:
      arrays: {name: array}, all of one length in the first axis. Those that may only be read, as mapped files, are
        not copied (see ``memory``).
      batch_size: Examples per batch, at most their number.
      seed: Seed of the order of the epochs.
      transform: ``transform(batch, noise) -> batch``, run in the graph.
      only: Positions in the arrays of the examples that there are, integers, or a mask, bool [N]; None for all.

    Raises:
      Invalid: No arrays, unequal lengths, positions that are none, or a batch larger than the data.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], batch_size: int, seed: int = 0,
                 transform: Transform = unchanged, only: np.ndarray | None = None) -> None:
        require(arrays, "arrays", dict(arrays), "at least one array")
        arrays = {name: memory.checked(name, array) for name, array in arrays.items()}
        lengths = {name: len(array) for name, array in arrays.items()}
        require(len(set(lengths.values())) == 1, "arrays", lengths, "of one length")
        length = next(iter(lengths.values()))
        chosen = None if only is None else positions_of(only, length)
        super().__init__(length if chosen is None else len(chosen), batch_size, seed, transform)
        self._only = None if chosen is None else tf.constant(chosen, tf.int64)
        with tf.device("CPU:0"):
            self.arrays = {name: memory.tensor(array) for name, array in arrays.items()}
        self.inside = self._fits()
        self._place = device().name if self.inside else "CPU:0"
        if self._place != "CPU:0":  # copied once, and not at each call of the compiled loop
            with tf.device(self._place):
                self.arrays = {name: tf.identity(array) for name, array in self.arrays.items()}
        self.spec = {name: tf.TensorSpec([self.batch_size, *array.shape[1:]], array.dtype)
                     for name, array in self.arrays.items()}
        self._key = fingerprint(seed, "order")
        # A function, so that a cycle of many updates holds its 180 operations once. Under XLA it takes a third of the
        # time, but then TensorFlow's remapper fails on a WGAN's graph around it, and says so on standard error.
        self._ordered = tf.function(self._order_of_examples, autograph=False)

    def _fits(self) -> bool:
        """Whether the arrays are to lie where the updates are computed."""
        size = sum(array.shape.num_elements() * array.dtype.size for array in self.arrays.values())
        return size <= device().data_bytes

    def batch(self, number: tf.Tensor, reader: Any) -> Batch:
        batches = self.batches(tf.reshape(tf.cast(number, tf.int64), [1]), tf.constant(1), reader)
        return {name: tensor[0] for name, tensor in batches.items()}

    def batches(self, numbers: tf.Tensor, wanted: tf.Tensor, reader: Any) -> Batch:
        with tf.device("CPU:0"):  # small integers
            order = self._ordered(numbers[:, None])
        with tf.device(self._place):
            return self._take(order)

    def part(self, number: tf.Tensor, reader: Any, part: Part) -> Batch:
        if part.of == 1:
            return self.batch(number, reader)
        with tf.device("CPU:0"):
            mine = self._ordered(tf.reshape(tf.cast(number, tf.int64), [1, 1]))[0, part.rows(self.batch_size)]
        with tf.device(self._place):
            return self._take(mine)

    def batch_inside(self, number: tf.Tensor) -> Batch:
        return self._take(self._order_of_examples(number))

    def places(self, number: int) -> np.ndarray:
        """Places in the arrays, [B], of the examples of batch ``number``."""
        order = self._ordered(tf.constant([[number]], tf.int64))[0]
        return (order if self._only is None else tf.gather(self._only, order)).numpy()

    def _order_of_examples(self, numbers: tf.Tensor) -> tf.Tensor:
        """Places in the arrays of the batches ``numbers``: int64, [..., 1] or a scalar, to [..., B]."""
        epochs, within = numbers // self.batches_per_epoch, numbers % self.batches_per_epoch
        positions = within * self.batch_size + tf.range(self.batch_size, dtype=tf.int64)
        return permuted(positions, epochs, self.size, self._key)

    def in_order(self, number: tf.Tensor, reader: Any) -> tuple[Batch, tf.Tensor]:
        positions = tf.cast(number, tf.int64) * self.batch_size + tf.range(self.batch_size, dtype=tf.int64)
        weights = tf.cast(positions < self.size, tf.float32)
        return self._take(tf.minimum(positions, self.size - 1)), weights

    def range_of(self, key: str) -> tuple[int, int] | None:
        array = self.arrays[key] if self._only is None else tf.gather(self.arrays[key], self._only)
        return int(tf.reduce_min(array)), int(tf.reduce_max(array))

    def _take(self, positions: tf.Tensor) -> Batch:
        positions = positions if self._only is None else tf.gather(self._only, positions)
        return {name: tf.gather(array, positions) for name, array in self.arrays.items()}


def positions_of(only: Any, length: int) -> np.ndarray:
    """Positions, int64, in an array of ``length``: of integers themselves, of a mask where it is true.

    Raises:
      Invalid: Anything else, and a position outside.
    """
    given = np.asarray(only)
    if given.dtype == bool:
        require(given.shape == (length,), "only", f"a mask of shape {list(given.shape)}", f"of shape [{length}]")
        return np.flatnonzero(given)
    require(given.ndim == 1 and (given.dtype.kind in "iu" or not given.size), "only",
            f"{given.dtype} {list(given.shape)}", "positions, integers [n], or a mask, bool [N]")
    outside = given[(given < 0) | (given >= length)]
    require(not outside.size, "only", outside[0] if outside.size else "", f"of positions from 0 to {length - 1}")
    return given.astype(np.int64)
