"""Pictures that are read from files while the updates run."""

import weakref
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from engine.data.source import ArraySource, Batch, Source, Transform, unchanged
from engine.workers.part import WHOLE, Part

AHEAD = 2  # batches that are read in parallel, and as many that wait


class Reads(Protocol):
    """A store of pictures."""

    def read(self, numbers: np.ndarray) -> np.ndarray:
        """The pictures ``numbers`` [n], uint8 [n, h, w, c]."""


class _Order(ArraySource):
    """The examples' numbers and labels, read in the host's memory by tf.data."""

    def _fits(self) -> bool:
        return False


class FileSource(Source):
    """Pictures from a store, and their labels: {"image": uint8 [B, h, w, c], "label": int32 [B]}.

    Batches are read ahead of the updates. Their order is that of an ``ArraySource`` of the same examples and seed, so
    batch ``k`` has the same bits as there, and a resume needs one integer.

    Args:
      pictures: The store; all that are numbered here must be good.
      shape: h, w, c of a picture.
      numbers: [N], which pictures of the store are the examples.
      labels: [N] int32.
      batch_size, seed, transform: The same as of ``ArraySource``.
    """

    def __init__(self, pictures: Reads, shape: tuple[int, int, int], numbers: np.ndarray, labels: np.ndarray,
                 batch_size: int, seed: int = 0, transform: Transform = unchanged) -> None:
        super().__init__(len(numbers), batch_size, seed, transform)
        self._pictures = pictures
        self._order = _Order({"number": np.asarray(numbers, np.int64), "label": np.asarray(labels, np.int32)},
                             batch_size, seed)
        self.spec = {"image": tf.TensorSpec([self.batch_size, *shape], tf.uint8), "label": self._order.spec["label"]}
        self._next, self._part = -1, WHOLE  # the batch at which the open reader stands, and of what part
        self._reader: list[Any] = []
        # At the latest when Python ends: a reader that outlives it waits for a picture that none can read any more.
        weakref.finalize(self, self._reader.clear)

    def open(self, batch: int, part: Part = WHOLE) -> Any:
        if (self._next, self._part) != (batch, part):
            endless = tf.data.Dataset.range(batch, tf.int64.max)
            self._next, self._part = -1, part
            self._reader[:] = [self._iterator(endless, lambda number: self._order.part(number, (), part))]
        return self._reader[0]

    def left_at(self, batch: int) -> None:
        self._next = batch

    def range_of(self, key: str) -> tuple[int, int] | None:
        return self._order.range_of(key) if key == "label" else None

    def batch(self, number: tf.Tensor, reader: Any) -> Batch:
        return next(reader)

    def part(self, number: tf.Tensor, reader: Any, part: Part) -> Batch:
        return next(reader)

    def open_in_order(self, part: Part = WHOLE) -> Any:
        return self._iterator(tf.data.Dataset.range(part.number, self.batches_in_order, part.of),
                              lambda number: self._order.in_order(number, ()))

    def in_order(self, number: tf.Tensor, reader: Any) -> tuple[Batch, tf.Tensor]:
        return next(reader)

    def _iterator(self, numbers: tf.data.Dataset, examples: Any) -> Any:
        """Over ``examples(batch number)``, a batch of the order or a pair of it and weights, with pictures."""
        def with_pictures(number: tf.Tensor) -> Any:
            found = examples(number)
            return (self._read(found[0]), *found[1:]) if isinstance(found, tuple) else self._read(found)

        return iter(numbers.map(with_pictures, num_parallel_calls=AHEAD, deterministic=True).prefetch(AHEAD))

    def _read(self, batch: Batch) -> Batch:
        image = tf.numpy_function(self._pictures.read, [batch["number"]], tf.uint8)
        shape = [batch["label"].shape[0], *self.spec["image"].shape[1:]]
        return {"image": tf.ensure_shape(image, shape), "label": batch["label"]}
