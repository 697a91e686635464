"""What the residual and dense nets are built of: convolution, normalisation, stem."""

import keras

from nets import _arguments as arguments
from nets._convolutions import Conv2D
from nets._norm import BatchNorm
from nets._pooling import MaxPool

STEMS = ("imagenet", "cifar")


def conv(filters: int, size: int, strides: int = 1) -> Conv2D:
    """A padded convolution; batch normalisation, before or after it, has the bias.

    The initialisation is for ReLU: He et al., "Delving deep into rectifiers", ICCV 2015.
    """
    return Conv2D(
        filters, size, strides=strides, padding="same", use_bias=False, kernel_initializer="he_normal"
    )


def norm(gamma: str = "ones") -> BatchNorm:
    """Batch normalisation with the constants of the published ResNets (Keras's forget ten times slower)."""
    return BatchNorm(momentum=0.9, epsilon=1e-5, gamma_initializer=gamma)


def stem(kind: str, filters: int) -> tuple[Conv2D, keras.layers.Layer]:
    """The first convolution, and the pool after it.

    "imagenet" is 7x7 with stride 2, then 3x3 maxima with stride 2: a quarter of the side. "cifar" is 3x3
    and no pool: small images keep their side.

    Raises:
      ValueError: Any other ``kind``.
    """
    if arguments.choice("stem", kind, STEMS) == "cifar":
        return conv(filters, 3), keras.layers.Identity()
    return conv(filters, 7, strides=2), MaxPool(3, strides=2, padding="same")
