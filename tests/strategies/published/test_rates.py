"""Which part moves how fast: two learning rates in one pass; layers that begin to move after some updates."""

import keras
import pytest
import tensorflow as tf

from engine import LossStrategy, Phase, Update
from tests.strategies.published.method import (
    PLANS,
    Method,
    assert_same,
    batch,
    mlp,
    numbers,
    points,
    values,
    variables,
)

FAST, SLOW, WAIT = 0.1, 0.01, 5


class Fit(LossStrategy):
    def phases(self):
        return [Phase("fit", self.loss, updates=["net"], separable=True)]

    def loss(self, nets, batch, noise):
        return {"error": tf.square(nets["net"](batch["x"], training=True)[:, 0] - tf.reduce_sum(batch["x"], axis=1))}


@keras.saving.register_keras_serializable("tests")
class After(keras.optimizers.schedules.LearningRateSchedule):
    """``rate`` from update ``wait`` on, and 0 before."""

    def __init__(self, rate, wait):
        self.rate, self.wait = rate, wait

    def __call__(self, step):
        return tf.where(tf.cast(step, tf.int64) >= self.wait, self.rate, 0.0)


def two_rates():
    return Update({"net/*kernel": keras.optimizers.SGD(FAST), "net/*bias": keras.optimizers.SGD(SLOW)})


def unfreezing():
    first, second = "net/*dense*0*", "net/*head*"
    return Update({first: keras.optimizers.SGD(After(FAST, WAIT)), second: keras.optimizers.SGD(SLOW)})


def named():
    net = keras.Sequential([keras.layers.Dense(8, activation="tanh", name="dense_0"),
                            keras.layers.Dense(1, name="head")])
    net.build([None, 6])
    return net


TWO = Method(Fit, lambda: {"net": named()}, two_rates, lambda: points(10))
LATER = Method(Fit, lambda: {"net": named()}, unfreezing, lambda: points(10))
FROZEN = Method(Fit, lambda: {"net": named()}, lambda: Update({"net/*dense_0*": None, "net/*head*":
                                                               keras.optimizers.SGD(SLOW)}), lambda: points(10))


def rates(method, update):
    """Of the four variables."""
    if method is TWO:
        return [FAST, SLOW, FAST, SLOW]
    return [FAST if update >= WAIT and method is LATER else 0.0] * 2 + [SLOW] * 2


def by_hand(method, cycles):
    start = method.trainer("eager")
    net = variables(start.nets["net"])
    for update in range(cycles):
        x = batch(start.data, update)["x"]
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((mlp(net, x)[:, 0] - tf.reduce_sum(x, axis=1)) ** 2)
        for variable, slope, rate in zip(net, tape.gradient(loss, net), rates(method, update), strict=True):
            variable.assign_sub(rate * slope)
    return numbers(net)


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("method", [TWO, LATER, FROZEN], ids=["two rates", "later", "never"])
def test_each_part_by_its_own_rate_from_one_gradient(method, plan):
    trainer = method.trained(plan)
    assert_same(values(trainer.nets["net"]), by_hand(method, method.cycles))
