"""The dynamic loss scale of float16."""

import tensorflow as tf

CEILING = 2.0**24  # of a loss scale: above it, no gradient that float16 can hold is saved


class LossScale:
    """The dynamic loss scale of one phase in float16 (Micikevicius et al. 2018, section 3.2).

    The objective is multiplied by it so that small gradients survive in float16. It doubles after 2000
    good updates, to ``CEILING`` at most, and is halved when gradients overflow; such an update is passed over, which is
    no fault.
    """

    def __init__(self) -> None:
        self.scale = tf.Variable(2.0**15, trainable=False, name="loss_scale")
        self.good = tf.Variable(0, dtype=tf.int64, trainable=False, name="good_updates")

    def grow(self) -> None:
        """After an update that was applied."""
        full = self.good >= 1999
        self.scale.assign(tf.where(full, tf.minimum(self.scale * 2.0, CEILING), self.scale))
        self.good.assign(tf.where(full, tf.zeros_like(self.good), self.good + 1))

    def shrink(self, overflowed: tf.Tensor | bool = True) -> None:
        """After gradients that ``overflowed``."""
        self.scale.assign(tf.where(overflowed, tf.maximum(self.scale / 2.0, 1.0), self.scale))
        self.good.assign(tf.where(overflowed, tf.zeros_like(self.good), self.good))
