"""Adversarial training by PGD-7 (Madry et al. 2018, arXiv 1706.06083, section 2.1)."""

import keras
import pytest
import tensorflow as tf

from engine import LossStrategy, Phase
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
    uniform,
    values,
    variables,
)

RADIUS, STEP, STEPS, RATE = 0.3, 0.1, 7, 0.1


class PGD(LossStrategy):
    """The loss at the worst input in a box around each example, from a random start."""

    def phases(self):
        return [Phase("fit", self.loss, updates=["net"], separable=True)]

    def error(self, nets, x, label):
        return tf.nn.sparse_softmax_cross_entropy_with_logits(label, nets["net"](x, training=True))

    def loss(self, nets, batch, noise):
        x, worst = batch["x"], batch["x"] + noise.uniform("start", [6], -RADIUS, RADIUS)
        for _ in range(STEPS):
            with tf.GradientTape() as tape:
                tape.watch(worst)
                error = tf.reduce_sum(self.error(nets, worst, batch["label"]))
            worst = tf.clip_by_value(worst + STEP * tf.sign(tape.gradient(error, worst)), x - RADIUS, x + RADIUS)
            worst = tf.stop_gradient(worst)
        return {"worst": self.error(nets, worst, batch["label"])}


METHOD = Method(PGD, lambda: {"net": dense(8, 3)}, lambda: keras.optimizers.SGD(RATE), lambda: points(10))


def by_hand(cycles):
    start = METHOD.trainer("eager")
    net = variables(start.nets["net"])

    def error(x, label):
        return -tf.reduce_sum(tf.gather(tf.nn.log_softmax(mlp(net, x)), label, batch_dims=1))

    for update in range(cycles):
        read = batch(start.data, update)
        x, label = read["x"], read["label"]
        worst = x + 2 * RADIUS * uniform("fit", update, "start", 10, (6,)) - RADIUS
        for _ in range(STEPS):
            with tf.GradientTape() as tape:
                tape.watch(worst)
                told = error(worst, label)
            moved = worst + STEP * tf.sign(tape.gradient(told, worst))
            worst = x + tf.clip_by_value(moved - x, -RADIUS, RADIUS)
        with tf.GradientTape() as tape:
            loss = error(worst, label) / 10
        descend(tape, loss, net, RATE)
    return numbers(net)


@pytest.mark.parametrize("plan", PLANS)
def test_the_loss_is_at_the_worst_input(plan):
    assert_same(values(METHOD.trained(plan).nets["net"]), by_hand(METHOD.cycles))
