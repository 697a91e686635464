"""How layers of Keras take statistics of a batch and draw for it, replaced while they are traced.

By private APIs, as those of keras_internals.py, and as seen in Keras 3.15.
"""

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
    kind = keras.layers.BatchNormalization
    of_part = getattr(kind, OF_BATCH)

    def of_whole(self: Any, inputs: Any, mask: Any = None) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        values = tf.size(inputs) // tf.shape(inputs)[self.axis]
        if mask is not None:
            values = tf.reduce_sum(tf.cast(mask, inputs.dtype)) * tf.cast(values // tf.size(mask), inputs.dtype)
        return whole(of_part(self, inputs, mask), values)

    def called(own: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Any, inputs: Any, training: Any = None) -> Any:
            if not (training and self.trainable):
                return own(self, inputs, training=training)
            wide = tf.cast(inputs, tf.as_dtype(self.gamma.dtype))
            return self.normalized(inputs, *of_whole(self, wide))

        return call

    others = [(each, each.__dict__["call"]) for each in _below(kind) if hasattr(each, "normalized")
              and "call" in each.__dict__]
    setattr(kind, OF_BATCH, lambda self, inputs, mask: of_whole(self, inputs, mask)[:2])
    for each, own in others:
        each.call = called(own)
    try:
        yield
    finally:
        setattr(kind, OF_BATCH, of_part)
        for each, own in others:
            each.call = own


def _below(kind: Any) -> list[Any]:
    """Classes that inherit from ``kind``."""
    return [each for below in kind.__subclasses__() for each in [below, *_below(below)]]


@contextmanager
def draws_by(drawn: Callable[..., tf.Tensor]) -> Iterator[None]:
    """Inside, layers draw by ``drawn(shape, draw, seed)``, where ``draw(shape)`` is what they would have done.

    ``seed`` is the pair of a ``tf.random.stateless_uniform``; None of another draw. The layers of Keras draw by these
    functions of its backend.
    """
    module = keras.src.backend.random
    names = ("normal", "truncated_normal", "uniform", "randint", "dropout")
    own = {name: getattr(module, name) for name in names}

    def numbers(name: str) -> Callable[..., Any]:
        def function(shape: Any, *args: Any, **options: Any) -> Any:
            return drawn(tuple(shape), lambda shape: own[name](shape, *args, **options), None)

        return function

    def dropout(inputs: Any, rate: float, noise_shape: Any = None, seed: Any = None) -> Any:
        if rate in (0.0, 1.0):
            return own["dropout"](inputs, rate, noise_shape, seed)
        shape = tuple(whole if size is None else size for size, whole in
                      zip(noise_shape or inputs.shape, inputs.shape, strict=True))
        pair = module._cast_seed(module.draw_seed(seed))
        mask = drawn(shape, lambda shape: tf.random.stateless_uniform(shape, pair, dtype=inputs.dtype),
                     pair if inputs.dtype == tf.float32 else None) >= tf.cast(rate, inputs.dtype)
        return tf.where(mask, inputs * tf.cast(1.0 / (1.0 - rate), inputs.dtype), tf.zeros([], inputs.dtype))

    for name in names:
        setattr(module, name, dropout if name == "dropout" else numbers(name))
    try:
        yield
    finally:
        for name in names:
            setattr(module, name, own[name])
