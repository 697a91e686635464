"""DDPM (Ho et al. 2020, arXiv 2006.11239, algorithm 1 and equation 14): a net tells the noise that was added."""

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
    descend,
    mlp,
    normal,
    numbers,
    points,
    uniform,
    values,
    variables,
)

STEPS, RATE = 20, 0.1


class DDPM(LossStrategy):
    """A linear schedule (section 4), or the cosine one (Nichol and Dhariwal 2021, arXiv 2102.09672, equation 17)."""

    def __init__(self, schedule="linear"):
        if schedule == "linear":
            self.kept = np.cumprod(1.0 - np.linspace(1e-3, 0.3, STEPS)).astype("float32")  # alpha bar
        else:
            f = np.cos((np.arange(STEPS + 1) / STEPS + 0.008) / 1.008 * np.pi / 2) ** 2
            self.kept = np.cumprod(1.0 - np.minimum(1.0 - f[1:] / f[:-1], 0.999)).astype("float32")

    def phases(self):
        return [Phase("denoise", self.loss, updates=["net"], separable=True)]

    def loss(self, nets, batch, noise):
        step = tf.cast(noise.uniform("step") * STEPS, tf.int32)  # the paper counts from 1
        epsilon, kept = noise.normal("epsilon", [6]), tf.gather(self.kept, step)[:, None]
        noisy = tf.sqrt(kept) * batch["x"] + tf.sqrt(1.0 - kept) * epsilon
        time = tf.cast(step, tf.float32)[:, None] / STEPS
        told = nets["net"](tf.concat([noisy, time], axis=1), training=True)
        return {"error": tf.reduce_sum(tf.square(epsilon - told), axis=1)}


def nets():
    net = keras.Sequential([keras.layers.Dense(16, activation="tanh"), keras.layers.Dense(6)])
    net.build([None, 7])
    return {"net": net}


def method(schedule):
    return Method(DDPM, nets, lambda: keras.optimizers.SGD(RATE), lambda: points(10), lines=25,
                  arguments={"schedule": schedule})


LINEAR, COSINE = method("linear"), method("cosine")


def by_hand(method, cycles):
    """The noise of equation 2, step for step: weights, and the timesteps that were drawn."""
    start = method.trainer("eager")
    net, drawn = variables(start.nets["net"]), []
    if method is LINEAR:
        betas = [1e-3 + (0.3 - 1e-3) * t / (STEPS - 1) for t in range(STEPS)]
    else:
        f = [np.cos((t / STEPS + 0.008) / 1.008 * np.pi / 2) ** 2 for t in range(STEPS + 1)]
        betas = [min(1.0 - f[t + 1] / f[t], 0.999) for t in range(STEPS)]
    for update in range(cycles):
        x, epsilon = batch(start.data, update)["x"].numpy(), normal("denoise", update, "epsilon", 10, (6,)).numpy()
        steps = [int(u * STEPS) for u in uniform("denoise", update, "step", 10).numpy()]
        inputs = np.empty([10, 7], "float32")
        for i, t in enumerate(steps):
            scale, variance = 1.0, 0.0
            for beta in betas[:t + 1]:  # one step: x sqrt(1 - beta) + sqrt(beta) of new noise
                scale, variance = scale * np.sqrt(1.0 - beta), variance * (1.0 - beta) + beta
            inputs[i] = [*(scale * x[i] + np.sqrt(variance) * epsilon[i]), t / STEPS]
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum((mlp(net, tf.constant(inputs)) - epsilon) ** 2) / 10
        descend(tape, loss, net, RATE)
        drawn += steps
    return numbers(net), drawn


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("method", [LINEAR, COSINE], ids=["linear", "cosine"])
def test_the_net_learns_the_noise_of_every_timestep(method, plan):
    trainer = method.trained(plan)
    expected, drawn = by_hand(method, method.cycles)
    assert set(drawn) == set(range(STEPS))  # the first and the last, too
    assert_same(values(trainer.nets["net"]), expected)


@pytest.mark.parametrize("method", [LINEAR, COSINE], ids=["linear", "cosine"])
def test_nothing_is_left_of_an_example_at_the_end(method):
    kept = DDPM(**method.arguments).kept
    assert np.all(np.diff(kept) < 0) and kept[0] > 0.98 and kept[-1] < 0.05
