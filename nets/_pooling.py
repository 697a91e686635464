"""Max pooling that XLA can differentiate with the same bits in each run."""

import functools

import keras
import tensorflow as tf


class MaxPool(keras.layers.MaxPooling2D):
    """Keras's layer. On a GPU it is the largest of strided slices.

    XLA has no deterministic gradient of TensorFlow's operation there. Among equal numbers the first of a window gets
    the gradient, in both.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """inputs [B, h, w, c] -> [B, h', w', c]."""
        x = tf.convert_to_tensor(inputs)
        if not tf.config.list_physical_devices("GPU") or None in x.shape[1:3]:
            return super().call(inputs)
        return largest_of_slices(x, self.pool_size, self.strides, self.padding)


def largest_of_slices(x: tf.Tensor, size: tuple[int, int], strides: tuple[int, int], padding: str) -> tf.Tensor:
    """x [B, h, w, c] -> the largest of each window, as ``tf.nn.max_pool2d``; ``padding`` "valid" or "same"."""
    pads, counts = [], []
    for side, window, stride in zip(x.shape[1:3], size, strides, strict=True):
        count = -(-side // stride) if padding == "same" else (side - window) // stride + 1
        total = max((count - 1) * stride + window - side, 0) if padding == "same" else 0
        pads.append([total // 2, total - total // 2])
        counts.append(count)
    if any(map(any, pads)):
        x = tf.pad(x, [[0, 0], *pads, [0, 0]], constant_values=x.dtype.min)
    (rows, columns), (down, across) = counts, strides
    return functools.reduce(tf.maximum, [
        x[:, i:i + (rows - 1) * down + 1:down, j:j + (columns - 1) * across + 1:across]
        for i in range(size[0]) for j in range(size[1])])
