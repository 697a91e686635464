"""Which example of the batch a part of a tensor belongs to, followed from operation to operation."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from engine.cycle.keras_internals import number_of

_REDUCTIONS = {"Sum", "Mean", "Max", "Min", "Prod", "EuclideanNorm"}
_RESHAPES = {"Reshape", "ExpandDims", "Squeeze"}
_NONE = {"Shape", "Size", "Rank", "BiasAddGrad", "Bincount", "DenseBincount"}


class Axis(NamedTuple):
    """Place ``i`` along axis ``place`` belongs to example ``i // each % size``."""

    place: int
    size: int
    each: int = 1


class Rows:
    """The axes of the examples, of all tensors that have one."""

    def __init__(self) -> None:
        self._axes: dict[int, Axis] = {}
        self._read: set[int] = set()

    def begin(self, tensor: tf.Tensor, read: bool) -> None:
        """Its first axis is the examples'; ``read``: of the data, not drawn."""
        if tensor.shape.rank:
            self._axes[number_of(tensor)] = Axis(0, int(tensor.shape[0]))
            self._read |= {number_of(tensor)} if read else set()

    def is_read(self, number: int) -> bool:
        """Whether the tensor of this number has an axis of examples and depends on data."""
        return number in self._axes and number in self._read

    def bad(self, tensor: tf.Tensor) -> tuple[tuple[int, ...] | None, int]:
        """The examples whose part is not finite, and the number of all; None and 0 if it has no such parts."""
        axis = self._axes.get(number_of(tensor))
        if axis is None:
            return None, 0
        wrong = ~np.isfinite(np.moveaxis(tensor.numpy(), axis.place, 0)).reshape(tensor.shape[axis.place], -1)
        found = np.flatnonzero(wrong.any(axis=1))
        return tuple(sorted({int(each) // axis.each % axis.size for each in found})), axis.size

    def follow(self, kind: str, inputs: Sequence[Any], attributes: Mapping[str, Any], outputs: Sequence[Any]) -> None:
        """After an operation: the axes of its outputs."""
        known = [(place, each, self._axes[number_of(each)]) for place, each in enumerate(inputs)
                 if number_of(each) in self._axes]
        if not known or kind in _NONE or "BackpropFilter" in kind:
            return
        read = any(number_of(each) in self._read for _, each, _ in known)
        for output in outputs:
            if output.dtype not in (tf.resource, tf.variant):
                found = _after(kind, known, inputs, attributes, list(output.shape))
                if found is not None:
                    self._axes[number_of(output)] = found
                    self._read |= {number_of(output)} if read else set()


def _after(kind: str, known: Sequence[tuple[int, Any, Axis]], inputs: Sequence[Any], attributes: Mapping[str, Any],
           shape: list[int]) -> Axis | None:
    place, tensor, axis = known[0]
    before = list(tensor.shape)
    if kind == "MatMul":
        turned = attributes.get("transpose_a" if place == 0 else "transpose_b", False)
        return axis._replace(place=place) if axis.place == (int(turned) if place == 0 else 1 - int(turned)) else None
    if kind == "Einsum":
        given, _, gives = tf.compat.as_str(attributes["equation"]).partition("->")
        letter = given.split(",")[place].replace("...", "")[axis.place:axis.place + 1]
        return axis._replace(place=gives.index(letter)) if letter and letter in gives and "..." not in given else None
    if kind == "Transpose":
        return axis._replace(place=inputs[1].numpy().tolist().index(axis.place))
    if kind in _REDUCTIONS:
        over = {int(each) % len(before) for each in np.ravel(inputs[1].numpy())}
        fewer = 0 if attributes.get("keep_dims") else sum(each < axis.place for each in over)
        return None if axis.place in over else axis._replace(place=axis.place - fewer)
    if kind in ("Pack", "Unpack"):
        at = int(attributes.get("axis", 0))
        if kind == "Pack":
            return axis._replace(place=axis.place + (at % (len(before) + 1) <= axis.place))
        at %= len(before)
        return None if at == axis.place else axis._replace(place=axis.place - (at < axis.place))
    if kind in _RESHAPES:
        return _reshaped(axis, before, shape)
    return next((found for _, each, mine in known if (found := _kept(kind, mine, list(each.shape), shape))), None)


def _reshaped(axis: Axis, before: list[int], after: list[int]) -> Axis | None:
    ahead, inner = math.prod(before[:axis.place]), math.prod(before[axis.place + 1:])
    for place, length in enumerate(after):
        if math.prod(after[:place]) == ahead and length >= axis.size and length % axis.size == 0:
            blocks = before[axis.place] // (axis.size * axis.each)  # as of concatenated batches
            each = axis.each * inner // math.prod(after[place + 1:])
            return Axis(place, axis.size, each) if each and length == blocks * axis.size * each else None
    return None


def _kept(kind: str, axis: Axis, before: list[int], after: list[int]) -> Axis | None:
    """Of an operation that broadcasts, or leaves the axis where it is."""
    length = before[axis.place]
    for place in (len(after) - len(before) + axis.place, axis.place, axis.place - 1, axis.place + 1):
        if 0 <= place < len(after):
            joined = kind in ("ConcatV2", "Split", "SplitV", "Tile") and after[place] % (axis.size * axis.each) == 0
            if after[place] == length or (joined and after[place]):
                return axis._replace(place=place)
    return None
