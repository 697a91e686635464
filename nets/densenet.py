"""Densely connected networks: every layer reads all that came before it in its block."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from nets import _arguments as arguments
from nets import _blocks
from nets._blocks import conv, norm
from nets._net import Net
from nets._parts import output_dtype


class DenseLayer(keras.layers.Layer):
    """Normalisation, ReLU, 3x3 convolution to ``growth`` channels, which are appended to those of the input.

    As a bottleneck ("B"), normalisation, ReLU and a 1x1 convolution to 4 * growth channels come first.
    """

    def __init__(self, growth: int, bottleneck: bool) -> None:
        super().__init__()
        self.bottleneck = bottleneck
        if bottleneck:
            self.norm1, self.conv1 = norm(), conv(4 * growth, 1)
        self.norm2, self.conv2 = norm(), conv(growth, 3)

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """x [B, h, w, C] -> [B, h, w, C + growth]."""
        y = x
        if self.bottleneck:
            y = self.conv1(tf.nn.relu(self.norm1(y, training=training)))  # [B, h, w, 4 * growth]
        y = self.conv2(tf.nn.relu(self.norm2(y, training=training)))  # [B, h, w, growth]
        return tf.concat([x, y], axis=-1)


class Transition(keras.layers.Layer):
    """Normalisation, ReLU, 1x1 convolution, means of 2x2: between two blocks."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm, self.conv = norm(), conv(channels, 1)

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """x [B, h, w, C] -> [B, h/2, w/2, channels]; an odd side is rounded up, so that no side becomes 0."""
        x = self.conv(tf.nn.relu(self.norm(x, training=training)))  # [B, h, w, channels]
        return tf.nn.avg_pool2d(x, 2, 2, "SAME")


class DenseNet(Net):
    """Stem, dense blocks with transitions between them, a last normalisation and ReLU, the mean, logits.

    Huang, Liu, van der Maaten and Weinberger, "Densely connected convolutional networks", CVPR 2017, section 3
    and table 1. By default the small form of the study notes, 4 blocks of 4 layers, after a stem for images of
    about 32 pixels.

    Args:
      classes: Number of classes, which is the number of logits.
      blocks: Number of layers of each dense block.
      growth: Channels k that each layer adds.
      bottleneck: Whether a 1x1 convolution to 4k channels precedes each 3x3 one ("DenseNet-B").
      compression: Fraction of the channels that a transition keeps, rounded down, in (0, 1] ("DenseNet-C" below 1).
      stem: "imagenet" (7x7 with stride 2, then a pool) or "cifar" (3x3, no pool).
      filters: Channels of the stem.
      name: The Keras name.

    Raises:
      ValueError: An argument out of its range, or images that are not [B, h, w, c].
    """

    def __init__(
        self,
        classes: int = 10,
        blocks: Sequence[int] = (4, 4, 4, 4),
        growth: int = 32,
        bottleneck: bool = False,
        compression: float = 0.5,
        stem: str = "cifar",
        filters: int = 64,
        *,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        classes, growth = arguments.whole("classes", classes), arguments.whole("growth", growth)
        blocks, compression = arguments.wholes("blocks", blocks), arguments.fraction("compression", compression)
        channels = arguments.whole("filters", filters)
        self.conv, self.pool = _blocks.stem(stem, channels)
        self.norm = norm() if stem == "imagenet" else None  # table 1; section 3 has none for small images
        parts: list[keras.layers.Layer] = []
        for count in blocks:
            if parts:
                channels = max(1, int(compression * channels))
                parts.append(Transition(channels))
            parts += [DenseLayer(growth, bottleneck) for _ in range(count)]
            channels += count * growth
        self.depth = len(parts)
        for i, part in enumerate(parts):
            setattr(self, f"part{i}", part)  # not a list: see MLP
        self.last_norm = norm()
        self.logits = keras.layers.Dense(classes, dtype=output_dtype())

    def features(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """images [B, h, w, c] -> [B, h/32, w/32, C] by 4 blocks, or [B, h/8, w/8, C] after the cifar stem."""
        arguments.batch_of("images", images, (None, None, None))
        x = self.conv(images)  # [B, h/2, w/2, F]; cifar [B, h, w, F]
        if self.norm is not None:
            x = tf.nn.relu(self.norm(x, training=training))
        x = self.pool(x)  # [B, h/4, w/4, F]; cifar [B, h, w, F]
        for i in range(self.depth):
            x = getattr(self, f"part{i}")(x, training=training)  # layers add channels, transitions halve the side
        return tf.nn.relu(self.last_norm(x, training=training))

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """images [B, h, w, c], about standardised -> logits [B, classes]."""
        x = tf.reduce_mean(self.features(images, training=training), axis=[1, 2])  # [B, C]
        return self.logits(x)  # [B, classes]


class DenseNet121(DenseNet):
    """121 layers (table 1); 7,978,856 parameters with 1000 classes."""

    def __init__(self, classes: int = 10, growth: int = 32, stem: str = "imagenet", *, name: str | None = None) -> None:
        super().__init__(classes, (6, 12, 24, 16), growth, True, 0.5, stem, 2 * growth, name=name)
