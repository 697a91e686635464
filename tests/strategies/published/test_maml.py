"""MAML (Finn et al. 2017, arXiv 1703.03400, algorithm 1): a start from which one step of descent does well."""

import keras
import pytest
import tensorflow as tf

from engine import LossStrategy, Phase, at, weights_of
from tests.strategies.published.method import (
    PLANS,
    Method,
    assert_same,
    batch,
    dense,
    descend,
    mlp,
    normal,
    numbers,
    points,
    values,
    variables,
)

INNER, RATE = 0.1, 0.05


class MAML(LossStrategy):
    """Each batch is a task: its first half to adapt by, its second to be judged by; of second order."""

    def phases(self):
        return [Phase("meta", self.loss, updates=["net"])]

    def error(self, nets, x, task):
        return tf.square(nets["net"](x, training=True)[:, 0] - tf.linalg.matvec(x, task))

    def loss(self, nets, batch, noise):
        support, query = tf.split(batch["x"], 2)
        task, weights = noise.normal("task", [6])[0], weights_of(nets["net"])
        with tf.GradientTape() as tape:
            tape.watch(weights)
            error = tf.reduce_mean(self.error(nets, support, task))
        adapted = [w - INNER * g for w, g in zip(weights, tape.gradient(error, weights), strict=True)]
        with at(nets["net"], adapted):
            return {"query": tf.reduce_mean(self.error(nets, query, task))}


METHOD = Method(MAML, lambda: {"net": dense(8, 1)}, lambda: keras.optimizers.SGD(RATE), lambda: points(10))


def by_hand(cycles):
    start = METHOD.trainer("eager")
    net = variables(start.nets["net"])
    for update in range(cycles):
        support, query = tf.split(batch(start.data, update)["x"], 2)
        task = normal("meta", update, "task", 10, (6,))[0]
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                error = tf.reduce_mean((mlp(net, support)[:, 0] - tf.linalg.matvec(support, task)) ** 2)
            adapted = [w - INNER * g for w, g in zip(net, inner.gradient(error, net), strict=True)]
            loss = tf.reduce_mean((mlp(adapted, query)[:, 0] - tf.linalg.matvec(query, task)) ** 2)
        descend(outer, loss, net, RATE)
    return numbers(net)


@pytest.mark.parametrize("plan", PLANS)
def test_the_gradient_goes_through_the_inner_step(plan):
    assert_same(values(METHOD.trained(plan).nets["net"]), by_hand(METHOD.cycles))
