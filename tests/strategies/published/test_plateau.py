"""ReduceLROnPlateau: the rate falls once a metric has not got better for a while."""

import keras
import pytest
import tensorflow as tf

from engine import Event, Every, LossStrategy, Phase, Plateau
from tests.strategies.published.method import PLANS, Method, assert_same, batch, dense, descend, mlp, points, variables

RATE, FACTOR, PATIENCE = 0.2, 0.5, 2


class Fit(LossStrategy):
    def phases(self):
        return [Phase("fit", self.loss, updates=["net"])]

    def loss(self, nets, batch, noise):
        return {"error": tf.square(nets["net"](batch["x"], training=True)[:, 0] - tf.reduce_sum(batch["x"], axis=1))}


METHOD = Method(
    Fit, lambda: {"net": dense(8, 1)}, lambda: keras.optimizers.SGD(RATE), lambda: points(10),
    options=lambda: {"controllers": [Plateau("fit/error", factor=FACTOR, patience=PATIENCE)],
                     "events": [Event(Every(cycles=1), lambda trainer, means: trainer.note(means))]})


def by_hand(cycles):
    start = METHOD.trainer("eager")
    net, rates, rate, best, waited = variables(start.nets["net"]), [], RATE, float("inf"), 0
    for update in range(cycles):
        x = batch(start.data, update)["x"]
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((mlp(net, x)[:, 0] - tf.reduce_sum(x, axis=1)) ** 2)
        descend(tape, loss, net, rate)
        best, waited = (float(loss), 0) if loss < best else (best, waited + 1)
        if waited == PATIENCE:
            rate, waited = rate * FACTOR, 0
        rates.append(rate)
    return net, rates


@pytest.mark.parametrize("plan", PLANS)
def test_the_rate_falls_where_the_error_does_not(plan):
    trainer = METHOD.trained(plan)
    net, rates = by_hand(METHOD.cycles)
    assert 2 <= len(set(rates)) < len(rates)
    assert_same([v.numpy() for v in trainer.nets["net"].trainable_variables], [v.numpy() for v in net])
    assert float(trainer.engine.parts["fit"].commit.update.optimizer.learning_rate.numpy()) == pytest.approx(rates[-1])
