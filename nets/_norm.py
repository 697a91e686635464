"""Batch normalisation as one operation; layer normalisation with its derivatives in closed form."""

from typing import Any

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
        if not learning and tf.config.list_physical_devices("GPU"):  # has no deterministic gradient there
            factor = self.gamma * tf.math.rsqrt(tf.convert_to_tensor(self.moving_variance) + self.epsilon)
            return tf.cast(tf.cast(x, factor.dtype) * factor + (self.beta - self.moving_mean * factor), x.dtype)
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

    def normalized(self, inputs: tf.Tensor, mean: tf.Tensor, variance: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
        """inputs [B, ..., c] by statistics that were taken elsewhere, as over several workers; the moving ones follow.

        Args:
          mean: Mean of each channel, [c].
          variance: Biased variance of each channel, [c].
          values: Number of values of a channel, m.
        """
        unbiased = variance * values / (values - 1.0)
        self.moving_mean.assign(self.moving_mean * self.momentum + mean * (1.0 - self.momentum))
        self.moving_variance.assign(self.moving_variance * self.momentum + unbiased * (1.0 - self.momentum))
        factor = self.gamma * tf.math.rsqrt(variance + self.epsilon)
        x = tf.cast(inputs, factor.dtype)
        return tf.cast((x - mean) * factor + self.beta, inputs.dtype)


class LayerNorm(keras.layers.LayerNormalization):
    """Keras's layer over all axes but the first: each example by itself.

    Ba, Kiros and Hinton, "Layer normalization", 2016 (arXiv 1607.06450). Keras takes ``tf.nn.moments``, whose second
    derivative is wrong, because it stops the gradient of the mean inside the variance: a gradient penalty differs by
    9 % for examples of 6 numbers. Here it is right, of any order, and an update of a critic reads its feature maps half
    as often. Computed in float32 at least.

    Args:
      options: Options of Keras's layer; ``axis`` is always all but the first.

    Raises:
      ValueError: ``rms_scaling``.
    """

    def __init__(self, **options: Any) -> None:
        options.pop("axis", None)
        if options.get("rms_scaling"):
            raise ValueError("`rms_scaling` (True) must be False")
        super().__init__(axis=-1, **options)

    def build(self, shape: Any) -> None:
        """[B, ...], with weights of the shape of an example."""
        self.axis = list(range(1, len(shape)))
        super().build(shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """inputs [B, ...] -> the same shape and dtype."""
        x = tf.convert_to_tensor(inputs)
        wide = tf.cast(x, tf.float32) if x.dtype.size < 4 else x
        rows = tf.reshape(wide, [-1, x.shape[1:].num_elements()])
        y = standardized(rows, self.epsilon)
        if self.scale:
            y *= tf.reshape(tf.cast(self.gamma, y.dtype), [-1])
        if self.center:
            y += tf.reshape(tf.cast(self.beta, y.dtype), [-1])
        return tf.cast(tf.reshape(y, tf.shape(x)), x.dtype)


def standardized(x: tf.Tensor, epsilon: float) -> tf.Tensor:
    """x [B, n] -> y = (x - mean) / sqrt(variance + epsilon), of each row; biased variance."""
    centred = x - _mean(x)
    scale = tf.math.rsqrt(_mean(tf.square(centred)) + epsilon)  # [B, 1], of y in x - mean
    return _standardized(x, centred * scale, scale)


# In what follows the gradient to x is the whole one, through y and scale, which are functions of x, as well. They are
# arguments, with no gradient of their own, so that nothing is computed twice and a tape sees what they come from: the
# third derivative, of plain operations, is right too.


@tf.custom_gradient
def _standardized(x: tf.Tensor, y: tf.Tensor, scale: tf.Tensor) -> tuple[tf.Tensor, Any]:
    return tf.identity(y), lambda u: (_pulled_back(u, x, y, scale)[0], None, None)


def _pulled_back(u: tf.Tensor, x: tf.Tensor, y: tf.Tensor, scale: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The gradient to x for ``u`` [B, n]: scale (u - mean(u) - y mean(u y)). Linear in u, and its own transpose.

    Returns:
      It, and mean(u y), [B, 1].
    """
    @tf.custom_gradient
    def pulled(u: tf.Tensor, x: tf.Tensor, y: tf.Tensor, scale: tf.Tensor, mean: tf.Tensor, along: tf.Tensor
               ) -> tuple[tf.Tensor, Any]:
        def gradient(v: tf.Tensor) -> Any:
            back, other = _pulled_back(v, x, y, scale)
            to_y = scale * (scale * other * along - _mean(u * back))
            to_x = to_y * y - (scale * along) * back - (tf.square(scale) * other) * (u - mean)
            return back, to_x, None, None, None, None

        return scale * (u - mean - along * y), gradient

    along = _mean(u * y)
    return pulled(u, x, y, scale, _mean(u), along), along


def _mean(x: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(x, axis=1, keepdims=True)
