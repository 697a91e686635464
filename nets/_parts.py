"""Parts that several nets share."""

from collections.abc import Callable

import keras

from nets import _arguments as arguments
from nets._norm import BatchNorm, LayerNorm

NORMALIZATIONS = ("layer", "none", "batch")


def output_dtype() -> str:
    """The type of a net's last layer: that of the variables.

    So logits and scores leave a net as float32 under "mixed_bfloat16" (a loss in 8 bits of mantissa is noise)
    and as float64 under "float64" (finite differences).
    """
    return str(keras.config.dtype_policy().variable_dtype)


def scaled(standard: int, width: int) -> Callable[[int], int]:
    """Turns channels of a paper's net into those of one whose first convolution has ``width``, not ``standard``."""
    return lambda channels: max(1, channels * width // standard)


def critic_normalization(kind: str) -> keras.layers.Layer:
    """The normalization of a critic's feature map [B, h, w, c].

    "layer" normalises each example over all of (h, w, c). "batch" mixes the examples of a batch, so the
    gradient penalty, which is per example, no longer means what it says (Gulrajani et al. 2017, section 4):
    it is there to be asked for by name only, to show the fault. "none" does nothing.

    Raises:
      ValueError: Any other ``kind``.
    """
    arguments.choice("normalization", kind, NORMALIZATIONS)
    if kind == "layer":
        return LayerNorm()
    return BatchNorm() if kind == "batch" else keras.layers.Identity()
