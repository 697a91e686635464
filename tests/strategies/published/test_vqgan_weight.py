"""VQGAN's adaptive weight (Esser et al. 2021, arXiv 2012.09841, equation 7): a ratio of gradients at the last layer.

As a user's own function, and by ``losses.gradients``, there with a factor of its own for the adversarial term.
"""

import keras
import pytest
import tensorflow as tf

from engine import LossStrategy, Phase, Update
from losses.gradients import adaptive_weight
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

RATE, DELTA = 0.05, 1e-6


class Autoencoder(LossStrategy):
    def phases(self):
        return [Phase("autoencoder", self.loss, updates=["net"], separable=True)]

    def loss(self, nets, batch, noise):
        decoded = nets["net"](batch["x"], training=True)
        return {"reconstruction": tf.reduce_sum(tf.square(decoded - batch["x"]), axis=1),
                "adversarial": -nets["critic"](decoded)[:, 0]}


def adaptive(pull):
    reconstruction, adversarial = pull.gradients({"reconstruction": 1.0}, {"adversarial": 1.0})
    last = [path.endswith("kernel") for path in pull.paths].index(True, 1)
    weight = tf.norm(reconstruction[last]) / (tf.norm(adversarial[last]) + DELTA)
    return [a + weight * b for a, b in zip(reconstruction, adversarial, strict=True)]


class Weighed(Autoencoder):
    def phases(self):
        return [Phase("autoencoder", self.loss, updates=["net"], separable=True, weights={"adversarial": 0.8})]


METHOD, SHIPPED, WEIGHED = (
    Method(strategy, lambda: {"net": dense(4, 6, name="last"), "critic": dense(8, 1)},
           lambda each=each: Update(keras.optimizers.SGD(RATE), gradient=each), lambda: points(10))
    for strategy, each in ((Autoencoder, adaptive), *((strategy, adaptive_weight(
        "adversarial", "reconstruction", "net/*last/kernel", smallest=DELTA)) for strategy in (Autoencoder, Weighed))))


def by_hand(cycles, factor):
    start = METHOD.trainer("eager")
    net, critic = variables(start.nets["net"]), variables(start.nets["critic"])
    for update in range(cycles):
        x = batch(start.data, update)["x"]
        with tf.GradientTape(persistent=True) as tape:
            decoded = mlp(net, x)
            first = tf.reduce_mean(tf.reduce_sum((decoded - x) ** 2, axis=1))
            second = -tf.reduce_mean(mlp(critic, decoded))
        weight = tf.norm(tape.gradient(first, net[2])) / (tf.norm(tape.gradient(second, net[2])) + DELTA)
        for variable, a, b in zip(net, tape.gradient(first, net), tape.gradient(second, net), strict=True):
            variable.assign_sub(RATE * (a + factor * weight * b))
    return numbers(net)


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("method", [METHOD, SHIPPED, WEIGHED], ids=["own", "shipped", "weighed"])
def test_both_terms_pull_alike_at_the_last_layer(method, plan):
    expected = by_hand(method.cycles, 0.8 if method is WEIGHED else 1.0)
    assert_same(values(method.trained(plan).nets["net"]), expected)
