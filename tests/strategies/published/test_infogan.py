"""InfoGAN (Chen et al. 2016, arXiv 1606.03657, equation 6): a code that can be read from what the generator makes."""

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
    uniform,
    values,
    variables,
)

WEIGHT, RATE, CODES = 0.5, 0.05, 3


class InfoGAN(LossStrategy):
    """A categorical code; ``reader`` is the paper's Q, moved with the generator."""

    def phases(self):
        return [Phase("critic", self.critic, updates=["critic"], separable=True),
                Phase("generator", self.generator, updates=["generator", "reader"], reads=None, separable=True,
                      weights={"information": WEIGHT})]

    def made(self, nets, noise):
        code = tf.cast(noise.uniform("code", high=float(CODES)), tf.int32)
        fed = tf.concat([noise.normal("z", [6 - CODES]), tf.one_hot(code, CODES)], axis=1)
        return nets["generator"](fed, training=True), code

    def critic(self, nets, batch, noise):
        fake, _ = self.made(nets, noise)
        return {"real": tf.nn.softplus(-nets["critic"](batch["x"], training=True)[:, 0]),
                "fake": tf.nn.softplus(nets["critic"](fake, training=True)[:, 0])}

    def generator(self, nets, batch, noise):
        fake, code = self.made(nets, noise)
        read = nets["reader"](fake, training=True)
        return {"fool": tf.nn.softplus(-nets["critic"](fake, training=True)[:, 0]),
                "information": tf.nn.sparse_softmax_cross_entropy_with_logits(code, read)}


NETS = {"critic": (8, 1), "generator": (8, 6), "reader": (4, CODES)}
METHOD = Method(InfoGAN, lambda: {name: dense(*widths) for name, widths in NETS.items()},
                lambda: {"critic": keras.optimizers.SGD(RATE), "generator": keras.optimizers.SGD(RATE)},
                lambda: points(10))


def by_hand(cycles):
    start = METHOD.trainer("eager")
    critic, generator, reader = (variables(start.nets[name]) for name in NETS)

    def made(phase, update):
        code = tf.cast(tf.floor(CODES * uniform(phase, update, "code", 10)), tf.int32)
        z = normal(phase, update, "z", 10, (6 - CODES,))
        return mlp(generator, tf.concat([z, tf.one_hot(code, CODES)], axis=1)), code

    for update in range(cycles):
        x = batch(start.data, update)["x"]
        with tf.GradientTape() as tape:
            fake, _ = made("critic", update)
            loss = tf.reduce_mean(tf.nn.softplus(-mlp(critic, x)) + tf.nn.softplus(mlp(critic, fake)))
        descend(tape, loss, critic, RATE)
        with tf.GradientTape() as tape:
            fake, code = made("generator", update)
            told = -tf.gather(tf.nn.log_softmax(mlp(reader, fake)), code, batch_dims=1)
            loss = tf.reduce_mean(tf.nn.softplus(-mlp(critic, fake))[:, 0] + WEIGHT * told)
        descend(tape, loss, [*generator, *reader], RATE)
    return numbers([*critic, *generator, *reader])


@pytest.mark.parametrize("plan", PLANS)
def test_generator_and_reader_move_together(plan):
    trainer = METHOD.trained(plan)
    assert_same([value for name in NETS for value in values(trainer.nets[name])], by_hand(METHOD.cycles))
