"""Network in network: small perceptrons in the place of convolutions, and no dense layer."""

import keras
import tensorflow as tf

from nets import _arguments as arguments
from nets._convolutions import Conv2D
from nets._net import Net
from nets._parts import output_dtype, scaled
from nets._pooling import MaxPool

# (kernel, stride, channels of the convolution and of the 1x1 ones after it) of each block
FORMS = {
    "cifar": ((5, 1, (192, 160, 96)), (5, 1, (192, 192, 192)), (3, 1, (192, 192))),
    "imagenet": ((11, 4, (96, 96, 96)), (5, 1, (256, 256, 256)), (3, 1, (384, 384, 384)), (3, 1, (1024, 1024))),
}


class NiN(Net):
    """Blocks of a convolution and 1x1 convolutions, max pooling between them, global average pooling at the end.

    Lin, Chen and Yan, "Network in network", ICLR 2014. "cifar" is the authors' net for CIFAR-10 (966,986
    parameters), "imagenet" their later one for 224x224 images (7,595,176 at 1000 classes). There is one feature
    map per class and its average is the logit (section 3.2); these maps come without the ReLU that the paper has
    there too, for logits must be able to fall below zero.

    Any image size will do: a side that is odd is rounded up when it is halved.

    Args:
      classes: Number of classes, which is the number of logits.
      dropout: Fraction of each block's outputs, after the pooling, that is dropped in training, in [0, 1).
      stem: "cifar" for images of 28 or 32 pixels, "imagenet" for 224.
      width: Channels of the first convolution, None for the authors' number; the others keep their ratio to it.
      name: The Keras name.

    Raises:
      ValueError: An argument out of its range, or images that are not [B, h, w, c].
    """

    def __init__(
        self,
        classes: int = 10,
        dropout: float = 0.5,
        stem: str = "cifar",
        width: int | None = None,
        *,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        classes, dropout = arguments.whole("classes", classes), arguments.rate("dropout", dropout)
        form = FORMS[arguments.choice("stem", stem, FORMS)]
        first = form[0][2][0]
        size = scaled(first, first if width is None else arguments.whole("width", width))
        self.blocks = len(form)
        for i, (kernel, stride, channels) in enumerate(form):
            if i:
                setattr(self, f"pool{i}", MaxPool(3, strides=2, padding="same"))
                setattr(self, f"drop{i}", keras.layers.Dropout(dropout))
            setattr(self, f"block{i}", _mlpconv(kernel, stride, [size(count) for count in channels]))
        self.maps = Conv2D(classes, 1, dtype=output_dtype())
        self.average = keras.layers.GlobalAveragePooling2D(dtype=output_dtype())

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """images [B, h, w, c] in [0, 1] -> logits [B, classes]."""
        arguments.images("images", images)
        x = self.block0(images)  # [B, h, w, 96]; "imagenet": [B, h/4, w/4, 96]
        for i in range(1, self.blocks):
            x = getattr(self, f"pool{i}")(x)  # half the sides
            x = getattr(self, f"drop{i}")(x, training=training)
            x = getattr(self, f"block{i}")(x)  # [B, h/2, w/2, 192] and so on
        x = self.maps(x)  # [B, h/4, w/4, classes]; "imagenet": [B, h/32, w/32, classes]
        return self.average(x)  # [B, classes]


def _mlpconv(kernel: int, stride: int, channels: list[int]) -> keras.Sequential:
    """A convolution and 1x1 convolutions, which are a perceptron at each place, all with ReLU."""
    same = {"padding": "same", "activation": "relu", "kernel_initializer": "he_normal"}
    first = Conv2D(channels[0], kernel, strides=stride, **same)
    return keras.Sequential([first, *(Conv2D(count, 1, **same) for count in channels[1:])])
