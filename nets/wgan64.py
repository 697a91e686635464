"""Generator and critic of a WGAN-GP on 64x64 colour images."""

import keras
import tensorflow as tf

from nets import _arguments as arguments
from nets._convolutions import Conv2D, Conv2DTranspose
from nets._net import Net
from nets._norm import BatchNorm
from nets._parts import critic_normalization, output_dtype

NEGATIVE_SLOPE = 0.2  # of the leaky ReLU below zero, as in DCGAN


class Generator64(Net):
    """Noise -> image: dense, three unpadded transposed convolutions 3 -> 9 -> 21 -> 64, tanh.

    The generator of the study notes (less two biases that batch normalisation makes void), after Radford,
    Metz and Chintala, "Unsupervised representation learning with deep convolutional GANs" (DCGAN), ICLR 2016.

    Args:
      latent_dim: Size of the noise vector.
      name: The Keras name.

    Raises:
      ValueError: An argument out of its range, or noise of another shape.
    """

    def __init__(self, latent_dim: int = 100, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.latent_dim = arguments.whole("latent_dim", latent_dim)
        self.dense = keras.layers.Dense(3 * 3 * 512)
        self.unflatten = keras.layers.Reshape((3, 3, 512))
        # batch normalisation has the bias of the two convolutions before it
        self.up1 = Conv2DTranspose(256, 3, strides=3, padding="valid", use_bias=False)
        self.norm1 = BatchNorm()
        self.up2 = Conv2DTranspose(128, 5, strides=2, padding="valid", use_bias=False)
        self.norm2 = BatchNorm()
        self.up3 = Conv2DTranspose(
            3, 4, strides=3, padding="valid", activation="tanh", dtype=output_dtype()
        )

    def call(self, z: tf.Tensor, training: bool = False) -> tf.Tensor:
        """z [B, latent_dim], standard normal -> images [B, 64, 64, 3] in [-1, 1]."""
        arguments.batch_of("z", z, (self.latent_dim,))
        x = tf.nn.leaky_relu(self.unflatten(self.dense(z)), NEGATIVE_SLOPE)  # [B, 3, 3, 512]
        x = self.norm1(self.up1(x), training=training)  # [B, 9, 9, 256]
        x = self.norm2(self.up2(tf.nn.leaky_relu(x, NEGATIVE_SLOPE)), training=training)  # [B, 21, 21, 128]
        return self.up3(tf.nn.leaky_relu(x, NEGATIVE_SLOPE))  # [B, 64, 64, 3]


class Critic64(Net):
    """Image -> score: three unpadded strided convolutions 64 -> 20 -> 6 -> 1, leaky ReLU, one linear unit.

    The critic of the study notes, with layer normalisation as Gulrajani et al., "Improved training of
    Wasserstein GANs", NeurIPS 2017, section 4, ask for under a gradient penalty.

    Args:
      normalization: Kind after the second and third convolution: "layer", "none", or "batch" (wrong under a
        gradient penalty).
      name: The Keras name.

    Raises:
      ValueError: An unknown normalization, or images of another shape.
    """

    def __init__(self, normalization: str = "layer", *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.down1 = Conv2D(64, 5, strides=3, padding="valid")
        self.down2 = Conv2D(128, 5, strides=3, padding="valid")
        self.norm2 = critic_normalization(normalization)
        self.down3 = Conv2D(256, 5, strides=3, padding="valid")
        self.norm3 = critic_normalization(normalization)
        self.flatten = keras.layers.Flatten()
        self.score = keras.layers.Dense(1, dtype=output_dtype())

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """images [B, 64, 64, 3] in [-1, 1] -> scores [B], unbounded; higher is more real."""
        arguments.batch_of("images", images, (64, 64, 3))
        x = tf.nn.leaky_relu(self.down1(images), NEGATIVE_SLOPE)  # [B, 20, 20, 64]
        x = tf.nn.leaky_relu(self.norm2(self.down2(x), training=training), NEGATIVE_SLOPE)  # [B, 6, 6, 128]
        x = tf.nn.leaky_relu(self.norm3(self.down3(x), training=training), NEGATIVE_SLOPE)  # [B, 1, 1, 256]
        x = self.flatten(x)  # [B, 256]
        return tf.squeeze(self.score(x), axis=-1)  # [B, 1] -> [B]
