"""A net whose path depends on the data: Python's ``while`` and ``if`` on tensors."""

import keras
import tensorflow as tf

from nets import _arguments as arguments
from nets._net import Net
from nets._parts import output_dtype

HALVINGS = 32  # at most: XLA needs a bound for a gradient, and an infinite norm an end


class Branching(Net):
    """A multilayer perceptron with a loop, a branch, weights that stay as drawn, and one layer used twice.

    After "FixedHiddenMLP" in Zhang, Lipton, Li and Smola, "Dive into deep learning", chapter "Builders' guide",
    made a classifier, and per example: there the norm of the whole batch decides, so that an example's output
    depends on its neighbours; here an example is halved while its own norm is above 1, and then multiplied by 10
    if that is below 0.8. The constant weights R are drawn like He's, not from U(0, 1): positive ones make every
    unit the same.

    Keras does not show a ``call`` to AutoGraph, so this one asks for it by ``tf.autograph.to_graph``; without it
    TensorFlow refuses a ``while`` on a tensor, in every plan. With it every plan carries this net.

    Args:
      units: Units of each hidden layer.
      classes: Number of classes, which is the number of logits.
      dropout: Fraction of the hidden outputs that is dropped in training before the last layer, in [0, 1).
      seed: Seed of the constant weights, which are the same in every net of this size.
      name: The Keras name.

    Raises:
      ValueError: An argument out of its range.
    """

    def __init__(
        self,
        units: int = 64,
        classes: int = 10,
        dropout: float = 0.0,
        seed: int = 0,
        *,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        units, seed = arguments.whole("units", units), arguments.whole("seed", seed, least=0)
        classes, dropout = arguments.whole("classes", classes), arguments.rate("dropout", dropout)
        relu = {"activation": "relu", "kernel_initializer": "he_normal"}
        drawn = {"kernel_initializer": keras.initializers.HeNormal(seed), "bias_initializer": "ones"}
        self.flatten = keras.layers.Flatten()
        self.dense = keras.layers.Dense(units, **relu)
        self.shared = keras.layers.Dense(units, **relu)
        self.constant = keras.layers.Dense(units, activation="relu", trainable=False, **drawn)
        self.drop = keras.layers.Dropout(dropout)
        self.logits = keras.layers.Dense(classes, dtype=output_dtype())

    @tf.autograph.to_graph
    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """images [B, h, w, c] in [0, 1] (or [B, features]) -> logits [B, classes]."""
        x = self.shared(self.dense(self.flatten(images)))  # [B, units]
        x = self.shared(self.constant(x))  # relu(x R + 1), and the same weights again
        while tf.reduce_any(_norm(x) > 1):
            tf.autograph.experimental.set_loop_options(maximum_iterations=HALVINGS)
            x = tf.where(_norm(x) > 1, x / 2, x)
        if tf.reduce_any(_norm(x) < 0.8):
            x = tf.where(_norm(x) < 0.8, x * 10, x)
        return self.logits(self.drop(x, training=training))  # [B, classes]


def _norm(x: tf.Tensor) -> tf.Tensor:
    """x [B, units] -> the length of each row [B, 1]."""
    return tf.norm(x, axis=-1, keepdims=True)
