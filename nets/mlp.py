"""A multilayer perceptron: the smallest net that learns Fashion-MNIST."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from nets import _arguments as arguments
from nets._net import Net
from nets._parts import output_dtype


class MLP(Net):
    """Dense layers with ReLU, then logits: 784-256-10 by default on 28x28 images.

    Rumelhart, Hinton and Williams, "Learning representations by back-propagating errors", Nature 323, 1986;
    the initialisation for ReLU is He et al., "Delving deep into rectifiers", ICCV 2015.

    Args:
      hidden: Units of each hidden layer; () makes it a linear classifier.
      classes: Number of classes, which is the number of logits.
      dropout: Fraction of each hidden layer's outputs that is dropped in training, in [0, 1).
      name: The Keras name.

    Raises:
      ValueError: An argument out of its range.
    """

    def __init__(
        self,
        hidden: Sequence[int] = (256,),
        classes: int = 10,
        dropout: float = 0.0,
        *,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        units = arguments.wholes("hidden", hidden)
        classes, dropout = arguments.whole("classes", classes), arguments.rate("dropout", dropout)
        self.flatten = keras.layers.Flatten()
        self.depth = len(units)
        relu = {"activation": "relu", "kernel_initializer": "he_normal"}
        for i, size in enumerate(units):  # not a list: `tf.train.Checkpoint` leaves out its layers, silently
            setattr(self, f"dense{i}", keras.layers.Dense(size, **relu))
            setattr(self, f"drop{i}", keras.layers.Dropout(dropout))
        self.logits = keras.layers.Dense(classes, dtype=output_dtype())

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """images [B, h, w, c] in [0, 1] (or [B, features]) -> logits [B, classes]."""
        x = self.flatten(images)  # [B, h*w*c]
        for i in range(self.depth):
            x = getattr(self, f"dense{i}")(x)  # [B, hidden[i]]
            x = getattr(self, f"drop{i}")(x, training=training)
        return self.logits(x)  # [B, classes]
