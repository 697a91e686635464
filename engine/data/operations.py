"""What made a ``tf.data.Dataset``: whether it is batched, and whether it shuffles, which TensorFlow does not say.

Only TensorFlow's private classes and ``_inputs`` tell the operations; their names were seen in 2.18 to 2.21.
"""

from collections.abc import Iterator
from typing import Any

import tensorflow as tf

BATCH = {"BatchDataset", "ParallelBatchDataset", "PaddedBatchDataset", "RebatchDataset"}
SINGLE = {"TensorSliceDataset", "UnbatchDataset", "RangeDataset", "TFRecordDatasetV2", "TextLineDatasetV2"}
# After these elements are still single, or still batches.
KEEP = {"MapDataset", "ParallelMapDataset", "PrefetchDataset", "CacheDataset", "ShuffleDataset", "RepeatDataset",
        "TakeDataset", "SkipDataset", "OptionsDataset", "AssertCardinalityDataset", "ShardDataset", "FilterDataset",
        "IgnoreErrorsDataset", "TakeWhileDataset", "RestructuredDataset", "ZipDataset", "ConcatenateDataset",
        "DirectedInterleaveDataset"}


def batching(dataset: Any) -> Any:
    """The dataset among its operations that batches; None if the elements are single examples.

    The operations and the shapes must agree: {"x": [32, 2]} may be a batch, or one example of 32 pairs.

    Raises:
      LookupError: If they do not, or the operations do not tell.
    """
    specs = tf.nest.flatten(dataset.element_spec)
    shapes = [each.shape for each in specs if isinstance(each, tf.TensorSpec)]
    if len(shapes) < len(specs) or any(shape.rank == 0 for shape in shapes):
        return None  # one number for each example
    found = list(_makers(dataset))
    names = {_name(each) for each in found}
    if names <= SINGLE:
        return None
    sizes = {batch_size(each) for each in found}
    if names <= BATCH and len(sizes) == 1 and all(shape.rank and shape[0] in (None, *sizes) for shape in shapes):
        return found[0]
    raise LookupError(", ".join(sorted(names)))


def batch_size(batched: Any) -> int:
    """Examples per batch of what ``batching`` gave; 0 if that is no constant."""
    value = getattr(batched, "_batch_size", getattr(batched, "_batch_sizes", None))
    found = None if value is None else tf.get_static_value(value)
    return int(found) if found is not None and found.size == 1 else 0


def drops_examples(batched: Any) -> bool:
    """Whether what ``batching`` gave may leave out the last examples."""
    before = int(batched._input_dataset.cardinality())
    return bool(tf.get_static_value(batched._drop_remainder)) and (before < 0 or before % batch_size(batched) > 0)


def seeds(dataset: Any) -> list[Any]:
    """Seeds of all its shuffles; a shuffle without a seed has other ones each time that it is made."""
    own = [(int(dataset._seed), int(dataset._seed2))] if _name(dataset) == "ShuffleDataset" else []
    return own + [seed for each in dataset._inputs() for seed in seeds(each)]


def _makers(dataset: Any) -> Iterator[Any]:
    """What made the elements what they are: the last operations that are none of ``KEEP``."""
    inputs = dataset._inputs() if _name(dataset) in KEEP else []
    if not inputs:
        yield dataset
    for each in inputs:
        yield from _makers(each)


def _name(dataset: Any) -> str:
    return type(dataset).__name__.lstrip("_")
