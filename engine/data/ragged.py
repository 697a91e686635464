"""A ``tf.data.Dataset`` of examples of unknown lengths, bucketed and padded."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from engine.data.lengths import Buckets, Pad, forms, pads_of, rising
from engine.data.source import BUCKET
from engine.errors import require


class RaggedDataset:
    """Batches of one bucket each, in the order in which they are full. Making it reads the dataset once.

    Args:
      make: Function that gives the dataset, of the same examples in the same order at each call.
      batch_size, buckets, pad, length: The same as of ``BucketedSource``.

    Attributes:
      spec, buckets, stored_places, batches_per_epoch, batches_in_order: Attributes of the source.
    """

    def __init__(self, make: Callable[[], Any], batch_size: int, buckets: Sequence[int], pad: Pad, length: str) -> None:
        longest, example = rising(buckets), make()
        self._element = _element(example.element_spec)
        self._ragged = [name for name, spec in self._element.items() if not spec.shape.is_fully_defined()]
        require(self._ragged, "buckets", longest, "left out: all shapes of the dataset are known")
        for name in self._ragged:
            shape = self._element[name].shape
            require(shape.rank and shape[1:].is_fully_defined(), "dataset", f"{name} of shape {shape}",
                    "of unknown length in the first axis alone")
        require(length not in self._element, "length", length, "a name that the dataset does not have")
        require(int(example.cardinality()) != tf.data.INFINITE_CARDINALITY, "dataset", "endless", "finite")
        self._make, self._batch_size, self._longest, self._length = make, batch_size, longest, length
        self._pads = pads_of(pad, {name: self._element[name].dtype.as_numpy_dtype for name in self._ragged})
        lengths = example.map(self._length_of).batch(1024)
        found = np.concatenate([np.zeros([0], np.int32), *lengths.as_numpy_iterator()])
        require(len(found), "data", "0 examples", "at least one example")
        self._buckets = Buckets(longest, " or ".join(self._ragged), found, batch_size)
        self.batches_per_epoch, self.batches_in_order = (self._buckets.batches_per_epoch,
                                                         self._buckets.batches_in_order)
        self.stored_places = np.array([place for batch in self._buckets.in_turn() for place in batch if place >= 0])
        one = tf.TensorSpec([batch_size], tf.int32)
        shapes = {name: [longest[-1], *spec.shape[1:]] if name in self._ragged else spec.shape
                  for name, spec in self._element.items()}
        self.spec = {**{name: tf.TensorSpec([batch_size, *shape], self._element[name].dtype)
                        for name, shape in shapes.items()}, length: one, BUCKET: one}
        self.buckets = forms(self.spec, self._ragged, longest)

    def batches(self, dataset: Any) -> Any:
        """The full batches of ``dataset``, an epoch."""
        return self._grouped(dataset.map(self._padded))

    def in_order(self) -> Any:
        """(batch, weights): every example once, ``stored_places``, and others of weight 0 where a batch lacks some."""
        examples = self._make().map(self._padded).map(lambda example: (example, tf.ones([])))
        for bucket, missing in enumerate(self._buckets.missing):
            if missing:
                one = self._make().map(self._padded).filter(self._is_of(bucket)).take(1).cache().repeat(missing)
                examples = examples.concatenate(one.map(lambda example: (example, tf.zeros([]))))
        return self._grouped(examples)

    def _grouped(self, examples: Any) -> Any:
        def key(example: Any, *_: Any) -> tf.Tensor:
            return tf.cast(example[BUCKET], tf.int64)

        return examples.group_by_window(
            key, lambda _, window: window.batch(self._batch_size, drop_remainder=True), self._batch_size)

    def _is_of(self, bucket: int) -> Callable[[Any], tf.Tensor]:
        return lambda example: tf.equal(example[BUCKET], bucket)

    def _length_of(self, example: Mapping[str, Any]) -> tf.Tensor:
        """Of the longest of its tensors."""
        return tf.reduce_max([tf.shape(example[name])[0] for name in self._ragged])

    def _padded(self, example: Mapping[str, Any]) -> dict[str, tf.Tensor]:
        length = self._length_of(example)
        found = {name: self._long(name, value) if name in self._ragged else value for name, value in example.items()}
        shorter = tf.cast(length > tf.constant(self._longest), tf.int32)
        return {**found, self._length: length, BUCKET: tf.reduce_sum(shorter)}

    def _long(self, name: str, value: tf.Tensor) -> tf.Tensor:
        """Padded to the longest bucket."""
        spec, pad = self._element[name], self._pads[name]
        value = tf.ensure_shape(value, spec.shape)
        shape = [self._longest[-1] - tf.shape(value)[0], *spec.shape[1:]]
        more = tf.zeros(shape, spec.dtype) if pad == 0 else tf.fill(shape, tf.cast(pad, spec.dtype))
        return tf.ensure_shape(tf.concat([value, more], axis=0), [self._longest[-1], *spec.shape[1:]])


def _element(spec: Any) -> dict[str, tf.TensorSpec]:
    """Of one example. Raises ``Invalid`` for what is no dict of tensors."""
    def flat(each: Any) -> Any:  # an example of a ragged tensor of two axes is a tensor
        return (tf.TensorSpec(each.shape, each.dtype) if isinstance(each, tf.RaggedTensorSpec) and not each.ragged_rank
                else each)

    found = {name: flat(each) for name, each in spec.items()} if isinstance(spec, dict) else {}
    require(found and all(isinstance(each, tf.TensorSpec) for each in found.values()), "dataset", spec,
            "of dicts {name: tensor}")
    return found
