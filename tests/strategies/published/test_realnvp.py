"""RealNVP (Dinh et al. 2017, arXiv 1605.08803, equations 7 and 8): a density by invertible layers."""

import keras
import numpy as np
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
    values,
    variables,
)

RATE = 0.02


class RealNVP(LossStrategy):
    """Two affine couplings of three numbers each; minus the log likelihood in nats."""

    def phases(self):
        return [Phase("flow", self.loss, updates=["first", "second"], separable=True)]

    def couple(self, net, kept, moved):
        scale, shift = tf.split(net(tf.concat([kept, tf.zeros_like(kept)], axis=1), training=True), 2, axis=1)
        scale = tf.tanh(scale)
        return moved * tf.exp(scale) + shift, tf.reduce_sum(scale, axis=1)

    def loss(self, nets, batch, noise):
        a, b = tf.split(batch["x"], 2, axis=1)
        b, first = self.couple(nets["first"], a, b)
        a, second = self.couple(nets["second"], b, a)
        z = tf.concat([a, b], axis=1)
        return {"nll": 0.5 * tf.reduce_sum(tf.square(z) + np.log(2 * np.pi), axis=1) - first - second}


METHOD = Method(RealNVP, lambda: {"first": dense(8, 6), "second": dense(8, 6)}, lambda: keras.optimizers.SGD(RATE),
                lambda: points(10))


def by_hand(cycles):
    """The log determinant by the Jacobian itself."""
    start = METHOD.trainer("eager")
    first, second = variables(start.nets["first"]), variables(start.nets["second"])

    def flow(x):
        a, b = x[:, :3], x[:, 3:]
        out = mlp(first, tf.concat([a, 0 * a], 1))
        b = b * tf.exp(tf.tanh(out[:, :3])) + out[:, 3:]
        out = mlp(second, tf.concat([b, 0 * b], 1))
        return tf.concat([a * tf.exp(tf.tanh(out[:, :3])) + out[:, 3:], b], axis=1)

    for update in range(cycles):
        x = batch(start.data, update)["x"]
        with tf.GradientTape() as tape:
            with tf.GradientTape() as inner:
                inner.watch(x)
                z = flow(x)
            volume = tf.math.log(tf.abs(tf.linalg.det(inner.batch_jacobian(z, x))))
            loss = tf.reduce_mean(0.5 * tf.reduce_sum(z**2, axis=1) + 3 * np.log(2 * np.pi) - volume)
        descend(tape, loss, [*first, *second], RATE)
    return numbers([*first, *second])


@pytest.mark.parametrize("plan", PLANS)
def test_it_is_the_density_of_the_change_of_variables(plan):
    trainer = METHOD.trained(plan)
    assert_same([*values(trainer.nets["first"]), *values(trainer.nets["second"])], by_hand(METHOD.cycles))
