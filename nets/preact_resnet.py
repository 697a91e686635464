"""A residual network whose blocks normalise and rectify before they convolve."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from nets import _arguments as arguments
from nets._blocks import conv, norm
from nets._net import Net
from nets._parts import output_dtype


class PreActBlock(keras.layers.Layer):
    """Twice normalisation, ReLU, 3x3 convolution; nothing is left on the shortcut but x itself (figure 4e).

    Where the shape changes, the shortcut is a 1x1 convolution of the first activation, which is then shared
    (appendix of the paper).
    """

    def __init__(self, inputs: int, filters: int, strides: int) -> None:
        super().__init__()
        self.projects = strides > 1 or inputs != filters
        if self.projects:
            self.projection = conv(filters, 1, strides)
        self.norm1, self.conv1 = norm(), conv(filters, 3, strides)
        self.norm2, self.conv2 = norm(), conv(filters, 3)

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """x [B, h, w, inputs] -> [B, h/strides, w/strides, filters]."""
        y = tf.nn.relu(self.norm1(x, training=training))
        shortcut = self.projection(y) if self.projects else x
        y = self.conv1(y)  # [B, h/strides, w/strides, filters]
        y = self.conv2(tf.nn.relu(self.norm2(y, training=training)))
        return shortcut + y


class PreActResNet(Net):
    """A 3x3 convolution, stages of pre-activation blocks, a last normalisation and ReLU, the mean, logits.

    He, Zhang, Ren and Sun, "Identity mappings in deep residual networks", ECCV 2016, with basic blocks; by
    default the 18 layers of ResNet-18 for images of about 32 pixels.

    Args:
      classes: Number of classes, which is the number of logits.
      blocks: Number of blocks of each stage; each stage but the first halves the side.
      filters: Channels of the stem and of the first stage, doubled by each further one.
      name: The Keras name.

    Raises:
      ValueError: An argument out of its range, or images that are not [B, h, w, c].
    """

    def __init__(
        self,
        classes: int = 10,
        blocks: Sequence[int] = (2, 2, 2, 2),
        filters: int = 64,
        *,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        classes, filters = arguments.whole("classes", classes), arguments.whole("filters", filters)
        self.conv = conv(filters, 3)
        self.depth, channels = 0, filters
        for stage, count in enumerate(arguments.wholes("blocks", blocks)):
            for place in range(count):
                strides = 2 if stage > 0 and place == 0 else 1
                block = PreActBlock(channels, filters * 2**stage, strides)
                setattr(self, f"block{self.depth}", block)  # not a list: see MLP
                self.depth, channels = self.depth + 1, filters * 2**stage
        self.norm = norm()
        self.logits = keras.layers.Dense(classes, dtype=output_dtype())

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """images [B, h, w, c], about standardised -> logits [B, classes]."""
        arguments.batch_of("images", images, (None, None, None))
        x = self.conv(images)  # [B, h, w, filters]
        for i in range(self.depth):
            x = getattr(self, f"block{i}")(x, training=training)  # [B, h/2**stage, w/2**stage, filters * 2**stage]
        x = tf.nn.relu(self.norm(x, training=training))
        return self.logits(tf.reduce_mean(x, axis=[1, 2]))  # [B, classes]
