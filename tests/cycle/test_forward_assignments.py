"""What a forward pass assigns to weights is part of the update: spectral normalisation, a start from the data."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import toys


@pytest.mark.parametrize("plan", ["eager", "graph", "xla"])
def test_spectral_normalisation_trains_as_in_kerass_own_loop(plan):
    """Keras assigns kernel / sigma to the kernel in each forward pass; the step starts there, by its gradient there."""
    def made():
        keras.utils.set_random_seed(0)
        net = keras.Sequential([keras.layers.SpectralNormalization(keras.layers.Dense(5, activation="tanh")),
                                keras.layers.SpectralNormalization(keras.layers.Dense(1))])
        net.build([None, 6])
        return net

    ours, theirs = made(), made()
    theirs.set_weights(ours.get_weights())
    engine = toys.engine(toys.Fit(watch=["absolute_error"]), {"net": ours}, {"fit": keras.optimizers.SGD(0.05)},
                         toys.points(), plan=plan)
    optimizer = keras.optimizers.SGD(0.05)
    for number in range(10):
        x = engine.source.batch(tf.constant(number, tf.int64), ())["x"]
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(theirs(x, training=True)[:, 0] - tf.reduce_sum(x, axis=1)))
        optimizer.apply(tape.gradient(loss, theirs.trainable_variables), theirs.trainable_variables)
        total, count = engine.run(1).totals["fit"]["squared_error"]
        assert float(total / count) == pytest.approx(float(loss), rel=1e-4)
    for mine, expected in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-4, atol=1e-5)


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
