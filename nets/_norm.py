"""Batch normalisation as one operation."""

import keras
import tensorflow as tf


class BatchNorm(keras.layers.BatchNormalization):
    """Keras's layer, over the last axis, computed by TensorFlow's fused operation.

    Ioffe and Szegedy, "Batch normalization", ICML 2015. Keras composes it of some ten operations, each of which
    reads the whole feature map, in float32 under every policy. Fused, a feature map may be bfloat16 or float16
    while its statistics, scales and offsets are float32 (ResNet-18 of 28 pixels, batch 64, two cores: 2.1 updates
    a second become 3.1 in bfloat16, 1.25 become 1.45 in float32).

    As in the paper (algorithm 2) the moving variance is that of the unbiased estimate, m / (m - 1) times the
    batch's own with m values per channel; Keras leaves the factor out. Under "float64", which the operation does
    not know, it is Keras's layer.
    """

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """inputs [B, ..., c] -> the same shape and dtype; training says whose statistics: the batch's or the moving."""
        x = tf.convert_to_tensor(inputs)
        if x.dtype == tf.float64:
            return super().call(x, training=training)
        learning = bool(training and self.trainable)
        maps = x if x.shape.rank == 4 else tf.reshape(x, [-1, 1, 1, x.shape[-1]])
        moving_mean = tf.convert_to_tensor(self.moving_mean)
        moving_variance = tf.convert_to_tensor(self.moving_variance)
        y, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=maps, scale=self.gamma, offset=self.beta, epsilon=self.epsilon, is_training=learning,
            mean=[] if learning else moving_mean, variance=[] if learning else moving_variance,
        )
        if learning:
            self.moving_mean.assign(moving_mean * self.momentum + mean * (1.0 - self.momentum))
            self.moving_variance.assign(moving_variance * self.momentum + variance * (1.0 - self.momentum))
        return y if maps is x else tf.reshape(y, tf.shape(x))
