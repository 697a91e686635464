"""What a net cannot take, told by its layer."""

import functools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from engine.errors import Invalid
from engine.strategy import Nets


class CannotTake(Invalid):
    """A net cannot take what it is given."""


@contextmanager
def _layers_that_fail() -> Iterator[list[tuple[Any, list[list[int]], Exception]]]:
    """Meanwhile, notes which layer was given which shapes when it raised what; the innermost first."""
    found: list[tuple[Any, list[list[int]], Exception]] = []
    call = keras.Layer.__call__

    @functools.wraps(call)
    def noting(layer: Any, *args: Any, **options: Any) -> Any:
        try:
            result = call(layer, *args, **options)
            found.clear()  # whoever called it has caught what failed inside
            return result
        except Exception as error:
            found.append((layer, [list(each.shape) for each in tf.nest.flatten((args, options))
                                  if hasattr(each, "shape")], error))
            raise

    keras.Layer.__call__ = noting
    try:
        yield found
    finally:
        keras.Layer.__call__ = call


@contextmanager
def told_by_layer(nets: Nets, place: str) -> Iterator[None]:
    """A net's error in one line, with the layer and the shapes that it was given."""
    with _layers_that_fail() as failed:
        try:
            yield
        except (ValueError, tf.errors.InvalidArgumentError) as error:
            if not failed:
                raise
            layer, shapes, first = failed[0]
            if isinstance(first, Invalid):
                raise first from None
            name = next((name for name, net in nets.items() if any(net is each for each, *_ in failed)), layer.name)
            text = re.sub("\x1b[^m]*m", "", (str(first).split("\x1b[1m")[1:] or [str(first)])[0]).strip()
            given = " and ".join(map(str, shapes))
            raise CannotTake(f"`net {name}` (layer {layer.name} given {given}, in {place}) must be one for such "
                             f"inputs: {text.splitlines()[0]}") from error
