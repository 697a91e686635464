"""MetaBalance (He et al. 2022, arXiv 2203.06801, without moving averages): helping tasks pull as much as the target."""

import keras
import pytest
import tensorflow as tf

from engine import LossStrategy, Phase, Update
from losses.gradients import equal_norms
from tests.strategies.published.method import (
    PLANS,
    Method,
    assert_same,
    batch,
    dense,
    mlp,
    numbers,
    points,
    values,
    variables,
)

RATE, RELAX = 0.05, 0.7


class Helped(LossStrategy):
    """The target is a sum; a product of far greater numbers, with a head of its own, helps it."""

    def phases(self):
        return [Phase("tasks", self.loss, updates=["net", "head"], separable=True)]

    def loss(self, nets, batch, noise):
        y, x = nets["net"](batch["x"], training=True), batch["x"]
        return {"sum": tf.square(y[:, 0] - tf.reduce_sum(x, axis=1)),
                "product": tf.square(nets["head"](y)[:, 0] - 30.0 * x[:, 0] * x[:, 1])}


def head():
    net = keras.Sequential([keras.layers.Dense(1)])
    net.build([None, 2])
    return net


METHOD = Method(Helped, lambda: {"net": dense(8, 2), "head": head()},
                lambda: Update(keras.optimizers.SGD(RATE), gradient=equal_norms(relax=RELAX)), lambda: points(10))


def by_hand(cycles):
    start = METHOD.trainer("eager")
    net, head = variables(start.nets["net"]), variables(start.nets["head"])
    for number in range(cycles):
        x = batch(start.data, number)["x"]
        with tf.GradientTape(persistent=True) as tape:
            y = mlp(net, x)
            target = tf.reduce_mean((y[:, 0] - tf.reduce_sum(x, 1)) ** 2)
            helping = tf.reduce_mean(((y @ head[0] + head[1])[:, 0] - 30.0 * x[:, 0] * x[:, 1]) ** 2)
        for variable in net:
            a, b = tape.gradient(target, variable), tape.gradient(helping, variable)
            variable.assign_sub(RATE * (a + b * (tf.norm(a) / tf.norm(b) * RELAX + 1.0 - RELAX)))
        for variable in head:
            variable.assign_sub(RATE * tape.gradient(helping, variable))
    return numbers([*net, *head])


@pytest.mark.parametrize("plan", PLANS)
def test_helping_gradients_are_as_long_as_the_targets(plan):
    trainer = METHOD.trained(plan)
    assert_same([*values(trainer.nets["net"]), *values(trainer.nets["head"])], by_hand(METHOD.cycles))
