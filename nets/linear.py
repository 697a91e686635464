"""Linear regression: the smallest net of all."""

import keras
import tensorflow as tf

from nets import _arguments as arguments
from nets._net import Net
from nets._parts import output_dtype


class LinearRegression(Net):
    """y = X w + b, with any number of features.

    The weights start from N(0, 0.01) (mean, standard deviation) and b from 0, so that the first predictions are
    near 0 and the gradient says where to go. Zhang, Lipton, Li and Smola, "Dive into deep learning", chapter
    "Linear neural networks for regression".

    Args:
      outputs: Numbers predicted per example.
      l2: Factor a of the penalty ``a/2 |w|^2``, without b, among the net's losses: ridge regression.
      name: The Keras name.

    Raises:
      ValueError: An argument out of its range, or features that are not [B, n].
    """

    def __init__(self, outputs: int = 1, l2: float = 0.0, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.outputs_per_example = arguments.whole("outputs", outputs)
        start = keras.initializers.RandomNormal(stddev=0.01)
        self.linear = keras.layers.Dense(
            self.outputs_per_example, kernel_initializer=start, dtype=output_dtype(),
            kernel_regularizer=keras.regularizers.L2(arguments.not_negative("l2", l2) / 2) if l2 else None
        )

    def call(self, features: tf.Tensor, training: bool = False) -> tf.Tensor:
        """features [B, n] -> predictions [B], or [B, outputs] for several outputs. ``training`` is unused."""
        arguments.batch_of("features", features, (None,))
        y = self.linear(features)  # [B, outputs]
        return tf.squeeze(y, axis=-1) if self.outputs_per_example == 1 else y  # [B, 1] -> [B]
