"""Checks of the arguments of nets: a ValueError names the argument, its value and the rule."""

import difflib
import math
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

import tensorflow as tf


def _is_whole(value: Any, least: int) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least


def whole(name: str, value: Any, least: int = 1) -> int:
    """Returns ``value`` as an int. Raises ValueError unless it is an integer of at least ``least``."""
    if not _is_whole(value, least):
        raise ValueError(f"`{name}` ({value}) must be an integer of at least {least}")
    return int(value)


def wholes(name: str, values: object) -> tuple[int, ...]:
    """Returns ``values`` as a tuple. Raises ValueError unless it is a sequence of integers of at least 1."""
    if not isinstance(values, (tuple, list)) or not all(_is_whole(value, 1) for value in values):
        raise ValueError(f"`{name}` ({values}) must be a sequence of integers of at least 1")
    return tuple(int(value) for value in values)


def rate(name: str, value: Any) -> float:
    """Returns ``value`` as a float. Raises ValueError unless it is a number of at least 0 and below 1."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) < 1:
        raise ValueError(f"`{name}` ({value}) must be a number of at least 0 and below 1")
    return float(value)


def fraction(name: str, value: Any) -> float:
    """Returns ``value`` as a float. Raises ValueError unless it is a number above 0 and at most 1."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) <= 1:
        raise ValueError(f"`{name}` ({value}) must be a number above 0 and at most 1")
    return float(value)


def rates(name: str, values: object, count: int) -> tuple[float, ...]:
    """Returns ``values`` as a tuple. Raises ValueError unless it is a sequence of ``count`` rates."""
    if not isinstance(values, (tuple, list)) or len(values) != count:
        raise ValueError(f"`{name}` ({values}) must be a sequence of {count} numbers of at least 0 and below 1")
    return tuple(rate(name, value) for value in values)


def not_negative(name: str, value: Any) -> float:
    """Returns ``value`` as a float. Raises ValueError unless it is a finite number of at least 0."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) < math.inf:
        raise ValueError(f"`{name}` ({value}) must be a finite number of at least 0")
    return float(value)


def image_shape(name: str, value: object, multiple: int = 1) -> tuple[int, int, int]:
    """Returns ``value`` as (height, width, channels).

    Raises ValueError unless these are three integers of at least 1, height and width multiples of ``multiple``.
    """
    sides = wholes(name, value)
    if len(sides) != 3:
        raise ValueError(f"`{name}` ({value}) must be (height, width, channels)")
    if sides[0] % multiple or sides[1] % multiple:
        raise ValueError(f"`{name}` ({value}) must have a height and width that are multiples of {multiple}")
    return sides[0], sides[1], sides[2]


def choice(name: str, value: object, known: Iterable[str]) -> str:
    """Returns ``value``. Raises ValueError, with the nearest known word, unless it is one of ``known``."""
    known = list(known)
    if isinstance(value, str) and value in known:
        return value
    nearest = difflib.get_close_matches(str(value), known, n=1, cutoff=0.0)
    hint = f"; nearest: {nearest[0]}" if nearest else ""
    raise ValueError(f"`{name}` ({value}) must be one of {', '.join(known) or '(none)'}{hint}")


def batch_of(name: str, value: tf.Tensor, shape: tuple[int | None, ...]) -> None:
    """Raises ValueError, when traced, unless ``value`` is of shape [B, *shape]; None stands for any size."""
    if not value.shape.is_compatible_with((None, *shape)):
        rule = ", ".join("any" if size is None else str(size) for size in shape)
        raise ValueError(f"`{name}` {tuple(value.shape)} must be of shape [B, {rule}]")


def images(name: str, value: tf.Tensor, least: int = 1) -> None:
    """Raises ValueError, when traced, unless ``value`` is of shape [B, h, w, c], h and w at least ``least``."""
    batch_of(name, value, (None, None, None))
    if any(side is not None and side < least for side in value.shape[1:3]):
        raise ValueError(f"`{name}` {tuple(value.shape)} must be of at least {least}x{least} pixels")
