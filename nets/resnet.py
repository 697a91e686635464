"""Residual networks of 18, 34, 50, 101 and 152 layers."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from nets import _arguments as arguments
from nets import _blocks
from nets._blocks import conv, norm
from nets._net import Net
from nets._parts import output_dtype


class Block(keras.layers.Layer):
    """What both blocks share: x + F(x), where x is projected by a 1x1 convolution if its shape changes."""

    EXPANSION = 1  # channels that leave the block, in widths

    def __init__(self, inputs: int, width: int, strides: int) -> None:
        super().__init__()
        self.channels = width * self.EXPANSION
        self.projects = strides > 1 or inputs != self.channels
        if self.projects:
            self.projection, self.projection_norm = conv(self.channels, 1, strides), norm()

    def shortcut(self, x: tf.Tensor, training: bool) -> tf.Tensor:
        """x [B, h, w, inputs] -> [B, h/strides, w/strides, channels]."""
        return self.projection_norm(self.projection(x), training=training) if self.projects else x


class BasicBlock(Block):
    """Two 3x3 convolutions (figure 5, left)."""

    def __init__(self, inputs: int, width: int, strides: int, zero_gamma: bool) -> None:
        super().__init__(inputs, width, strides)
        self.conv1, self.norm1 = conv(width, 3, strides), norm()
        self.conv2, self.norm2 = conv(width, 3), norm("zeros" if zero_gamma else "ones")

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """x [B, h, w, inputs] -> [B, h/strides, w/strides, width]."""
        y = tf.nn.relu(self.norm1(self.conv1(x), training=training))  # [B, h/strides, w/strides, width]
        y = self.norm2(self.conv2(y), training=training)
        return tf.nn.relu(self.shortcut(x, training) + y)


class Bottleneck(Block):
    """1x1 to fewer channels, 3x3, 1x1 to four times as many (figure 5, right); the 3x3 has the stride."""

    EXPANSION = 4

    def __init__(self, inputs: int, width: int, strides: int, zero_gamma: bool) -> None:
        super().__init__(inputs, width, strides)
        self.conv1, self.norm1 = conv(width, 1), norm()
        self.conv2, self.norm2 = conv(width, 3, strides), norm()
        self.conv3, self.norm3 = conv(self.channels, 1), norm("zeros" if zero_gamma else "ones")

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """x [B, h, w, inputs] -> [B, h/strides, w/strides, 4 * width]."""
        y = tf.nn.relu(self.norm1(self.conv1(x), training=training))  # [B, h, w, width]
        y = tf.nn.relu(self.norm2(self.conv2(y), training=training))  # [B, h/strides, w/strides, width]
        y = self.norm3(self.conv3(y), training=training)  # [B, h/strides, w/strides, 4 * width]
        return tf.nn.relu(self.shortcut(x, training) + y)


class ResNet(Net):
    """Stem, four stages of residual blocks, the mean over the image, logits; make one of its subclasses.

    He, Zhang, Ren and Sun, "Deep residual learning for image recognition", CVPR 2016, table 1 and section 4.1,
    with projections where the shape changes (option B). In a bottleneck the stride is on the 3x3 convolution
    ("v1.5", as in torchvision) and not on the first 1x1 as in the paper, where three of four pixels are never
    read; the parameters are the same.

    Args:
      classes: Number of classes, which is the number of logits.
      stem: "imagenet" (7x7 with stride 2, then a pool) or "cifar" (3x3, no pool: for images of about 32 pixels).
      width: Channels W of the stem and of the first stage, doubled by each of the other three.
      zero_gamma: Whether blocks begin as such that pass on their shortcut alone: the last scale of each is 0 (Goyal et
        al., "Accurate, large minibatch SGD", 2017, section 5.1).
      blocks: Number of blocks of each stage, if not those of table 1: for small forms.
      name: The Keras name.

    Raises:
      ValueError: An argument out of its range, or images that are not [B, h, w, c].
    """

    BLOCK: type[BasicBlock] | type[Bottleneck] = BasicBlock
    COUNTS = (2, 2, 2, 2)  # blocks of each stage, by default

    def __init__(
        self,
        classes: int = 10,
        stem: str = "imagenet",
        width: int = 64,
        zero_gamma: bool = False,
        blocks: Sequence[int] | None = None,
        *,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        classes, width = arguments.whole("classes", classes), arguments.whole("width", width)
        self.conv, self.pool = _blocks.stem(stem, width)
        self.norm = norm()
        self.depth, channels = 0, width
        for stage, count in enumerate(arguments.wholes("blocks", self.COUNTS if blocks is None else blocks)):
            for place in range(count):
                strides = 2 if stage > 0 and place == 0 else 1
                block = self.BLOCK(channels, width * 2**stage, strides, zero_gamma)
                setattr(self, f"block{self.depth}", block)  # not a list: see MLP
                self.depth, channels = self.depth + 1, block.channels
        self.logits = keras.layers.Dense(classes, dtype=output_dtype())

    def features(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """images [B, h, w, c] -> [B, h/32, w/32, C], or [B, h/8, w/8, C] after the cifar stem; C is 8W or 32W."""
        arguments.batch_of("images", images, (None, None, None))
        x = tf.nn.relu(self.norm(self.conv(images), training=training))  # [B, h/2, w/2, W]; cifar [B, h, w, W]
        x = self.pool(x)  # [B, h/4, w/4, W]; cifar [B, h, w, W]
        for i in range(self.depth):
            x = getattr(self, f"block{i}")(x, training=training)  # half the side from stage to stage
        return x

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """images [B, h, w, c], about standardised -> logits [B, classes]."""
        x = tf.reduce_mean(self.features(images, training=training), axis=[1, 2])  # [B, C]
        return self.logits(x)  # [B, classes]


class ResNet18(ResNet):
    """18 layers; 11,689,512 parameters with 1000 classes."""


class ResNet34(ResNet):
    """34 layers; 21,797,672 parameters with 1000 classes."""

    COUNTS = (3, 4, 6, 3)


class ResNet50(ResNet):
    """50 layers; 25,557,032 parameters with 1000 classes."""

    BLOCK, COUNTS = Bottleneck, (3, 4, 6, 3)


class ResNet101(ResNet):
    """101 layers; 44,549,160 parameters with 1000 classes."""

    BLOCK, COUNTS = Bottleneck, (3, 4, 23, 3)


class ResNet152(ResNet):
    """152 layers; 60,192,808 parameters with 1000 classes."""

    BLOCK, COUNTS = Bottleneck, (3, 8, 36, 3)
