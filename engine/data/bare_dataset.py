"""A bare ``tf.data.Dataset`` as a source: of single examples, or batched already."""

from typing import Any

import tensorflow as tf

from engine.data import operations
from engine.data.dataset_source import DatasetSource
from engine.errors import Invalid, require

UNSURE = ("that tells whether its elements are single examples or batches: give DatasetSource(dataset, batch_size), of "
          "single examples (batches become such by .unbatch())")


def bare_source(dataset: Any, batch_size: int, title: str, all_examples: bool = False) -> DatasetSource:
    """A source of ``dataset``, in its order; of a batched one with its own batch size.

    Args:
      batch_size: Examples per batch of one that is not batched; or fewer, if there are no more.
      title: What messages call it.
      all_examples: Whether none may be left out, as ``drop_remainder=True`` does.

    Raises:
      Invalid: Elements that are no dicts, an endless dataset, an unknown number of examples, or one of which it
        cannot be told whether it is batched.
    """
    _check_named(dataset.element_spec, title)
    elements = int(dataset.cardinality())
    require(elements != tf.data.INFINITE_CARDINALITY, title, "a tf.data.Dataset that never ends",
            "finite: leave out .repeat(), as epochs= or cycles= say how long a run is")
    try:
        batched = operations.batching(dataset)
    except LookupError as unknown:
        raise Invalid(f"`{title}` (a tf.data.Dataset by {unknown}) must be one {UNSURE}") from None
    require(elements >= 0, title, "a tf.data.Dataset", "of a known number of examples: give DatasetSource("
            f"dataset{'' if batched is None else '.unbatch()'}, batch_size, size=N)")
    if batched is None:
        source = DatasetSource(dataset, min(batch_size, max(1, elements)))
        source.notes = [*source.notes, f"batches of {source.batch_size} examples, as none was given: DatasetSource("
                        "dataset, batch_size) says another number"]
        return source
    require(not (all_examples and operations.drops_examples(batched)), title, "batched with drop_remainder=True",
            "of all examples, to evaluate on: leave drop_remainder out")
    single = dataset.unbatch()
    size = int(single.cardinality())
    size = _counted(dataset) if size < 0 else size
    return DatasetSource(single, min(operations.batch_size(batched), max(1, size)), size=size)


def _check_named(spec: Any, title: str) -> None:
    """Raises ``Invalid`` unless elements are dicts, and says how they become such."""
    if isinstance(spec, dict):
        return
    parts = spec if isinstance(spec, tuple) else (spec,)
    names = ", ".join(("x", "y", "w")[:len(parts)]) if len(parts) <= 3 else "*parts"
    first = "**x" if isinstance(parts[0], dict) else '"image": x'
    entries = ", ".join([first, '"label": y', '"weight": w'][:len(parts)]) if len(parts) <= 3 else "..."
    raise Invalid(f"`{title}` (a tf.data.Dataset of {'tuples' if isinstance(spec, tuple) else 'tensors'}) must be of "
                  f"dicts, by the names that the strategy reads, as dataset.map(lambda {names}: {{{entries}}})")


def _counted(dataset: Any) -> int:
    """Examples in batches, by reading them once."""
    each = dataset.map(lambda batch: tf.shape(next(iter(batch.values())), tf.int64)[0])
    return int(each.reduce(tf.constant(0, tf.int64), lambda total, more: total + more))
