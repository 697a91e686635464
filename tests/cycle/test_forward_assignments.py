"""What a forward pass assigns to weights is part of the update: a start from the data."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import toys


class ActNorm(keras.layers.Layer):
    """Scale and shift that start from the first batch (Kingma and Dhariwal 2018, section 3.1)."""

    def build(self, shape):
        self.shift = self.add_weight(shape=[shape[-1]], initializer="zeros", name="shift")
        self.started = self.add_weight(shape=[], initializer="zeros", trainable=False, name="started")

    def call(self, x):
        shift = tf.where(self.started > 0, tf.convert_to_tensor(self.shift), -tf.reduce_mean(x, axis=0))
        self.shift.assign(shift)
        self.started.assign(1.0)
        return x + self.shift


@pytest.mark.parametrize("plan", ["eager", "graph", "xla"])
def test_a_start_from_the_first_batch_is_kept(plan):
    net = keras.Sequential([ActNorm(), keras.layers.Dense(1)])
    net.build([None, 6])
    made = toys.engine(toys.Fit(), {"net": net}, {"fit": keras.optimizers.SGD(0.0)}, toys.points(), plan=plan)
    made.run(4)
    first = made.source.batch(tf.constant(0, tf.int64), ())["x"].numpy()
    np.testing.assert_allclose(net.layers[0].shift.numpy(), -first.mean(axis=0), rtol=1e-5, atol=1e-6)


def test_a_rejected_update_keeps_nothing_of_them():
    net = keras.Sequential([ActNorm(), keras.layers.Dense(1)])
    net.build([None, 6])
    source = toys.points(transform=lambda batch, noise: {"x": batch["x"] * np.nan})
    made = toys.engine(toys.Fit(), {"net": net}, {"fit": toys.adam()}, source)
    assert made.run(1).stopped
    assert not net.layers[0].shift.numpy().any() and net.layers[0].started.numpy() == 0
