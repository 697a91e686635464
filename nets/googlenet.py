"""GoogLeNet: Inception blocks of four parallel paths."""

import keras
import tensorflow as tf

from nets import _arguments as arguments
from nets._blocks import STEMS
from nets._convolutions import Conv2D
from nets._net import Net
from nets._parts import output_dtype, scaled
from nets._pooling import MaxPool

# table 1: channels of 1x1 | 3x3 reduce, 3x3 | 5x5 reduce, 5x5 | pool proj
BLOCKS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
CHANNELS = 64  # of the first convolution in the paper


def _convolution(channels: int, kernel: int, strides: int = 1) -> Conv2D:
    return Conv2D(
        channels, kernel, strides=strides, padding="same", activation="relu", kernel_initializer="he_normal"
    )


def _pool(strides: int = 2) -> MaxPool:
    return MaxPool(3, strides=strides, padding="same")


class Inception(keras.layers.Layer):
    """Four paths side by side: 1x1; 1x1 and 3x3; 1x1 and 5x5; max pooling and 1x1 (figure 2b)."""

    def __init__(self, one: int, reduce3: int, three: int, reduce5: int, five: int, project: int) -> None:
        super().__init__()
        self.one = _convolution(one, 1)
        self.reduce3, self.three = _convolution(reduce3, 1), _convolution(three, 3)
        self.reduce5, self.five = _convolution(reduce5, 1), _convolution(five, 5)
        self.pool, self.project = _pool(strides=1), _convolution(project, 1)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """[B, h, w, c] -> [B, h, w, one + three + five + project]."""
        paths = [self.one(x), self.three(self.reduce3(x)), self.five(self.reduce5(x)), self.project(self.pool(x))]
        return tf.concat(paths, axis=-1)


class GoogLeNet(Net):
    """A stem, nine Inception blocks in three stages, global average pooling, logits.

    Szegedy et al., "Going deeper with convolutions", CVPR 2015, table 1 (6,998,552 parameters at 1000 classes),
    without the two auxiliary classifiers and local response normalisation, and with He's initialisation.

    Any image size will do: a side that is odd is rounded up when it is halved.

    Args:
      classes: Number of classes, which is the number of logits.
      dropout: Fraction of the averaged features that is dropped in training, in [0, 1).
      stem: "imagenet", for images of 224 or 96 pixels: 7x7 with stride 2 and two poolings. "cifar", for 28 or 32:
        3x3 with stride 1 and one pooling.
      width: Channels of the first convolution; the others keep their ratio to it.
      name: The Keras name.

    Raises:
      ValueError: An argument out of its range, or images that are not [B, h, w, c].
    """

    def __init__(
        self,
        classes: int = 10,
        dropout: float = 0.4,
        stem: str = "cifar",
        width: int = CHANNELS,
        *,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        classes, dropout = arguments.whole("classes", classes), arguments.rate("dropout", dropout)
        large = arguments.choice("stem", stem, STEMS) == "imagenet"
        size = scaled(CHANNELS, arguments.whole("width", width))
        self.conv1 = _convolution(size(64), 7, strides=2) if large else _convolution(size(64), 3)
        self.pool1 = _pool() if large else keras.layers.Identity()
        self.reduce2, self.conv2, self.pool2 = _convolution(size(64), 1), _convolution(size(192), 3), _pool()
        for block, channels in BLOCKS.items():
            setattr(self, f"inception{block}", Inception(*map(size, channels)))
        self.pool3, self.pool4 = _pool(), _pool()
        self.average = keras.layers.GlobalAveragePooling2D()
        self.drop = keras.layers.Dropout(dropout)
        self.logits = keras.layers.Dense(classes, dtype=output_dtype())

    def stage(self, number: str, x: tf.Tensor) -> tf.Tensor:
        """The Inception blocks of stage "3", "4" or "5": [B, h, w, c] -> [B, h, w, 480, 832 or 1024]."""
        for block in BLOCKS:
            if block.startswith(number):
                x = getattr(self, f"inception{block}")(x)
        return x

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """images [B, h, w, c] in [0, 1] -> logits [B, classes]."""
        arguments.images("images", images)
        x = self.pool1(self.conv1(images))  # [B, h/4, w/4, 64]; "cifar": [B, h, w, 64]
        x = self.pool2(self.conv2(self.reduce2(x)))  # [B, h/8, w/8, 192]; "cifar": [B, h/2, w/2, 192]
        x = self.pool3(self.stage("3", x))  # [B, h/16, w/16, 480]; "cifar": [B, h/4, w/4, 480]
        x = self.pool4(self.stage("4", x))  # [B, h/32, w/32, 832]; "cifar": [B, h/8, w/8, 832]
        x = self.average(self.stage("5", x))  # [B, 1024]
        return self.logits(self.drop(x, training=training))  # [B, classes]
