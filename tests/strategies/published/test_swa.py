"""SWA (Izmailov et al. 2018, arXiv 1803.05407): the plain mean of the weights from an update on."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from engine import LossStrategy, Phase, Update
from tests.strategies.published.method import (
    PLANS,
    Method,
    assert_same,
    batch,
    dense,
    descend,
    mlp,
    numbers,
    points,
    variables,
)

START, RATE = 4, 0.1


class Fit(LossStrategy):
    def phases(self):
        return [Phase("fit", self.loss, updates=["net"], separable=True)]

    def loss(self, nets, batch, noise):
        return {"error": tf.square(nets["net"](batch["x"], training=True)[:, 0] - tf.reduce_sum(batch["x"], axis=1))}

    def metrics(self, nets, batch, noise):
        return {"error": tf.square(nets["net"](batch["x"])[:, 0] - tf.reduce_sum(batch["x"], axis=1))}


def swa(count):
    """Decay before the mean of n weights takes in the next: n / (n + 1)."""
    n = tf.maximum(count - START, 0.0)
    return n / (n + 1.0)


METHOD = Method(Fit, lambda: {"net": dense(8, 1)}, lambda: Update(keras.optimizers.SGD(RATE), average=swa),
                lambda: points(10))


def by_hand(cycles):
    start = METHOD.trainer("eager")
    net, kept = variables(start.nets["net"]), []
    for update in range(cycles):
        x = batch(start.data, update)["x"]
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((mlp(net, x)[:, 0] - tf.reduce_sum(x, axis=1)) ** 2)
        descend(tape, loss, net, RATE)
        kept += [numbers(net)] if update >= START else []
    return [np.mean(each, axis=0) for each in zip(*kept, strict=True)]


@pytest.mark.parametrize("plan", PLANS)
def test_evaluation_is_of_the_mean_of_the_last_weights(plan):
    trainer = METHOD.trained(plan)
    mean = by_hand(METHOD.cycles)
    assert_same([average.numpy() for _, average in trainer.engine.averages], mean)
    x = points(10).arrays["x"]
    expected = np.mean((mlp(mean, x)[:, 0] - tf.reduce_sum(x, axis=1)) ** 2)
    assert trainer.evaluate(points(10))["error"] == pytest.approx(float(expected), rel=1e-4)
