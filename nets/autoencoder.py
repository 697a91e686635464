"""An autoencoder of dense layers."""

import math
from collections.abc import Sequence

import keras
import tensorflow as tf

from nets import _arguments as arguments
from nets._net import Net
from nets._parts import output_dtype


class DenseAutoencoder(Net):
    """Encoder 784-256-128-20, decoder 20-128-256-784: dense layers with ReLU to a linear code and back.

    Hinton and Salakhutdinov, "Reducing the dimensionality of data with neural networks", Science 313, 2006,
    with ReLU in place of their layer-wise pretraining; the initialisation is He et al., "Delving deep into
    rectifiers", ICCV 2015.

    Args:
      latent_dim: Size D of the code.
      hidden: Units of the encoder's hidden layers; the decoder has them in reverse. () makes it linear.
      image_shape: (height, width, channels) of an image.
      name: The Keras name.

    Raises:
      ValueError: An argument out of its range, or images or codes of another shape.
    """

    def __init__(
        self,
        latent_dim: int = 20,
        hidden: Sequence[int] = (256, 128),
        image_shape: tuple[int, int, int] = (28, 28, 1),
        *,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        self.latent_dim = arguments.whole("latent_dim", latent_dim)
        self.image_shape = arguments.image_shape("image_shape", image_shape)
        units = arguments.wholes("hidden", hidden)
        self.depth = len(units)
        relu = {"activation": "relu", "kernel_initializer": "he_normal"}
        self.flatten = keras.layers.Flatten()
        for i in range(self.depth):  # not a list: see MLP
            setattr(self, f"encoder{i}", keras.layers.Dense(units[i], **relu))
            setattr(self, f"decoder{i}", keras.layers.Dense(units[-1 - i], **relu))
        self.encoder_output = keras.layers.Dense(self.latent_dim, dtype=output_dtype())
        self.decoder_output = keras.layers.Dense(math.prod(self.image_shape), dtype=output_dtype())
        self.unflatten = keras.layers.Reshape(self.image_shape, dtype=output_dtype())

    def encode(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """images [B, h, w, c] in [0, 1] -> code [B, D]; ``training`` is unused."""
        arguments.batch_of("images", images, self.image_shape)
        x = self.flatten(images)  # [B, h*w*c]
        for i in range(self.depth):
            x = getattr(self, f"encoder{i}")(x)  # [B, hidden[i]]
        return self.encoder_output(x)  # [B, D]

    def decode(self, code: tf.Tensor, training: bool = False) -> tf.Tensor:
        """code [B, D] -> logits [B, h, w, c]; their sigmoid is an image in [0, 1]. ``training`` is unused."""
        arguments.batch_of("code", code, (self.latent_dim,))
        x = code
        for i in range(self.depth):
            x = getattr(self, f"decoder{i}")(x)  # [B, hidden[-1 - i]]
        return self.unflatten(self.decoder_output(x))  # [B, h*w*c] -> [B, h, w, c]

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """images [B, h, w, c] in [0, 1] -> logits [B, h, w, c] of the reconstruction."""
        return self.decode(self.encode(images, training=training), training=training)
