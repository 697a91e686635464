"""What people have as data, as sources: arrays by name, a pandas frame, a bare ``tf.data.Dataset``."""

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from engine.data import memory
from engine.data.bare_dataset import bare_source
from engine.data.source import ArraySource, Source
from engine.errors import require

BATCH_SIZE = 32  # Keras's, for data that come with none
KINDS = "a Source, a dict {name: array}, a pandas frame of numbers, or a tf.data.Dataset of dicts"
LISTED = 'ArraySource({"image": np.stack([...]), "label": np.array([...])}, batch_size)'


def sources_of(data: Any) -> dict[str, Source]:
    """The sources by name; one alone is called data.

    A dict is of arrays, which are one source, or of sources: whatever ``source_of`` takes.

    Raises:
      Invalid: The same as ``source_of``, and a dict of both.
    """
    if not isinstance(data, Mapping):
        return {"data": source_of(data)}
    require(data, "data", dict(data), "at least one source")
    arrays = [name for name, value in data.items() if _is_array(value)]
    if len(arrays) == len(data):
        return {"data": source_of(data)}
    others = ", ".join(str(name) for name in data if name not in arrays)
    require(not arrays, "data", f"arrays {', '.join(map(str, arrays))} beside {others}",
            "a dict of arrays alone, {name: array}, or of sources alone, {name: source}")
    return {name: source_of(value, f"data {name}") for name, value in data.items()}


def source_of(data: Any, title: str = "data", batch_size: int = BATCH_SIZE, all_examples: bool = False) -> Source:
    """A source of ``data``.

    Args:
      data: A source, which is given back; {name: array} or a pandas frame, whose float64 become float32, as in Keras;
        or a ``tf.data.Dataset`` of dicts, of single examples or batched, which keeps its order.
      title: What messages call the data.
      batch_size: Examples per batch, of data that come with none; or fewer, if there are no more.
      all_examples: Whether none may be left out.

    Raises:
      Invalid: One line, for anything else, with what to do.
    """
    if isinstance(data, Source):
        return data
    if isinstance(data, tf.data.Dataset):
        return bare_source(data, batch_size, title, all_examples)
    given = {name: data[name] for name in _columns(data, title)} if _is_pandas(data, "DataFrame") else data
    require(isinstance(given, Mapping) and given and all(map(_is_array, given.values())), title,
            type(data).__name__, f"{KINDS}{_hint(data)}")
    arrays = {str(name): memory.checked(name, _values(f"{name} of {title}", value)) for name, value in given.items()}
    sizes = {name: len(array) for name, array in arrays.items()}
    require(len(set(sizes.values())) == 1, title, sizes, "arrays of one length")
    double = [name for name, array in arrays.items() if array.dtype == np.float64]
    arrays = {name: _single(f"{name} of {title}", array) if name in double else array for name, array in arrays.items()}
    source = ArraySource(arrays, max(1, min(batch_size, *sizes.values())))
    kept = [f"{', '.join(double)} of float64 became float32, as in Keras"] if double else []
    source.notes = [f"batches of {source.batch_size} examples, as none was given: ArraySource(arrays, batch_size) says "
                    "another number", *kept]
    return source


def _is_array(value: Any) -> bool:
    if isinstance(value, Source | tf.data.Dataset | Mapping) or _is_pandas(value, "DataFrame"):
        return False
    return hasattr(value, "__array__")


def _is_pandas(value: Any, kind: str) -> bool:
    pandas = sys.modules.get("pandas")  # who has a frame has imported it
    return pandas is not None and isinstance(value, getattr(pandas, kind))


def _columns(frame: Any, title: str) -> list[str]:
    """Names of a frame's columns."""
    names = list(frame.columns)
    require(names and all(isinstance(name, str) for name in names) and len(set(names)) == len(names), title,
            f"a frame of the columns {', '.join(map(str, names))}", "of columns with a text each as its name")
    return names


def _values(title: str, value: Any) -> Any:
    """The array of a pandas column if none of its values is missing; what else there is as it is."""
    if _is_pandas(value, "Series"):
        missing = np.flatnonzero(value.isna())
        first = value.index[missing[0]] if missing.size else None
        require(not missing.size, title, f"missing in row {first}, of {missing.size}",
                "there in every row: .dropna() or .fillna(...) first")
        require(value.dtype.kind in "biuf", title, value.dtype, "numbers: .astype(...) or .cat.codes makes them such")
        value = value.to_numpy(getattr(value.dtype, "numpy_dtype", value.dtype))
    return value


def _single(title: str, array: np.ndarray) -> np.ndarray:
    """Float64 as float32. Raises ``Invalid`` for a number that is too large for it."""
    large = np.abs(array[np.isfinite(array)]) > np.finfo(np.float32).max
    require(not large.any(), title, "numbers above 3.4e38", "small enough for float32")
    return array.astype(np.float32)


def _hint(data: Any) -> str:
    """What to do with it."""
    if isinstance(data, tf.RaggedTensor):
        return ": BucketedSource({name: ragged}, batch_size, buckets=[...]) takes several lengths"
    if isinstance(data, tuple):
        return ': as {"image": x, "label": y}, by the names that the strategy reads'
    if isinstance(data, Mapping):
        return f": its values are {', '.join(sorted({type(value).__name__ for value in data.values()}))}"
    if _is_array(data):
        return ': as {"x": array}, by the names that the strategy reads'
    if hasattr(data, "__next__"):
        return (", as it can be read but once: DatasetSource(lambda: tf.data.Dataset.from_generator(make, "
                "output_signature=...), batch_size, size=N) reads a function that makes it")
    if isinstance(data, list) or hasattr(data, "__getitem__") or hasattr(data, "__iter__"):
        return f": {LISTED} holds the examples of a list or a data set"
    return ""
