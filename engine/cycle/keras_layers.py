"""How layers of Keras take statistics of a batch and draw for it, replaced while they are traced.

By private APIs, as those of keras_internals.py, and as seen in Keras 3.15.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf


@contextmanager
def moments_by(whole: Callable[..., Any]) -> Iterator[None]:
    """Inside, batch normalisations take ``whole((mean, variance), number of values)`` of what they take of a batch."""
    layer = keras.layers.BatchNormalization
    own = layer._moments

    def moments(self: Any, inputs: Any, mask: Any) -> Any:
        values = tf.size(inputs) // tf.shape(inputs)[self.axis]
        if mask is not None:
            values = tf.reduce_sum(tf.cast(mask, inputs.dtype)) * tf.cast(
                values // tf.size(mask), inputs.dtype)
        return whole(own(self, inputs, mask), values)

    layer._moments = moments
    try:
        yield
    finally:
        layer._moments = own


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
