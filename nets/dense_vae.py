"""A variational autoencoder of dense layers."""

import math

import keras
import tensorflow as tf

from nets import _arguments as arguments
from nets._net import Net
from nets._parts import output_dtype


class DenseVAE(Net):
    """Encoder 784-128-(mean, log_var), decoder 20-128-784: the two nets of a VAE, without its noise.

    Kingma and Welling, "Auto-encoding variational Bayes", ICLR 2014, appendix C. The draw of z and the loss
    belong to the strategy. Mean and log_var are one dense layer, split: one matrix product instead of two.

    Args:
      latent_dim: Size D of the latent code.
      hidden: Units of the one hidden layer of each.
      image_shape: (height, width, channels) of an image.
      name: The Keras name.

    Raises:
      ValueError: An argument out of its range, or images or codes of another shape.
    """

    def __init__(
        self,
        latent_dim: int = 20,
        hidden: int = 128,
        image_shape: tuple[int, int, int] = (28, 28, 1),
        *,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        self.latent_dim = arguments.whole("latent_dim", latent_dim)
        self.image_shape = arguments.image_shape("image_shape", image_shape)
        hidden = arguments.whole("hidden", hidden)
        relu = {"activation": "relu", "kernel_initializer": "he_normal"}
        self.flatten = keras.layers.Flatten()
        self.encoder_hidden = keras.layers.Dense(hidden, **relu)
        self.encoder_output = keras.layers.Dense(2 * self.latent_dim, dtype=output_dtype())
        self.decoder_hidden = keras.layers.Dense(hidden, **relu)
        self.decoder_output = keras.layers.Dense(math.prod(self.image_shape), dtype=output_dtype())
        self.unflatten = keras.layers.Reshape(self.image_shape, dtype=output_dtype())

    def encode(self, images: tf.Tensor, training: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
        """images [B, h, w, c] in [0, 1] -> (mean [B, D], log_var [B, D]) of q(z|x); ``training`` is unused."""
        arguments.batch_of("images", images, self.image_shape)
        x = self.encoder_hidden(self.flatten(images))  # [B, hidden]
        mean, log_var = tf.split(self.encoder_output(x), 2, axis=-1)  # [B, 2D] -> [B, D], [B, D]
        return mean, log_var

    def decode(self, z: tf.Tensor, training: bool = False) -> tf.Tensor:
        """z [B, D] -> logits [B, h, w, c]; their sigmoid is an image in [0, 1]. ``training`` is unused."""
        arguments.batch_of("z", z, (self.latent_dim,))
        x = self.decoder_output(self.decoder_hidden(z))  # [B, h*w*c]
        return self.unflatten(x)  # [B, h, w, c]

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """images [B, h, w, c] in [0, 1] -> logits [B, h, w, c], decoded from the mean: no noise."""
        mean, _ = self.encode(images, training=training)
        return self.decode(mean, training=training)
