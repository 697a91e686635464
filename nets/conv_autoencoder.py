"""An autoencoder of strided convolutions."""

import math

import keras
import tensorflow as tf

from nets import _arguments as arguments
from nets._convolutions import Conv2D, Conv2DTranspose
from nets._net import Net
from nets._parts import output_dtype


class ConvAutoencoder(Net):
    """Two strided convolutions to a linear code, and a dense layer and two transposed convolutions back.

    Masci, Meier, Cireşan and Schmidhuber, "Stacked convolutional auto-encoders for hierarchical feature
    extraction", ICANN 2011, with strides in place of max pooling and trained in one piece. Kernels of 4 are
    multiples of the stride 2, so no checkerboard is left by the transposed ones (Odena, Dumoulin and Olah,
    "Deconvolution and checkerboard artifacts", Distill 2016).

    Args:
      latent_dim: Size D of the code.
      width: Channels of the first convolution; the second has twice as many.
      image_shape: (height, width, channels) of an image; height and width are multiples of 4.
      name: The Keras name.

    Raises:
      ValueError: An argument out of its range, or images or codes of another shape.
    """

    def __init__(
        self,
        latent_dim: int = 20,
        width: int = 32,
        image_shape: tuple[int, int, int] = (28, 28, 1),
        *,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        self.latent_dim = arguments.whole("latent_dim", latent_dim)
        self.image_shape = arguments.image_shape("image_shape", image_shape, multiple=4)
        filters, channels = arguments.whole("width", width), self.image_shape[2]
        small = (self.image_shape[0] // 4, self.image_shape[1] // 4, 2 * filters)
        options = {"strides": 2, "padding": "same"}
        relu = {"activation": "relu", "kernel_initializer": "he_normal"}
        self.down1 = Conv2D(filters, 4, **options, **relu)
        self.down2 = Conv2D(2 * filters, 4, **options, **relu)
        self.flatten = keras.layers.Flatten()
        self.encoder_output = keras.layers.Dense(self.latent_dim, dtype=output_dtype())
        self.decoder_input = keras.layers.Dense(math.prod(small), **relu)
        self.unflatten = keras.layers.Reshape(small)
        self.up1 = Conv2DTranspose(filters, 4, **options, **relu)
        self.up2 = Conv2DTranspose(channels, 4, dtype=output_dtype(), **options)

    def encode(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """images [B, h, w, c] in [0, 1] -> code [B, D]; ``training`` is unused."""
        arguments.batch_of("images", images, self.image_shape)
        x = self.down1(images)  # [B, h/2, w/2, width]
        x = self.down2(x)  # [B, h/4, w/4, 2 * width]
        return self.encoder_output(self.flatten(x))  # [B, D]

    def decode(self, code: tf.Tensor, training: bool = False) -> tf.Tensor:
        """code [B, D] -> logits [B, h, w, c]; their sigmoid is an image in [0, 1]. ``training`` is unused."""
        arguments.batch_of("code", code, (self.latent_dim,))
        x = self.unflatten(self.decoder_input(code))  # [B, h/4, w/4, 2 * width]
        x = self.up1(x)  # [B, h/2, w/2, width]
        return self.up2(x)  # [B, h, w, c]

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """images [B, h, w, c] in [0, 1] -> logits [B, h, w, c] of the reconstruction."""
        return self.decode(self.encode(images, training=training), training=training)
