"""What is handed to a net from outside of a run: data as they are stored, or latents."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from engine.data.source import Transform, unchanged
from engine.noise import Noise


@dataclass(frozen=True)
class Entry:
    """What is handed to a net: key, dtype and shape of an example as it is stored, and the transform."""

    key: str
    dtype: str
    shape: tuple[int | None, ...]
    transform: Transform


def entry_of(net: keras.Model, form: Mapping[str, Any], transform: Transform | None) -> Entry | None:
    """Of a net: the key of the data that it reads, by its shape; else latents, handed on as they are.

    Args:
      form: {key: [dtype, *shape]} of the data, as they are stored.
      transform: What evaluation does to them; None if nobody knows.

    Returns:
      None if it reads the data and the transform is not known.
    """
    shape = (net.get_build_config() or {}).get("input_shape")
    wanted = tuple(shape[1:]) if isinstance(shape, list | tuple) else None
    stored = {key: tuple(sides) for key, (_, *sides) in form.items()}
    if transform is None:
        read = stored
    else:
        zeros = {key: tf.zeros([1, *(side or 1 for side in sides)], form[key][0]) for key, sides in stored.items()}
        read = {key: tuple(value.shape[1:]) for key, value in transform(zeros, Noise(examples=1)).items()}
    key = next((key for key in read if key in form and wanted in (None, read[key])), None)
    if key is None:
        return Entry("input", "float32", wanted or (), unchanged)
    return transform and Entry(key, form[key][0], stored[key], transform)


class Served(keras.Model):
    """The transform, and the net in evaluation, as one model of data as they are stored."""

    def __init__(self, net: keras.Model, entry: Entry) -> None:
        super().__init__()
        self.net, self.entry = net, entry

    @classmethod
    def of(cls, net: keras.Model, entry: Entry) -> "Served":
        """Built."""
        made = cls(net, entry)
        made(np.zeros([1, *(side or 1 for side in entry.shape)], entry.dtype))
        return made

    def call(self, data: tf.Tensor) -> tf.Tensor:
        """data [B, ...] -> outputs [B, ...]."""
        stored = tf.cast(data, self.entry.dtype)  # Keras traces one function of float32, whatever is read
        batch = self.entry.transform({self.entry.key: stored}, Noise())
        return self.net(batch[self.entry.key], training=False)
