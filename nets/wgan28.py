"""Generator and critic of a WGAN-GP on 28x28 grey images, small enough for two CPU cores."""

import keras
import tensorflow as tf

from nets import _arguments as arguments
from nets._convolutions import Conv2D, Conv2DTranspose
from nets._net import Net
from nets._norm import BatchNorm
from nets._parts import critic_normalization, output_dtype

NEGATIVE_SLOPE = 0.2  # of the leaky ReLU below zero, as in DCGAN


class Generator28(Net):
    """Noise -> image: dense, two transposed convolutions that double the side, batch normalisation, tanh.

    Radford, Metz and Chintala, "Unsupervised representation learning with deep convolutional GANs" (DCGAN),
    ICLR 2016, with kernels of 4, a multiple of the stride, against checkerboards. The moving averages have a
    momentum of 0.9, because a generator changes faster than a classifier.

    Args:
      latent_dim: Size of the noise vector.
      width: Channels at 14x14; there are twice as many at 7x7.
      name: The Keras name.

    Raises:
      ValueError: An argument out of its range, or noise of another shape.
    """

    def __init__(self, latent_dim: int = 64, width: int = 32, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.latent_dim = arguments.whole("latent_dim", latent_dim)
        width = arguments.whole("width", width)
        options = {"strides": 2, "padding": "same"}
        self.dense = keras.layers.Dense(7 * 7 * 2 * width, use_bias=False)  # batch normalisation has the bias
        self.unflatten = keras.layers.Reshape((7, 7, 2 * width))
        self.norm1 = BatchNorm(momentum=0.9)
        self.up1 = Conv2DTranspose(width, 4, use_bias=False, **options)
        self.norm2 = BatchNorm(momentum=0.9)
        self.up2 = Conv2DTranspose(1, 4, activation="tanh", dtype=output_dtype(), **options)

    def call(self, z: tf.Tensor, training: bool = False) -> tf.Tensor:
        """z [B, latent_dim], standard normal -> images [B, 28, 28, 1] in [-1, 1]."""
        arguments.batch_of("z", z, (self.latent_dim,))
        x = self.unflatten(self.dense(z))  # [B, 7, 7, 2 * width]
        x = tf.nn.relu(self.norm1(x, training=training))
        x = self.up1(x)  # [B, 14, 14, width]
        x = tf.nn.relu(self.norm2(x, training=training))
        return self.up2(x)  # [B, 28, 28, 1]


class Critic28(Net):
    """Image -> score: two strided convolutions, leaky ReLU, one linear unit without a sigmoid.

    Gulrajani et al., "Improved training of Wasserstein GANs", NeurIPS 2017; section 4 asks for no batch
    normalisation in the critic and recommends layer normalisation in its place. Kernels of 4 look at every
    pixel equally often and cost two thirds of the usual 5.

    Args:
      normalization: Kind after the second convolution: "layer", "none", or "batch" (wrong under a gradient
        penalty).
      width: Channels of the first convolution; the second has twice as many. 16 takes two thirds of the time
        and gives blurrier images.
      name: The Keras name.

    Raises:
      ValueError: An unknown normalization, or images of another shape.
    """

    def __init__(self, normalization: str = "layer", width: int = 32, *, name: str | None = None) -> None:
        super().__init__(name=name)
        width = arguments.whole("width", width)
        options = {"strides": 2, "padding": "same"}
        self.down1 = Conv2D(width, 4, **options)
        self.down2 = Conv2D(2 * width, 4, **options)
        self.norm2 = critic_normalization(normalization)
        self.flatten = keras.layers.Flatten()
        self.score = keras.layers.Dense(1, dtype=output_dtype())

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """images [B, 28, 28, 1] in [-1, 1] -> scores [B], unbounded; higher is more real."""
        arguments.batch_of("images", images, (28, 28, 1))
        x = tf.nn.leaky_relu(self.down1(images), NEGATIVE_SLOPE)  # [B, 14, 14, width]
        x = self.norm2(self.down2(x), training=training)  # [B, 7, 7, 2 * width]
        x = self.flatten(tf.nn.leaky_relu(x, NEGATIVE_SLOPE))  # [B, 98 * width]
        return tf.squeeze(self.score(x), axis=-1)  # [B, 1] -> [B]
