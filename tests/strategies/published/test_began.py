"""BEGAN (Berthelot et al. 2017, arXiv 1703.10717, section 3.4): a controller k keeps two losses in balance."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from engine import LossStrategy, Phase
from tests.strategies.published.method import PLANS, Method, assert_same, batch, dense, normal, points, values

GAMMA, LAMBDA, RATE = 0.5, 0.05, 0.02


class BEGAN(LossStrategy):
    """The critic is an autoencoder; k is moved by what the critic's and the generator's losses were."""

    def phases(self):
        return [Phase("critic", self.critic, updates=["critic"], watch=["error"], after=self.keep, separable=True),
                Phase("generator", self.generator, updates=["generator"], reads=None, after=self.control)]

    def state(self):
        return {"k": 0.0, "real": 0.0}

    def error(self, nets, x):
        return tf.reduce_mean(tf.abs(nets["critic"](x, training=True) - x), axis=1)

    def critic(self, nets, batch, noise, state):
        real = self.error(nets, batch["x"])
        fake = self.error(nets, nets["generator"](noise.normal("z", [6]), training=True))
        return {"critic": real - state["k"] * fake, "error": real}

    def keep(self, nets, state, seen):
        return {"real": seen["error"]}

    def generator(self, nets, batch, noise):
        return {"fake": self.error(nets, nets["generator"](noise.normal("z", [6]), training=True))}

    def control(self, nets, state, seen):
        return {"k": tf.clip_by_value(state["k"] + LAMBDA * (GAMMA * state["real"] - seen["fake"]), 0.0, 1.0)}


def updates():
    return {"critic": keras.optimizers.SGD(RATE), "generator": keras.optimizers.SGD(RATE)}


MADE = Method(BEGAN, lambda: {"critic": dense(3, 6), "generator": dense(8, 6, kernel_initializer="zeros")}, updates,
              lambda: points(10), lines=20)


def by_hand(cycles):
    """Weights of both nets, k at the end, and k after each cycle."""
    start = MADE.trainer("eager")
    critic, generator = ([tf.Variable(v) for v in values(start.nets[name])] for name in ("critic", "generator"))
    k, path = 0.0, []

    def net(weights, x):
        return tf.tanh(x @ weights[0] + weights[1]) @ weights[2] + weights[3]

    def error(x):
        return tf.reduce_mean(tf.abs(net(critic, x) - x))

    def step(weights, tape, loss):
        for variable, gradient in zip(weights, tape.gradient(loss, weights), strict=True):
            variable.assign_sub(RATE * gradient)

    for cycle in range(cycles):
        x, z = batch(start.data, cycle)["x"], normal("critic", cycle, "z", 10, (6,))
        with tf.GradientTape() as tape:
            real = error(x)
            loss = real - k * error(net(generator, z))
        step(critic, tape, loss)
        z = normal("generator", cycle, "z", 10, (6,))
        with tf.GradientTape() as tape:
            fake = error(net(generator, z))
        step(generator, tape, fake)
        k = float(np.clip(k + LAMBDA * (GAMMA * float(real) - float(fake)), 0.0, 1.0))
        path.append(k)
    return [*(v.numpy() for v in [*critic, *generator]), k], path


@pytest.mark.parametrize("plan", PLANS)
def test_the_controller_follows_the_balance(plan):
    trainer = MADE.trained(plan)
    expected, path = by_hand(MADE.cycles)
    assert len(set(path)) > 6  # it moves
    assert_same([*values(trainer.nets["critic"]), *values(trainer.nets["generator"]), trainer.engine.state["k"]],
                expected)
