"""VGG: blocks of 3x3 convolutions, from one table."""

from collections.abc import Sequence
from typing import NamedTuple

import keras
import tensorflow as tf

from nets import _arguments as arguments
from nets._convolutions import Conv2D
from nets._net import Net
from nets._norm import BatchNorm
from nets._parts import output_dtype
from nets._pooling import MaxPool

# depth -> convolutions per block; configurations A, B, D and E of table 1
BLOCKS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
MULTIPLES = (1, 2, 4, 8, 8)  # channels of each block, in units of `width`
HEADS = ("imagenet", "small")


class _Weights(NamedTuple):
    """How every layer with weights is made: with or without normalisation and a penalty on its kernel."""

    batch_norm: bool
    regularizer: keras.regularizers.Regularizer | None

    def block(self, count: int, channels: int, dropout: float) -> list[keras.layers.Layer]:
        """``count`` convolutions, with dropout between them, and the pool."""
        layers: list[keras.layers.Layer] = []
        for i in range(count):
            layers += [keras.layers.Dropout(dropout)] * (i > 0)
            layers += self._relu(Conv2D, channels, kernel_size=3, padding="same")
        return [*layers, MaxPool(2, padding="same")]

    def dense(self, units: int, dropout: float) -> list[keras.layers.Layer]:
        """A dense layer with dropout."""
        return [*self._relu(keras.layers.Dense, units), keras.layers.Dropout(dropout)]

    def _relu(self, kind: type[keras.layers.Layer], size: int, **options: object) -> list[keras.layers.Layer]:
        kernel = {"kernel_initializer": "he_normal", "kernel_regularizer": self.regularizer}
        layer = kind(size, use_bias=not self.batch_norm, **kernel, **options)
        return [layer, *[BatchNorm()] * self.batch_norm, keras.layers.ReLU()]


class VGG(Net):
    """Five blocks of 3x3 convolutions and max pooling, dense layers, logits; make one of its subclasses.

    Simonyan and Zisserman, "Very deep convolutional networks for large-scale image recognition", ICLR 2015,
    table 1. With head="imagenet", 224x224x3 images and 1000 classes VGG-16 has 138,357,544 parameters (table 2:
    138 million). The form for CIFAR is that of Liu and Deng, "Very deep convolutional neural network based image
    classification using small training sample size", ACPR 2015: ``batch_norm=True, l2=5e-4`` and
    ``conv_dropout=(0.3, 0.4, 0.4, 0.4, 0.4)``.

    Any image size will do: a side that is odd is rounded up when it is halved.

    Args:
      classes: Number of classes, which is the number of logits.
      dropout: Fraction of each dense layer's outputs that is dropped in training, in [0, 1).
      batch_norm: Batch normalisation before each ReLU, in the place of the bias.
      conv_dropout: A fraction for each block that is dropped between its convolutions; () drops none.
      l2: Weight of the sum of squares of all kernels in the loss (``net.losses``).
      head: "imagenet" (two dense layers of 64 * width units) or "small" (one of 8 * width).
      width: Channels of the first block; 64 in the paper.
      name: The Keras name.

    Raises:
      ValueError: An argument out of its range, or images that are not [B, h, w, c].
    """

    DEPTH = 16  # layers with weights, under the imagenet head; the small one has one less

    def __init__(
        self,
        classes: int = 10,
        dropout: float = 0.5,
        batch_norm: bool = False,
        conv_dropout: Sequence[float] = (),
        l2: float = 0.0,
        head: str = "small",
        width: int = 64,
        *,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        classes, width = arguments.whole("classes", classes), arguments.whole("width", width)
        dropout, l2 = arguments.rate("dropout", dropout), arguments.not_negative("l2", l2)
        fractions = arguments.rates("conv_dropout", conv_dropout or (0.0,) * 5, 5)
        units = (64 * width,) * 2 if arguments.choice("head", head, HEADS) == "imagenet" else (8 * width,)
        self.flatten = keras.layers.Flatten()
        weights = _Weights(batch_norm, keras.regularizers.L2(l2) if l2 else None)
        for i, (count, multiple, fraction) in enumerate(zip(BLOCKS[self.DEPTH], MULTIPLES, fractions, strict=True)):
            setattr(self, f"block{i + 1}", keras.Sequential(weights.block(count, multiple * width, fraction)))
        self.head = keras.Sequential([layer for size in units for layer in weights.dense(size, dropout)])
        self.logits = keras.layers.Dense(classes, kernel_regularizer=weights.regularizer, dtype=output_dtype())

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """images [B, h, w, c] in [0, 1] -> logits [B, classes]."""
        arguments.images("images", images)
        x = self.block1(images, training=training)  # [B, h/2, w/2, width]
        x = self.block2(x, training=training)  # [B, h/4, w/4, 2 * width]
        x = self.block3(x, training=training)  # [B, h/8, w/8, 4 * width]
        x = self.block4(x, training=training)  # [B, h/16, w/16, 8 * width]
        x = self.block5(x, training=training)  # [B, h/32, w/32, 8 * width]
        x = self.head(self.flatten(x), training=training)  # [B, 64 * width], or [B, 8 * width]
        return self.logits(x)  # [B, classes]


class VGG11(VGG):
    """8 convolutions (configuration A); 132,863,336 parameters with the imagenet head and 1000 classes."""

    DEPTH = 11


class VGG13(VGG):
    """10 convolutions (configuration B); 133,047,848 parameters with the imagenet head and 1000 classes."""

    DEPTH = 13


class VGG16(VGG):
    """13 convolutions (configuration D); 138,357,544 parameters with the imagenet head and 1000 classes."""

    DEPTH = 16


class VGG19(VGG):
    """16 convolutions (configuration E); 143,667,240 parameters with the imagenet head and 1000 classes."""

    DEPTH = 19
