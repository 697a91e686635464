"""Nets whose outputs are known, for the tests of the strategies."""

import keras
import numpy as np
import tensorflow as tf

IMAGES = np.random.default_rng(0).random((6, 2, 2, 1)).astype("float32")
LABELS = np.array([0, 1, 2, 0, 1, 2], "int32")


def linear(width, kernel=None):
    """Flatten and one dense layer, with zero weights or a given kernel."""
    dense = keras.layers.Dense(width, kernel_initializer="zeros" if kernel is None else
                               lambda shape, dtype: tf.reshape(tf.constant(kernel, dtype), shape))
    return keras.Sequential([keras.layers.Flatten(), dense])


class ConstantVAE(keras.Model):
    """Posterior N(0.5, e^-1) in two dimensions, logits of 0, whatever the image."""

    def __init__(self):
        super().__init__()
        self.mean = self.add_weight(shape=(2,), initializer=keras.initializers.Constant(0.5), name="mean")
        self.log_var = self.add_weight(shape=(2,), initializer=keras.initializers.Constant(-1.0), name="log_var")
        self.scale = self.add_weight(shape=(), initializer="zeros", name="scale")

    def encode(self, images, training=False):
        zeros = tf.zeros([images.shape[0], 2])
        return zeros + self.mean, zeros + self.log_var

    def decode(self, z, training=False):
        return tf.zeros([z.shape[0], 2, 2, 1]) + self.scale * tf.reduce_sum(z, axis=1)[:, None, None, None]


class CriticOf(keras.Model):
    """score = w . x, so the gradient is w at every point."""

    def __init__(self, kernel):
        super().__init__()
        self.kernel = self.add_weight(shape=(4,), initializer=lambda shape, dtype: tf.constant(kernel, dtype), name="w")

    def call(self, images, training=False):
        return tf.linalg.matvec(tf.reshape(images, [-1, 4]), self.kernel)


def generator():
    return keras.Sequential([keras.layers.Dense(4, activation="tanh"), keras.layers.Reshape((2, 2, 1))])
