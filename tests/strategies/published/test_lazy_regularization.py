"""StyleGAN2's lazy regularization (Karras et al. 2020, arXiv 1912.04958, section 3.1).

R1 (Mescheder et al. 2018) is computed in every fourth cycle only, weighed four times, by the critic's own optimizer.
"""

import keras
import pytest
import tensorflow as tf

from engine import LossStrategy, Phase
from tests.strategies.published.method import PLANS, Method, assert_same, batch, dense, normal, points, values

EVERY, GAMMA, RATE = 4, 2.0, 0.02


class LazyR1(LossStrategy):
    """The non-saturating GAN with R1 on its own clock."""

    def phases(self):
        return [Phase("critic", self.critic, updates=["critic"], separable=True),
                Phase("r1", self.r1, updates=["critic"], every=EVERY, reads="same", weights={"r1": GAMMA / 2 * EVERY}),
                Phase("generator", self.generator, updates=["generator"], reads=None)]

    def critic(self, nets, batch, noise):
        fake = nets["generator"](noise.normal("z", [6]), training=True)
        scores = nets["critic"](batch["x"], training=True), nets["critic"](fake, training=True)
        return {"real": tf.nn.softplus(-scores[0][:, 0]), "fake": tf.nn.softplus(scores[1][:, 0])}

    def r1(self, nets, batch, noise):
        with tf.GradientTape() as tape:
            tape.watch(batch["x"])
            scores = nets["critic"](batch["x"], training=True)
        return {"r1": tf.reduce_sum(tf.square(tape.gradient(scores, batch["x"])), axis=1)}

    def generator(self, nets, batch, noise):
        scores = nets["critic"](nets["generator"](noise.normal("z", [6]), training=True), training=True)
        return {"fool": tf.nn.softplus(-scores[:, 0])}


def updates():
    shared = keras.optimizers.Adam(RATE, beta_1=0.5)
    return {"critic": shared, "r1": shared, "generator": keras.optimizers.Adam(RATE, beta_1=0.5)}


LAZY = Method(LazyR1, lambda: {"critic": dense(8, 1), "generator": dense(8, 6)}, updates, lambda: points(10), lines=25)


def by_hand(cycles):
    """The same loop by hand, with Keras's Adam; weights of the critic and the generator."""
    start = LAZY.trainer("eager")
    source = start.data
    critic, generator = ([keras.Variable(v) for v in values(start.nets[name])] for name in ("critic", "generator"))
    optimizers = {"critic": keras.optimizers.Adam(RATE, beta_1=0.5),
                  "generator": keras.optimizers.Adam(RATE, beta_1=0.5)}

    def net(weights, x):
        return tf.tanh(x @ weights[0] + weights[1]) @ weights[2] + weights[3]

    def step(name, weights, loss):
        with tf.GradientTape() as tape:
            objective = tf.reduce_mean(loss())
        gradients = zip(tape.gradient(objective, [v.value for v in weights]), weights, strict=True)
        optimizers[name].build(weights)
        optimizers[name].apply_gradients([pair for pair in gradients if pair[0] is not None])

    def r1(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            scores = net(critic, x)
        return GAMMA / 2 * EVERY * tf.reduce_sum(tf.square(tape.gradient(scores, x)), axis=1)

    for cycle in range(cycles):
        x = batch(source, cycle)["x"]
        z = normal("critic", cycle, "z", 10, (6,))
        step("critic", critic, lambda x=x, z=z: tf.nn.softplus(-net(critic, x)[:, 0])
             + tf.nn.softplus(net(critic, net(generator, z))[:, 0]))
        if cycle % EVERY == 0:
            step("critic", critic, lambda x=x: r1(x))
        z = normal("generator", cycle, "z", 10, (6,))
        step("generator", generator, lambda z=z: tf.nn.softplus(-net(critic, net(generator, z))[:, 0]))
    return [v.numpy() for v in [*critic, *generator]]


@pytest.mark.parametrize("plan", PLANS)
def test_the_penalty_has_its_own_clock_and_the_critics_optimizer(plan):
    trainer = LAZY.trained(plan)
    assert trainer.counters.updates == {"critic": 12, "r1": 3, "generator": 12}
    assert trainer.counters.batches == 12  # the penalty reads the critic's batch
    assert_same([*values(trainer.nets["critic"]), *values(trainer.nets["generator"])], by_hand(12))
