"""Spectral normalisation (Miyato et al. 2018, arXiv 1802.05957), by Keras's own layer.

Keras assigns kernel / sigma to the kernel in each forward pass; the step starts there, by the gradient there.
"""

import keras
import pytest
import tensorflow as tf

from engine import LossStrategy, Phase
from tests.strategies.published.method import PLANS, Method, assert_same, batch, points, values

RATE = 0.05


def normalised():
    net = keras.Sequential([keras.layers.SpectralNormalization(keras.layers.Dense(5, activation="tanh")),
                            keras.layers.SpectralNormalization(keras.layers.Dense(1))])
    net.build([None, 6])
    return net


class Fit(LossStrategy):
    def phases(self):
        return [Phase("fit", self.loss, updates=["net"])]

    def loss(self, nets, batch, noise):
        return {"error": tf.square(nets["net"](batch["x"], training=True)[:, 0] - tf.reduce_sum(batch["x"], axis=1))}


METHOD = Method(Fit, lambda: {"net": normalised()}, lambda: keras.optimizers.SGD(RATE), lambda: points(10))


@pytest.mark.parametrize("plan", PLANS)
def test_it_trains_as_in_kerass_own_loop(plan):
    start = METHOD.trainer("eager")
    net, optimizer = start.nets["net"], keras.optimizers.SGD(RATE)
    for number in range(METHOD.cycles):
        x = batch(start.data, number)["x"]
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(net(x, training=True)[:, 0] - tf.reduce_sum(x, axis=1)))
        optimizer.apply(tape.gradient(loss, net.trainable_variables), net.trainable_variables)
    assert_same(values(METHOD.trained(plan).nets["net"]), values(net), rtol=1e-3, atol=1e-4)
