"""GradNorm (Chen et al. 2018, arXiv 1711.02257, algorithm 1): tasks are weighed so that they learn at one pace."""

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
    values,
    variables,
)

ALPHA, STEP, RATE, NAMES = 1.5, 0.05, 0.02, ("sum", "product")


class GradNorm(LossStrategy):
    """Weights of the tasks are state; ``norms`` and first losses too. Equation 2's gradient is by hand: +- the norm."""

    def phases(self):
        return [Phase("tasks", self.loss, updates=["net"], separable=True, after=self.balance)]

    def state(self):
        return {"weights": np.ones(2), "first": np.zeros(2)}

    def loss(self, nets, batch, noise):
        y, x = nets["net"](batch["x"], training=True), batch["x"]
        return {"sum": tf.square(y[:, 0] - tf.reduce_sum(x, axis=1)), "product": tf.square(y[:, 1] - x[:, 0] * x[:, 1])}

    def weighed(self, pull):
        parts = pull.gradients(*({name: 1.0} for name in NAMES))
        return [pull.state["weights"][0] * a + pull.state["weights"][1] * b for a, b in zip(*parts, strict=True)]

    def balance(self, nets, state, seen):
        losses = tf.stack([seen[name] for name in NAMES])
        first = tf.where(state["first"] > 0, state["first"], losses)
        pace = losses / first
        wanted = tf.pow(pace / tf.reduce_mean(pace), ALPHA)
        weights = tf.maximum(state["weights"] - STEP * tf.sign(state["weights"] - wanted), 0.01)
        return {"weights": 2.0 * weights / tf.reduce_sum(weights), "first": first}


def update():
    return Update(keras.optimizers.SGD(RATE), gradient=GradNorm().weighed)


METHOD = Method(GradNorm, lambda: {"net": dense(8, 2)}, update, lambda: points(10))


def by_hand(cycles):
    start = METHOD.trainer("eager")
    net, weights, first = variables(start.nets["net"]), np.ones(2, "float32"), None
    for number in range(cycles):
        x = batch(start.data, number)["x"]
        with tf.GradientTape() as tape:
            y = mlp(net, x)
            losses = [tf.reduce_mean((y[:, 0] - tf.reduce_sum(x, 1)) ** 2), tf.reduce_mean((y[:, 1] - x[:, 0] * x[:, 1])
                                                                                           ** 2)]
            loss = weights[0] * losses[0] + weights[1] * losses[1]
        descend(tape, loss, net, RATE)
        now = np.array([float(each) for each in losses], "float32")
        first = now if first is None else first
        pace = now / first
        weights = np.maximum(weights - STEP * np.sign(weights - (pace / pace.mean()) ** ALPHA), 0.01)
        weights = (2 * weights / weights.sum()).astype("float32")
    return [*numbers(net), weights]


@pytest.mark.parametrize("plan", PLANS)
def test_tasks_are_weighed_by_their_pace(plan):
    trainer = METHOD.trained(plan)
    expected = by_hand(METHOD.cycles)
    assert abs(expected[-1][0] - 1.0) > 0.01
    assert_same([*values(trainer.nets["net"]), trainer.engine.state["weights"]], expected)
