"""A user's own ``tf.data.Dataset`` as a source."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from engine.data import operations
from engine.data.ragged import RaggedDataset
from engine.data.source import Batch, Source, Transform, unchanged
from engine.errors import require
from engine.workers.part import WHOLE, Part

UNREPEATED = ("another order of the examples at each reading, so that a repeated or continued run reads other "
              "batches: DatasetSource(make, batch_size), of a function that makes the dataset with "
              "shuffle(size, seed=...), has the same order")


class DatasetSource(Source):
    """A user's own ``tf.data.Dataset`` of single examples, each a dict of tensors.

    Batch ``k`` is what the dataset gives after ``k`` batches; a resume skips so many. So it must give the same
    examples in the same order whenever it is read from the start. A seeded ``shuffle`` does that only in a new
    dataset object (each iterator continues its sequence of seeds): give a function that makes one, and it is
    called for every reading. Batching, repeating and prefetching are done here. The remainder of an epoch that fills no
    batch is dropped, and is another one each epoch only if the dataset's order is.

    Args:
      dataset: Dataset, finite and unbatched; or a function of no arguments that makes it. Its shapes are fully known,
        or unknown in the first axis alone and ``buckets`` given.
      batch_size: Examples per batch.
      size: Number of examples; needed only where TensorFlow cannot tell it, and without ``buckets``. It is counted
        at the end of each epoch and of each evaluation, and a wrong one is an error.
      seed: Seed that is kept for the source's description; the dataset orders itself.
      transform: The same as of ``ArraySource``.
      buckets, pad, length: The same as of ``BucketedSource``, for what has an unknown first axis. The dataset is read
        once to learn the lengths. A batch is the next examples of one bucket, in the dataset's order.
    """

    def __init__(self, dataset: tf.data.Dataset | Callable[[], tf.data.Dataset], batch_size: int,
                 size: int | None = None, seed: int = 0, transform: Transform = unchanged,
                 buckets: Sequence[int] | None = None, pad: float | Mapping[str, float] = 0, length: str = "length"
                 ) -> None:
        self._make: Callable[[], Any] = dataset if callable(dataset) else lambda: dataset
        self._ragged = None if buckets is None else RaggedDataset(self._make, batch_size, buckets, pad, length)
        if self._ragged is not None:
            super().__init__(len(self._ragged.stored_places), batch_size, seed, transform)
            self.spec, self.buckets, self.stored_places = (self._ragged.spec, self._ragged.buckets,
                                                           self._ragged.stored_places)
            self.batches_per_epoch, self.batches_in_order = (self._ragged.batches_per_epoch,
                                                             self._ragged.batches_in_order)
        else:
            self._of_one_form(batch_size, size, seed, transform)
        self._place: tuple[int, Any] = (-1, None)  # the next batch of the open iterator
        self.doubts = ["the data are a tf.data.Dataset of the user's own, whose order may differ"]
        if not self._is_repeated():
            self.notes, self.doubts = [UNREPEATED], [f"the data have {UNREPEATED}"]

    def _is_repeated(self) -> bool:
        """Whether its shuffles, if any, give the same order each time that it is read."""
        one, other = self._make(), self._make()
        return not operations.seeds(one) or (one is not other and operations.seeds(one) == operations.seeds(other))

    def _of_one_form(self, batch_size: int, size: int | None, seed: int, transform: Transform) -> None:
        example = self._make()
        element = example.element_spec
        flat = isinstance(element, dict) and all(isinstance(spec, tf.TensorSpec) for spec in element.values())
        require(flat, "dataset", element, "of dicts {name: tensor}")
        unknown = [f"{name} of shape {spec.shape}" for name, spec in element.items()
                   if not spec.shape.is_fully_defined()]
        require(not unknown, "dataset", ", ".join(unknown),
                "of fully known shapes, or be given buckets=[...]: lengths to which its examples are padded")
        size = int(example.cardinality()) if size is None else size
        require(size >= 0, "size", size, "given: the dataset cannot tell its number of examples, or never ends")
        super().__init__(size, batch_size, seed, transform)
        self.spec = {name: tf.TensorSpec([self.batch_size, *spec.shape], spec.dtype)
                     for name, spec in element.items()}

    def _batched(self) -> Any:
        """An epoch."""
        dataset = self._make()
        if self._ragged is not None:
            return self._ragged.batches(dataset)
        counted = dataset.apply(tf.data.experimental.assert_cardinality(self.size))  # at the end of each epoch
        return counted.batch(self.batch_size, drop_remainder=True)

    def open(self, batch: int, part: Part = WHOLE) -> Any:
        if self._place[0] != batch:
            endless = self._batched().repeat()
            self._place = -1, iter(endless.skip(batch).prefetch(2))
        return self._place[1]

    def left_at(self, batch: int) -> None:
        self._place = batch, self._place[1]

    def batch(self, number: tf.Tensor, reader: Any) -> Batch:
        return next(reader)

    def open_in_order(self, part: Part = WHOLE) -> Any:
        if self._ragged is not None:
            return iter(self._ragged.in_order().shard(part.of, part.number))
        examples = self._make().map(lambda example: (example, tf.ones([])))
        padding = self._make().take(1).map(lambda example: (example, tf.zeros([]))).repeat()
        batches = examples.concatenate(padding).batch(self.batch_size, drop_remainder=True)
        return iter(batches.shard(part.of, part.number))

    def check_read(self, examples: int, reader: Any) -> None:
        if self._ragged is None:  # more of them than ``size`` says may be left
            while more := int(tf.reduce_sum(next(reader)[1])):
                examples += more
        super().check_read(examples, reader)

    def in_order(self, number: tf.Tensor, reader: Any) -> tuple[Batch, tf.Tensor]:
        return next(reader)
