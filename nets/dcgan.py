"""Generator and discriminator of a DCGAN on images of 28, 32 or 64 pixels.

Radford, Metz and Chintala, "Unsupervised representation learning with deep convolutional GANs", ICLR 2016,
section 3: strides in place of pooling, batch normalisation everywhere but at the generator's output and the
discriminator's input, ReLU and tanh in the generator, leaky ReLU in the discriminator, weights from N(0, 0.02).
Kernels of 4 in place of 5 are multiples of the stride, against checkerboards.
"""

import keras
import tensorflow as tf

from nets import _arguments as arguments
from nets._convolutions import Conv2D, Conv2DTranspose
from nets._net import Net
from nets._norm import BatchNorm
from nets._parts import output_dtype

NEGATIVE_SLOPE = 0.2  # of the leaky ReLU below zero
STEPS = {28: 2, 32: 3, 64: 4}  # side -> convolutions of stride 2, between it and 7x7 or 4x4


def _steps(side: int) -> int:
    arguments.choice("side", str(side), map(str, STEPS))
    return STEPS[int(side)]


def _weights() -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(stddev=0.02)


def _norm() -> BatchNorm:
    """Its scales start at N(1, 0.02), as in the authors' code; a generator changes faster than a classifier: 0.9."""
    gamma = keras.initializers.RandomNormal(mean=1.0, stddev=0.02)
    return BatchNorm(momentum=0.9, epsilon=1e-5, gamma_initializer=gamma)


class DCGANGenerator(Net):
    """Noise -> image: a dense layer to 7x7 or 4x4, transposed convolutions that double the side, tanh (figure 1).

    Args:
      latent_dim: Size of the noise vector.
      side: Height and width of an image: 28, 32 or 64 pixels.
      channels: 1 for grey, 3 for colour.
      width: Channels W at half the side, doubled by each step towards the noise; 128 in the paper.
      name: The Keras name.

    Raises:
      ValueError: An argument out of its range, or noise of another shape.
    """

    def __init__(
        self,
        latent_dim: int = 100,
        side: int = 28,
        channels: int = 1,
        width: int = 64,
        *,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        self.latent_dim, self.steps = arguments.whole("latent_dim", latent_dim), _steps(side)
        channels, width = arguments.whole("channels", channels), arguments.whole("width", width)
        small, deep = side // 2**self.steps, width * 2 ** (self.steps - 1)
        options = {"strides": 2, "padding": "same"}
        self.dense = keras.layers.Dense(small * small * deep, use_bias=False, kernel_initializer=_weights())
        self.unflatten = keras.layers.Reshape((small, small, deep))
        self.norm0 = _norm()
        for i in range(1, self.steps):  # not a list: see MLP
            up = Conv2DTranspose(
                deep // 2**i, 4, use_bias=False, kernel_initializer=_weights(), **options
            )
            setattr(self, f"up{i}", up)
            setattr(self, f"norm{i}", _norm())
        self.image = Conv2DTranspose(
            channels, 4, activation="tanh", kernel_initializer=_weights(), dtype=output_dtype(), **options
        )

    def call(self, z: tf.Tensor, training: bool = False) -> tf.Tensor:
        """z [B, latent_dim], standard normal -> images [B, side, side, channels] in [-1, 1]."""
        arguments.batch_of("z", z, (self.latent_dim,))
        x = self.unflatten(self.dense(z))  # [B, 7, 7, 2W] for 28 pixels, [B, 4, 4, 4W] for 32, [B, 4, 4, 8W] for 64
        x = tf.nn.relu(self.norm0(x, training=training))
        for i in range(1, self.steps):
            x = getattr(self, f"up{i}")(x)  # twice the side, half the channels; at last [B, side/2, side/2, W]
            x = tf.nn.relu(getattr(self, f"norm{i}")(x, training=training))
        return self.image(x)  # [B, side, side, channels]


class DCGANDiscriminator(Net):
    """Image -> logit of being real: strided convolutions that halve the side to 7x7 or 4x4, one linear unit.

    Batch normalisation makes it a function of the whole batch: give it real and generated images in batches of
    their own, and take ``Critic28`` or ``Critic64`` under a gradient penalty.

    Args:
      side: Height and width of an image: 28, 32 or 64 pixels.
      channels: 1 for grey, 3 for colour.
      width: Channels W of the first convolution, doubled by each further one.
      name: The Keras name.

    Raises:
      ValueError: An argument out of its range, or images of another shape.
    """

    def __init__(self, side: int = 28, channels: int = 1, width: int = 64, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.steps, width = _steps(side), arguments.whole("width", width)
        self.image_shape = (int(side), int(side), arguments.whole("channels", channels))
        options = {"strides": 2, "padding": "same"}
        self.down0 = Conv2D(width, 4, kernel_initializer=_weights(), **options)
        for i in range(1, self.steps):  # not a list: see MLP
            down = Conv2D(width * 2**i, 4, use_bias=False, kernel_initializer=_weights(), **options)
            setattr(self, f"down{i}", down)
            setattr(self, f"norm{i}", _norm())
        self.flatten = keras.layers.Flatten()
        self.logit = keras.layers.Dense(1, kernel_initializer=_weights(), dtype=output_dtype())

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """images [B, side, side, channels] in [-1, 1] -> logits [B]; above 0 means real."""
        arguments.batch_of("images", images, self.image_shape)
        x = tf.nn.leaky_relu(self.down0(images), NEGATIVE_SLOPE)  # [B, side/2, side/2, W]
        for i in range(1, self.steps):
            x = getattr(self, f"down{i}")(x)  # half the side, twice the channels
            x = tf.nn.leaky_relu(getattr(self, f"norm{i}")(x, training=training), NEGATIVE_SLOPE)
        x = self.flatten(x)  # [B, 98W] from 28 pixels, [B, 64W] from 32, [B, 128W] from 64
        return tf.squeeze(self.logit(x), axis=-1)  # [B, 1] -> [B]
