"""Buckets: a few lengths to which examples of all lengths are padded. Each example is of the smallest that holds it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from engine.data.source import BUCKET, Specs
from engine.errors import require

Pad = float | Mapping[str, float]


class Buckets:
    """The lengths, and which examples are of which.

    Args:
      longest: The lengths of the buckets, rising.
      of: Names of what tells the examples' lengths, for errors.
      lengths: Lengths of the examples.
      batch_size: Batch size of all buckets.

    Attributes:
      of: int32 [N]: the bucket of each example, by number.
      sizes: Examples of each bucket.

    Raises:
      Invalid: An example that no bucket holds, or a bucket of fewer examples than a batch, never to be read.
    """

    def __init__(self, longest: Sequence[int], of: str, lengths: np.ndarray, batch_size: int) -> None:
        self.longest = longest
        self.of = np.searchsorted(longest, lengths).astype(np.int32)
        for example in np.flatnonzero(self.of == len(longest))[:1]:
            require(False, f"{of} of example {example}", f"{lengths[example]} long",
                    f"at most {longest[-1]} long, the longest bucket")
        self.sizes = np.bincount(self.of, minlength=len(longest)).tolist()
        self._batch_size = batch_size
        for length, size in zip(longest, self.sizes, strict=True):
            require(not 0 < size < batch_size, "batch_size", batch_size,
                    f"at most the examples of each bucket: {size} are of bucket {length}")

    @property
    def batches_per_epoch(self) -> int:
        """Full batches, of all buckets."""
        return sum(size // self._batch_size for size in self.sizes)

    @property
    def missing(self) -> list[int]:
        """Examples that each bucket lacks to fill its last batch."""
        return [-size % self._batch_size for size in self.sizes]

    @property
    def batches_in_order(self) -> int:
        """Batches that hold every example."""
        return (sum(self.sizes) + sum(self.missing)) // self._batch_size

    def in_turn(self) -> Iterator[list[int]]:
        """The examples of each batch, where a batch is given as soon as it is full; the missing ones are -1."""
        waiting: list[list[int]] = [[] for _ in self.longest]
        fillers = [(-1, bucket) for bucket, count in enumerate(self.missing) for _ in range(count)]
        for example, bucket in [*enumerate(self.of), *fillers]:
            waiting[bucket].append(example)
            if len(waiting[bucket]) == self._batch_size:
                yield waiting[bucket]
                waiting[bucket] = []


def rising(buckets: Sequence[int]) -> list[int]:
    """The lengths of the buckets. Raises ``Invalid`` unless they are whole numbers that rise."""
    found = list(buckets)
    require(found, "buckets", found, "at least one length")
    whole = all(isinstance(length, int | np.integer) and length >= 1 for length in found)
    require(whole and found == sorted(set(found)), "buckets", found, "whole numbers of at least 1, rising")
    return [int(length) for length in found]


def forms(spec: Specs, cut: Sequence[str], longest: Sequence[int]) -> tuple[Specs, ...]:
    """What a batch of each bucket is cut to.

    Args:
      spec: Specs of a batch as stored.
      cut: Names of those whose second axis is the length.
    """
    return tuple({name: tf.TensorSpec([each.shape[0], length, *each.shape[2:]], each.dtype) if name in cut else each
                  for name, each in spec.items() if name != BUCKET} for length in longest)


def pads_of(pad: Pad, dtypes: Mapping[str, Any]) -> dict[str, Any]:
    """{name: what it is padded with}. Raises ``Invalid`` for another name, and a number that an integer cannot hold.

    Args:
      dtypes: NumPy's, of what is padded, by name.
    """
    given = pad if isinstance(pad, Mapping) else dict.fromkeys(dtypes, pad)
    for name, value in given.items():
        require(name in dtypes, "pad", name, f"for one of {', '.join(dtypes)}")
        dtype = np.dtype(dtypes[name])
        if dtype.kind in "iu":
            limits = np.iinfo(dtype)
            require(value == int(value) and limits.min <= value <= limits.max, f"pad of {name}", value,
                    f"a number that {dtype} holds")
    return {name: given.get(name, 0) for name in dtypes}
