"""A variational autoencoder of strided convolutions."""

import math

import keras
import tensorflow as tf

from nets import _arguments as arguments
from nets._convolutions import Conv2D, Conv2DTranspose
from nets._net import Net
from nets._parts import output_dtype


class ConvVAE(Net):
    """Strided convolutions to a latent code and transposed convolutions back, without the noise.

    Kingma and Welling, "Auto-encoding variational Bayes", ICLR 2014, with the convolutions of Radford, Metz
    and Chintala, "Unsupervised representation learning with deep convolutional GANs", ICLR 2016. The draw of
    z and the loss belong to the strategy. Kernels of 4 are multiples of the stride 2, so no checkerboard is
    left by the transposed ones (Odena, Dumoulin and Olah, "Deconvolution and checkerboard artifacts", Distill
    2016).

    Args:
      latent_dim: Size D of the latent code.
      image_shape: (height, width, channels) of an image; height and width are multiples of 4.
      name: The Keras name.

    Raises:
      ValueError: An argument out of its range, or images or codes of another shape.
    """

    def __init__(
        self,
        latent_dim: int = 20,
        image_shape: tuple[int, int, int] = (28, 28, 1),
        *,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        self.latent_dim = arguments.whole("latent_dim", latent_dim)
        self.image_shape = arguments.image_shape("image_shape", image_shape, multiple=4)
        height, width, channels = self.image_shape
        small = (height // 4, width // 4, 64)
        options = {"strides": 2, "padding": "same"}
        relu = {"activation": "relu", "kernel_initializer": "he_normal"}
        self.down1 = Conv2D(32, 4, **options, **relu)
        self.down2 = Conv2D(64, 4, **options, **relu)
        self.flatten = keras.layers.Flatten()
        self.encoder_output = keras.layers.Dense(2 * self.latent_dim, dtype=output_dtype())
        self.decoder_input = keras.layers.Dense(math.prod(small), **relu)
        self.unflatten = keras.layers.Reshape(small)
        self.up1 = Conv2DTranspose(32, 4, **options, **relu)
        self.up2 = Conv2DTranspose(channels, 4, dtype=output_dtype(), **options)

    def encode(self, images: tf.Tensor, training: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
        """images [B, h, w, c] in [0, 1] -> (mean [B, D], log_var [B, D]) of q(z|x); ``training`` is unused."""
        arguments.batch_of("images", images, self.image_shape)
        x = self.down1(images)  # [B, h/2, w/2, 32]
        x = self.down2(x)  # [B, h/4, w/4, 64]
        x = self.flatten(x)  # [B, h*w*4]
        mean, log_var = tf.split(self.encoder_output(x), 2, axis=-1)  # [B, 2D] -> [B, D], [B, D]
        return mean, log_var

    def decode(self, z: tf.Tensor, training: bool = False) -> tf.Tensor:
        """z [B, D] -> logits [B, h, w, c]; their sigmoid is an image in [0, 1]. ``training`` is unused."""
        arguments.batch_of("z", z, (self.latent_dim,))
        x = self.unflatten(self.decoder_input(z))  # [B, h/4, w/4, 64]
        x = self.up1(x)  # [B, h/2, w/2, 32]
        return self.up2(x)  # [B, h, w, c]

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """images [B, h, w, c] in [0, 1] -> logits [B, h, w, c], decoded from the mean: no noise."""
        mean, _ = self.encode(images, training=training)
        return self.decode(mean, training=training)
