"""Ten equal blocks with shortcuts, and the same blocks without: what a shortcut is good for."""

import keras
import tensorflow as tf

from nets import _arguments as arguments
from nets._blocks import conv, norm
from nets._convolutions import Conv2D
from nets._net import Net
from nets._parts import output_dtype
from nets._pooling import MaxPool


class StackBlock(keras.layers.Layer):
    """Convolution, normalisation, ReLU, convolution, normalisation; x is added, or not; ReLU."""

    def __init__(self, filters: int, shortcut: bool) -> None:
        super().__init__()
        self.shortcut = shortcut
        self.conv1, self.norm1 = conv(filters, 3), norm()
        self.conv2, self.norm2 = conv(filters, 3), norm()

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """x [B, h, w, filters] -> the same shape."""
        y = tf.nn.relu(self.norm1(self.conv1(x), training=training))
        y = self.norm2(self.conv2(y), training=training)
        return tf.nn.relu(x + y if self.shortcut else y)


class ResidualStack(Net):
    """Two unpadded convolutions and a pool, ten blocks of one shape, a convolution, a dense layer, logits.

    The net of the study notes, for images of about 28 pixels. Its blocks are those of He, Zhang, Ren and Sun,
    "Deep residual learning for image recognition", CVPR 2016, figure 2, in the order of section 3.4: the notes
    rectify before they normalise; the paper, and this net, after.

    Args:
      classes: Number of classes, which is the number of logits.
      blocks: Number of blocks, of two convolutions each.
      filters: Channels F of the blocks; the first convolution has half as many.
      dropout: Fraction of the dense layer's outputs that is dropped in training, in [0, 1).
      shortcut: Whether the blocks add their input. The parameters are the same with and without.
      name: The Keras name.

    Raises:
      ValueError: An argument out of its range, or images that are not [B, h, w, c].
    """

    def __init__(
        self,
        classes: int = 10,
        blocks: int = 10,
        filters: int = 64,
        dropout: float = 0.5,
        *,
        shortcut: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        self.blocks, filters = arguments.whole("blocks", blocks), arguments.whole("filters", filters, least=2)
        classes, dropout = arguments.whole("classes", classes), arguments.rate("dropout", dropout)
        relu = {"activation": "relu", "kernel_initializer": "he_normal"}
        self.conv1 = Conv2D(filters // 2, 3, **relu)
        self.conv2 = Conv2D(filters, 3, **relu)
        self.pool = MaxPool(3)
        for i in range(self.blocks):
            setattr(self, f"block{i}", StackBlock(filters, shortcut))  # not a list: see MLP
        self.conv3 = Conv2D(filters, 3, padding="same", **relu)
        self.dense = keras.layers.Dense(256, **relu)
        self.drop = keras.layers.Dropout(dropout)
        self.logits = keras.layers.Dense(classes, dtype=output_dtype())

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """images [B, h, w, c] in [0, 1] -> logits [B, classes]; the sides below are those of 28x28."""
        arguments.batch_of("images", images, (None, None, None))
        x = self.conv2(self.conv1(images))  # [B, 24, 24, F]
        x = self.pool(x)  # [B, 8, 8, F]
        for i in range(self.blocks):
            x = getattr(self, f"block{i}")(x, training=training)
        x = tf.reduce_mean(self.conv3(x), axis=[1, 2])  # [B, F]
        x = self.drop(self.dense(x), training=training)  # [B, 256]
        return self.logits(x)  # [B, classes]


class PlainStack(ResidualStack):
    """``ResidualStack`` without its shortcuts: equally deep, and harder to train (section 4.1, figure 4)."""

    def __init__(
        self,
        classes: int = 10,
        blocks: int = 10,
        filters: int = 64,
        dropout: float = 0.5,
        *,
        shortcut: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(classes, blocks, filters, dropout, shortcut=shortcut, name=name)
