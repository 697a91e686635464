"""Two learning rates in one pass: biases at twice the rate of kernels, and without their decay.

As in the reference model of Caffe (Jia et al. 2014, arXiv 1408.5093; lr_mult 1 and 2, decay_mult 1 and 0).
"""

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
    mlp,
    numbers,
    points,
    values,
    variables,
)

RATE, DECAY, MOMENTUM, CLIP = 0.05, 0.1, 0.9, 0.5


class Classes(LossStrategy):
    """Cross entropy."""

    def phases(self):
        return [Phase("fit", self.loss, updates=["net"], separable=True)]

    def loss(self, nets, batch, noise):
        logits = nets["net"](batch["x"], training=True)
        return {"error": tf.nn.sparse_softmax_cross_entropy_with_logits(batch["label"], logits)}


def two_rates(**options):
    return Update({"net/*kernel": keras.optimizers.SGD(RATE, MOMENTUM, weight_decay=DECAY),
                   "net/*bias": keras.optimizers.SGD(2 * RATE, MOMENTUM)}, **options)


FREE = Method(Classes, lambda: {"net": dense(8, 3)}, two_rates, lambda: points(10), lines=10)
CLIPPED = Method(Classes, lambda: {"net": dense(8, 3)}, lambda: two_rates(clip_norm=CLIP), lambda: points(10), lines=10)


def by_hand(method, cycles):
    """By momentum and decoupled decay: weights, and in how many updates the norm of the whole gradient was clipped."""
    start = method.trainer("eager")
    net, clipped = variables(start.nets["net"]), 0
    speeds = [np.zeros(v.shape, "float32") for v in net]
    for update in range(cycles):
        read = batch(start.data, update)
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(tf.gather(tf.nn.log_softmax(mlp(net, read["x"])), read["label"], batch_dims=1))
        derivatives = [derivative.numpy() for derivative in tape.gradient(loss, net)]
        norm = np.sqrt(sum((derivative ** 2).sum() for derivative in derivatives))  # of both groups together
        if method is CLIPPED and norm > CLIP:
            derivatives, clipped = [derivative * CLIP / norm for derivative in derivatives], clipped + 1
        for place, (variable, derivative) in enumerate(zip(net, derivatives, strict=True)):
            bias = place % 2 == 1
            rate = 2 * RATE if bias else RATE
            value = variable.numpy() * (1.0 if bias else 1.0 - rate * DECAY)
            speeds[place] = MOMENTUM * speeds[place] - rate * derivative
            variable.assign(value + speeds[place])
    return numbers(net), clipped


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("method", [FREE, CLIPPED], ids=["free", "clipped"])
def test_kernels_and_biases_move_at_their_own_rates(method, plan):
    trainer = method.trained(plan)
    expected, clipped = by_hand(method, method.cycles)
    assert (clipped > 0) == (method is CLIPPED)
    assert_same(values(trainer.nets["net"]), expected)
    assert trainer.counters.batches == method.cycles  # one pass for both
    optimizers = trainer.engine.parts["fit"].commit.update.optimizers
    assert [int(optimizer.iterations) for optimizer in optimizers] == [method.cycles] * 2
