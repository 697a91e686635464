"""Every operation of one update, as it is executed: where it was called, and what was not finite in it."""

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from engine.cycle import compute, keras_internals
from engine.run.rows import Rows
from engine.strategy import Nets

_LIBRARIES = (os.path.dirname(os.path.dirname(__file__)), os.path.dirname(tf.__file__), os.path.dirname(keras.__file__),
              os.path.join(os.path.dirname(os.path.dirname(keras.__file__)), "optree"))  # which Keras maps trees with
_STANDARD = os.path.dirname(contextlib.__file__)
_GRADIENTS = compute.Compute.gradients.__code__
_BACKWARD = {tf.GradientTape.gradient.__code__, compute._summed.__code__}


@dataclass(frozen=True)
class Place:
    """Where an operation was called.

    Attributes:
      stage: "forward", "backward", or "update" for what follows the gradients.
      layer: Path of the innermost layer, its net's name first; "" outside of layers.
      line: File and line of the innermost code that belongs neither to TensorFlow and Keras nor to the engine.
      gradient_of: The operation that is differentiated, "" if none is. forward: It, as it was executed, if found.
    """

    stage: str
    layer: str = ""
    line: str = ""
    gradient_of: str = ""
    forward: "Executed | None" = None


@dataclass(frozen=True)
class Executed:
    """An operation.

    Attributes:
      of: What it takes of that which the update was given.
      carriers: Numbers of its inputs that are not finite, without those that a selection leaves out.
      gave: Those of "nan", "inf" and "-inf" it gave.
      examples: Places in the batch of those whose part of the output is not finite; None if it has no such parts.
      size: Size of the batch. read: Whether it depends on data, not on draws alone.
      ranges: Smallest and largest finite number of each floating input (nan if it has none), and what else it holds.
    """

    number: int
    kind: str
    place: Place
    of: str = ""
    carriers: tuple[int, ...] = ()
    gave: tuple[str, ...] = ()
    dtype: str = ""
    examples: tuple[int, ...] | None = None
    size: int = 0
    read: bool = False
    ranges: list[tuple[float, float, tuple[str, ...]]] = field(default_factory=list)


class Recorder:
    """Listens to what is executed.

    Args:
      named: {number of a tensor: what it is}: what the update is given.
      variables: {number of a resource: the variable's path}.
    """

    def __init__(self, nets: Nets, named: dict[int, str], variables: Mapping[int, str], rows: Rows) -> None:
        self.named, self.made = dict(named), dict[int, Executed]()
        self.bad: dict[int, tuple[str, ...]] = {}  # of what is not finite
        self._rows_given: dict[int, tuple[tuple[int, ...] | None, int]] = {}
        self._known: set[int] = set()
        self._took: dict[tuple[str, tuple[int, ...]], Executed] = {}  # by kind and inputs, all and each
        self._variables, self.rows, self._count = variables, rows, 0
        self._layers = {id(layer): path for name, net in nets.items() for layer, path in _paths(name, net)}

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Inside, each executed operation is recorded; functions are executed operation by operation."""
        eagerly = tf.config.functions_run_eagerly()
        tf.config.run_functions_eagerly(True)
        try:
            with keras_internals.told_each_operation(self._note):
                yield
        finally:
            tf.config.run_functions_eagerly(eagerly)

    def held_by(self, tensor: tf.Tensor) -> tuple[str, ...]:
        """Which of "nan", "inf" and "-inf" it holds."""
        number = keras_internals.number_of(tensor)
        if number not in self._known:
            self._known.add(number)
            if tensor.dtype.is_floating and (held := _held(tensor.numpy())):
                self.bad[number] = held
                if number in self.named:
                    self._rows_given[number] = self.rows.bad(tensor)
        return self.bad.get(number, ())

    def given_rows(self, number: int) -> tuple[tuple[int, ...] | None, int]:
        """The examples of which something that the update was given is not finite, and the number of all."""
        return self._rows_given.get(number, (None, 0))

    def _note(self, kind: str, inputs: Sequence[Any], attributes: Mapping[str, Any], outputs: Sequence[Any]) -> None:
        numbers = [keras_internals.number_of(each) for each in inputs]
        if kind == "ReadVariableOp":
            self.named.update({keras_internals.number_of(each): self._variables[numbers[0]] for each in outputs
                               if numbers[0] in self._variables})
            return
        self.rows.follow(kind, inputs, attributes, outputs)
        place = self._place()
        self._count += 1
        held = [self.held_by(each) for each in inputs if each.dtype != tf.resource and each.dtype != tf.variant]
        bad = [(each, gave) for each in outputs if (gave := self.held_by(each))]
        record = Executed(self._count, kind, place)
        if not bad and kind in ("MaxPool", "MaxPoolV2", "Max") and any("nan" in each for each in held):
            bad = [(each, ("nan",)) for each in outputs if _holds_lowest(each)]  # what they make of nan
            self.bad.update({keras_internals.number_of(each): gave for each, gave in bad})
        if bad:
            output, gave = bad[0]
            examples, size = self.rows.bad(output)
            carriers = [number for number in numbers if number in self.bad]
            if kind in ("Select", "SelectV2") and any(held):
                carriers = _selected(inputs, numbers, self.bad)
            ranges = [_range(each) for each in inputs if each.dtype.is_floating]
            of = next((self.named[number] for number in numbers if number in self.named), "")
            record = Executed(self._count, kind, place, of, tuple(carriers), gave, output.dtype.name, examples, size,
                              self.rows.is_read(keras_internals.number_of(output)), ranges)
        self.made.update({keras_internals.number_of(each): record for each in outputs})
        for taken in (tuple(numbers), *((number,) for number in numbers)):
            self._took[kind, taken] = record

    def _place(self) -> Place:
        stage, layer, line, gradient_of, forward, inner = "update", "", "", "", None, None
        frame: FrameType | None = sys._getframe(3)
        while frame is not None and frame.f_code is not _GRADIENTS:
            code = frame.f_code
            if not line and not _is_library(code.co_filename):
                line = f"{'/'.join(code.co_filename.split(os.sep)[-2:])}:{frame.f_lineno}"
            if not layer and (found := keras_internals.layer_in(frame)) is not None:
                layer = self._layers.get(id(found), found.name)
            if not gradient_of and (known := keras_internals.differentiated(frame)):
                gradient_of, made, took = known
                found_by = [self.made.get(number) for number in made] + [
                    self._took.get((gradient_of, numbers)) for numbers in (tuple(took), *((each,) for each in took))]
                forward = next((each for each in found_by if each is not None), None)
            inner = inner if code.co_name == "<listcomp>" else code  # Python 3.11 has a frame for it
            frame = frame.f_back
        if frame is not None:
            stage = "backward" if inner in _BACKWARD else "forward"
        if forward is not None:
            layer, line = forward.place.layer or layer, forward.place.line or line
        return Place(stage, layer, line, gradient_of, forward)


def _paths(name: str, net: Any) -> Iterator[tuple[Any, str]]:
    for layer in keras_internals.layers_of(net):
        own = next((v.path.rpartition("/")[0] for v in keras_internals.weights_of_layer(layer)), None)
        yield layer, f"{name}/{own or getattr(layer, 'path', None) or layer.name}"


def _is_library(path: str) -> bool:
    return path.startswith((*_LIBRARIES, "<")) or (path.startswith(_STANDARD) and "-packages" not in path)


def _held(array: np.ndarray) -> tuple[str, ...]:
    if np.isfinite(array).all():
        return ()
    array = np.asarray(array, np.float64)
    return tuple(name for name, found in (("nan", np.isnan(array)), ("inf", array == np.inf),
                                          ("-inf", array == -np.inf)) if found.any())


def _range(tensor: tf.Tensor) -> tuple[float, float, tuple[str, ...]]:
    array = np.asarray(tensor.numpy(), np.float64)
    finite = array[np.isfinite(array)]
    return (*((float(finite.min()), float(finite.max())) if finite.size else (np.nan, np.nan)), _held(array))


def _holds_lowest(tensor: tf.Tensor) -> bool:
    return bool(tensor.dtype.is_floating and (tensor.numpy() == tensor.dtype.min).any())


def _selected(inputs: Sequence[Any], numbers: Sequence[int], bad: Mapping[int, Any]) -> list[int]:
    """Of a selection: the inputs that it takes something from that is not finite."""
    shape = tf.broadcast_static_shape(tf.broadcast_static_shape(inputs[0].shape, inputs[1].shape), inputs[2].shape)
    condition = inputs[0].numpy()
    if condition.ndim == 1 and len(shape) > 1 and inputs[1].shape == inputs[2].shape:  # Select, not SelectV2
        condition = condition.reshape([-1] + [1] * (len(shape) - 1)) if shape[-1] != condition.shape[0] else condition
    taken = [np.broadcast_to(condition, shape), np.broadcast_to(~condition, shape)]
    return [number for number, each, where in zip(numbers[1:], inputs[1:], taken, strict=True)
            if number in bad and (~np.isfinite(np.broadcast_to(each.numpy(), shape)) & where).any()]
