"""How layers of Keras take statistics of a batch and draw for it, replaced in a thread while it traces them.

By private APIs, as those of keras_internals.py, and as seen in Keras 3.15.
"""

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

OF_BATCH = "_moments"  # Keras's method
Statistics = tuple[tf.Tensor, tf.Tensor]  # mean and biased variance, [c]
Whole = Callable[[Statistics, tf.Tensor], tuple[tf.Tensor, tf.Tensor, tf.Tensor]]


def can_be_whole(layer: Any) -> bool:
    """Whether ``statistics_by`` reaches it: Keras's batch normalisation, or one that tells how it goes on from them.

    That is by a method ``normalized(inputs, mean, variance, values)``, as of ``nets``' own, whose ``call`` takes all
    in one operation.
    """
    kind = keras.layers.BatchNormalization
    return isinstance(layer, kind) and (type(layer).call is kind.call or hasattr(layer, "normalized"))


@contextmanager
def statistics_by(whole: Whole) -> Iterator[None]:
    """Inside, batch normalisations take what ``whole`` makes of a part's statistics and its number of values.

    It gives mean, variance and number of values of the whole batch.
    """
    with _INSTALLING:
        _install_statistics()
    with _set("whole", whole):
        yield


@contextmanager
def draws_by(drawn: Callable[..., tf.Tensor]) -> Iterator[None]:
    """Inside, layers draw by ``drawn(shape, draw, seed)``, where ``draw(shape)`` is what they would have done.

    ``seed`` is the pair of a ``tf.random.stateless_uniform``; None of another draw. The layers of Keras draw by these
    functions of its backend.
    """
    with _INSTALLING:
        _install_draws()
    with _set("drawn", drawn):
        yield


_OF_PART = getattr(keras.layers.BatchNormalization, OF_BATCH)
_INSTALLING = threading.Lock()
_INSTALLED: set[Any] = set()  # what asks this thread's ``_HANDED``, and does as ever where nothing is
_HANDED = threading.local()


@contextmanager
def _set(name: str, value: Any) -> Iterator[None]:
    before = getattr(_HANDED, name, None)
    setattr(_HANDED, name, value)
    try:
        yield
    finally:
        setattr(_HANDED, name, before)


def _install_statistics() -> None:
    kind = keras.layers.BatchNormalization
    if kind not in _INSTALLED:
        _INSTALLED.add(kind)
        setattr(kind, OF_BATCH, lambda self, inputs, mask: _of_whole(self, _OF_PART(self, inputs, mask), inputs, mask
                                                                     )[:2])
    for each in _below(kind):
        if hasattr(each, "normalized") and "call" in each.__dict__ and each not in _INSTALLED:
            _INSTALLED.add(each)
            each.call = _called(each.call)


def _of_whole(layer: Any, own: Statistics, inputs: Any, mask: Any) -> tuple[Any, ...]:
    whole = getattr(_HANDED, "whole", None)
    if whole is None:
        return own
    values = tf.size(inputs) // tf.shape(inputs)[layer.axis]
    if mask is not None:
        values = tf.reduce_sum(tf.cast(mask, inputs.dtype)) * tf.cast(values // tf.size(mask), inputs.dtype)
    found: tuple[Any, ...] = whole(own, values)
    return found


def _called(own: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(own)
    def call(self: Any, inputs: Any, training: Any = None) -> Any:
        if getattr(_HANDED, "whole", None) is None or not (training and self.trainable):
            return own(self, inputs, training=training)
        wide = tf.cast(inputs, tf.as_dtype(self.gamma.dtype))
        return self.normalized(inputs, *_of_whole(self, _OF_PART(self, wide, None), wide, None))

    return call


def _below(kind: Any) -> list[Any]:
    """Classes that inherit from ``kind``."""
    return [each for below in kind.__subclasses__() for each in [below, *_below(below)]]


def _install_draws() -> None:
    module = keras.src.backend.random
    if module in _INSTALLED:
        return
    _INSTALLED.add(module)
    for name in ("normal", "truncated_normal", "uniform", "randint"):
        setattr(module, name, _numbers(getattr(module, name)))
    module.dropout = _dropped(module.dropout)


def _numbers(own: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(own)
    def numbers(shape: Any, *args: Any, **options: Any) -> Any:
        drawn = getattr(_HANDED, "drawn", None)
        if drawn is None:
            return own(shape, *args, **options)
        return drawn(tuple(shape), lambda shape: own(shape, *args, **options), None)

    return numbers


def _dropped(own: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(own)
    def dropout(inputs: Any, rate: float, noise_shape: Any = None, seed: Any = None) -> Any:
        drawn, module = getattr(_HANDED, "drawn", None), keras.src.backend.random
        if drawn is None or rate in (0.0, 1.0):
            return own(inputs, rate, noise_shape, seed)
        shape = tuple(whole if size is None else size for size, whole in
                      zip(noise_shape or inputs.shape, inputs.shape, strict=True))
        pair = module._cast_seed(module.draw_seed(seed))
        mask = drawn(shape, lambda shape: tf.random.stateless_uniform(shape, pair, dtype=inputs.dtype),
                     pair if inputs.dtype == tf.float32 else None) >= tf.cast(rate, inputs.dtype)
        return tf.where(mask, inputs * tf.cast(1.0 / (1.0 - rate), inputs.dtype), tf.zeros([], inputs.dtype))

    return dropout
