"""SimCLR (Chen et al. 2020, arXiv 2002.05709, equation 1): each view against all others of the batch."""

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
    normal,
    numbers,
    points,
    values,
    variables,
)

TEMPERATURE, RATE, SIZE = 0.5, 0.2, 8


class SimCLR(LossStrategy):
    """NT-Xent over 2 B views; a loss across the batch, so the phase is not separable."""

    def phases(self):
        return [Phase("contrast", self.loss, updates=["net"])]

    def loss(self, nets, batch, noise):
        views = tf.concat([batch["x"] + 0.1 * noise.normal(name, [6]) for name in "ab"], axis=0)
        z = tf.math.l2_normalize(nets["net"](views, training=True), axis=1)
        logits = z @ tf.transpose(z) / TEMPERATURE - 1e9 * tf.eye(2 * noise.examples)
        partner = tf.roll(tf.range(2 * noise.examples), noise.examples, axis=0)
        each = tf.nn.sparse_softmax_cross_entropy_with_logits(partner, logits)
        return {"nt_xent": tf.reduce_mean(tf.reshape(each, [2, -1]), axis=0)}


METHOD = Method(SimCLR, lambda: {"net": dense(8, 4)}, lambda: keras.optimizers.SGD(RATE), lambda: points(SIZE),
                lines=15)


def by_hand(cycles):
    start = METHOD.trainer("eager")
    net = variables(start.nets["net"])
    for update in range(cycles):
        x = batch(start.data, update)["x"]
        a, b = (x + 0.1 * normal("contrast", update, name, SIZE, (6,)) for name in "ab")
        with tf.GradientTape() as tape:
            z = mlp(net, tf.concat([a, b], axis=0))
            z = z / tf.norm(z, axis=1, keepdims=True)
            loss = 0.0
            for i in range(2 * SIZE):
                similar = tf.linalg.matvec(z, z[i]) / TEMPERATURE
                others = [similar[k] for k in range(2 * SIZE) if k != i]
                loss += (tf.reduce_logsumexp(others) - similar[(i + SIZE) % (2 * SIZE)]) / (2 * SIZE)
        descend(tape, loss, net, RATE)
    return numbers(net)


@pytest.mark.parametrize("plan", PLANS)
def test_each_view_is_drawn_to_its_partner(plan):
    assert_same(values(METHOD.trained(plan).nets["net"]), by_hand(METHOD.cycles))
