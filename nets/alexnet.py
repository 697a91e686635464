"""AlexNet: the net that won ImageNet in 2012."""

import keras
import tensorflow as tf

from nets import _arguments as arguments
from nets._blocks import STEMS
from nets._convolutions import Conv2D
from nets._net import Net
from nets._parts import output_dtype, scaled
from nets._pooling import MaxPool

CHANNELS = 96  # of the first convolution in the paper


class AlexNet(Net):
    """Five convolutions with overlapping max pooling, two dense layers with dropout, logits.

    Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep convolutional neural networks", NeurIPS
    2012, section 3.5. On one device, so that no convolution is split into two groups: 62,378,344 parameters at
    224x224x3 and 1000 classes instead of 60 million. Without local response normalisation, of which Simonyan and
    Zisserman (2015, section 2.1) found no use, and with He's initialisation, which needs no bias of 1.

    Args:
      classes: Number of classes, which is the number of logits.
      dropout: Fraction of each dense layer's outputs that is dropped in training, in [0, 1).
      stem: "imagenet", for images from 57 pixels up (224 in the paper): 11x11 with stride 4 first, dense layers
        of 4096 units. "cifar", for 15 pixels up (28, 32): 3x3 with stride 1 first, dense layers of 512 units.
      width: Channels of the first convolution; the others and the dense layers keep their ratio to it.
      name: The Keras name.

    Raises:
      ValueError: An argument out of its range, or images that are not [B, h, w, c] or too small.
    """

    def __init__(
        self,
        classes: int = 10,
        dropout: float = 0.5,
        stem: str = "cifar",
        width: int = CHANNELS,
        *,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        classes, dropout = arguments.whole("classes", classes), arguments.rate("dropout", dropout)
        large = arguments.choice("stem", stem, STEMS) == "imagenet"
        self.least = 57 if large else 15
        size = scaled(CHANNELS, arguments.whole("width", width))
        units = size(4096 if large else 512)
        relu = {"activation": "relu", "kernel_initializer": "he_normal"}
        same = {"padding": "same", **relu}
        self.conv1 = Conv2D(size(96), 11 if large else 3, strides=4 if large else 1, **same)
        self.pool1 = MaxPool(3, strides=2)
        self.conv2 = Conv2D(size(256), 5, **same)
        self.pool2 = MaxPool(3, strides=2)
        self.conv3 = Conv2D(size(384), 3, **same)
        self.conv4 = Conv2D(size(384), 3, **same)
        self.conv5 = Conv2D(size(256), 3, **same)
        self.pool5 = MaxPool(3, strides=2)
        self.flatten = keras.layers.Flatten()
        self.dense6 = keras.layers.Dense(units, **relu)
        self.drop6 = keras.layers.Dropout(dropout)
        self.dense7 = keras.layers.Dense(units, **relu)
        self.drop7 = keras.layers.Dropout(dropout)
        self.logits = keras.layers.Dense(classes, dtype=output_dtype())

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """images [B, h, w, c] in [0, 1] -> logits [B, classes]."""
        arguments.images("images", images, self.least)
        x = self.pool1(self.conv1(images))  # [B, 27, 27, 96] from 224x224; [B, 15, 15, 96] from 32x32
        x = self.pool2(self.conv2(x))  # [B, 13, 13, 256]; [B, 7, 7, 256]
        x = self.conv4(self.conv3(x))  # [B, 13, 13, 384]; [B, 7, 7, 384]
        x = self.pool5(self.conv5(x))  # [B, 6, 6, 256]; [B, 3, 3, 256]
        x = self.flatten(x)  # [B, 9216]; [B, 2304]
        x = self.drop6(self.dense6(x), training=training)  # [B, 4096]; [B, 512]
        x = self.drop7(self.dense7(x), training=training)
        return self.logits(x)  # [B, classes]
