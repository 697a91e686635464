"""SAM (Foret et al. 2021, arXiv 2010.01412, algorithm 1): the gradient where the loss is highest nearby.

Three times: as a loss of its own, with dropout and batch normalisation, by ``engine.at``; as ``Update(gradient=...)``
of a user's own; and by ``losses.gradients``, its adaptive form (Kwon et al. 2021, arXiv 2102.11600) too.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from engine import LossStrategy, Phase, Update, at, weights_of
from losses.gradients import sharpness_aware
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

RADIUS, RATE = 0.05, 0.1


def ascended(weights, gradients):
    norm = tf.linalg.global_norm(gradients) + 1e-12
    return [w + RADIUS * g / norm for w, g in zip(weights, gradients, strict=True)]


def adaptively(weights, gradients):
    scales = [tf.abs(w) + 0.01 for w in weights]
    norm = tf.linalg.global_norm([t * g for t, g in zip(scales, gradients, strict=True)])
    return [w + 0.5 * t * t * g / norm for w, t, g in zip(weights, scales, gradients, strict=True)]


class SAM(LossStrategy):
    """The loss at weights moved up its own gradient; what moves there is constant (equation 2)."""

    def phases(self):
        return [Phase("fit", self.loss, updates=["net"])]

    def error(self, nets, batch):
        return tf.square(nets["net"](batch["x"], training=True)[:, 0] - tf.reduce_sum(batch["x"], axis=1))

    def loss(self, nets, batch, noise):
        weights = weights_of(nets["net"])
        with tf.GradientTape() as tape:
            tape.watch(weights)
            error = tf.reduce_mean(self.error(nets, batch))
        with at(nets["net"], [tf.stop_gradient(w - v) + v for w, v in zip(
                ascended(weights, tape.gradient(error, weights)), weights, strict=True)]):
            return {"error": self.error(nets, batch)}


class Plain(SAM):
    """The loss alone: the ascent is the update's."""

    def loss(self, nets, batch, noise):
        return {"error": self.error(nets, batch)}


def by_gradient(pull):
    return pull.gradients(at=ascended(pull.weights, pull.gradients()[0]))[0]


def normalised():
    net = keras.Sequential([keras.layers.Dense(5), keras.layers.BatchNormalization(momentum=0.5),
                            keras.layers.Dropout(0.5), keras.layers.Dense(1)])
    net.build([None, 6])
    return net


LOSS = Method(SAM, lambda: {"net": normalised()}, lambda: keras.optimizers.SGD(RATE), lambda: points(10))
GRADIENT, SHIPPED, ADAPTIVE = (
    Method(Plain, lambda: {"net": dense(8, 1)}, lambda each=each: Update(keras.optimizers.SGD(RATE), gradient=each),
           lambda: points(10))
    for each in (by_gradient, sharpness_aware(RADIUS), sharpness_aware(0.5, adaptive=True)))
DENSE = Method(SAM, lambda: {"net": dense(8, 1)}, lambda: keras.optimizers.SGD(RATE), lambda: points(10))


def by_hand(cycles, uphill):
    start = DENSE.trainer("eager")
    net = variables(start.nets["net"])
    for update in range(cycles):
        x = batch(start.data, update)["x"]

        def gradient(weights, x=x):
            with tf.GradientTape() as tape:
                tape.watch(weights)
                loss = tf.reduce_mean((mlp(weights, x)[:, 0] - tf.reduce_sum(x, axis=1)) ** 2)
            return tape.gradient(loss, weights)

        here = [tf.convert_to_tensor(v) for v in net]
        for variable, derivative in zip(net, gradient(uphill(here, gradient(here))), strict=True):
            variable.assign_sub(RATE * derivative)
    return numbers(net)


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("method", [DENSE, GRADIENT, SHIPPED, ADAPTIVE], ids=["loss", "own", "shipped", "adaptive"])
def test_the_step_is_the_gradient_uphill(method, plan):
    trainer = method.trainer(plan)
    expected = by_hand(method.cycles, adaptively if method is ADAPTIVE else ascended)
    report = trainer.engine.run(method.cycles)
    assert not report.fault
    assert_same(values(trainer.nets["net"]), expected)


@pytest.mark.parametrize("plan", PLANS)
def test_statistics_and_dropout_go_on(plan):
    """Statistics move in both passes: 2 updates of them in each; the mask is another one each time."""
    trainer = LOSS.trainer(plan)
    net, losses = trainer.nets["net"], []
    x = batch(trainer.data, 0)["x"]
    mean = np.asarray(x @ net.layers[0].kernel).mean(axis=0)
    for update in range(6):
        losses.append(float(trainer.engine.run(1).totals["fit"]["error"][0]))
        if update == 0:  # 0.5 of the mean at the weights, then 0.5 of that uphill, which is near
            np.testing.assert_allclose(net.layers[1].moving_mean.numpy(), 0.75 * mean, atol=0.1 * np.abs(mean).max())
    assert len(set(losses)) == 6
