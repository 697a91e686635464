"""VQ-VAE (van den Oord et al. 2017, arXiv 1711.00937), with the codebook of moving averages of its appendix A.1."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from engine import LossStrategy, Phase
from tests.strategies.published.method import PLANS, Method, assert_same, batch, dense, points, values

CODES, SIZE, DECAY, BETA = 5, 3, 0.9, 0.25
START = np.random.default_rng(1).normal(size=(CODES, SIZE)).astype("float32")


class VQVAE(LossStrategy):
    """Reconstruction and commitment; the codes follow what is assigned to them."""

    def phases(self):
        return [Phase("vqvae", self.loss, updates=["encoder", "decoder"], weights={"commitment": BETA},
                      passes=["codes", "chosen"], after=self.follow, separable=True)]

    def state(self):
        return {"counts": np.ones(CODES), "sums": START}

    def book(self, state):
        return state["sums"] / state["counts"][:, None]

    def loss(self, nets, batch, noise, state):
        codes, book = nets["encoder"](batch["x"], training=True), self.book(state)
        chosen = tf.argmin(tf.reduce_sum(tf.square(codes[:, None] - book), axis=2), axis=1)
        nearest = tf.gather(book, chosen)
        decoded = nets["decoder"](codes + tf.stop_gradient(nearest - codes), training=True)
        return {"reconstruction": tf.reduce_sum(tf.square(decoded - batch["x"]), axis=1),
                "commitment": tf.reduce_sum(tf.square(codes - nearest), axis=1), "codes": codes, "chosen": chosen}

    def follow(self, nets, state, seen):
        taken = tf.one_hot(seen["chosen"], CODES)
        return {"counts": DECAY * state["counts"] + (1 - DECAY) * tf.reduce_sum(taken, axis=0),
                "sums": DECAY * state["sums"] + (1 - DECAY) * tf.matmul(taken, seen["codes"], transpose_a=True)}


def nets():
    decoder = keras.Sequential([keras.layers.Dense(8, activation="tanh"), keras.layers.Dense(6)])
    decoder.build([None, SIZE])
    return {"encoder": dense(8, SIZE), "decoder": decoder}


def sgd():
    return keras.optimizers.SGD(0.02)


VQ = Method(VQVAE, nets, sgd, lambda: points(10), lines=25)


def by_hand(cycles):
    """In plain TensorFlow and NumPy; weights of both nets, counts and sums."""
    start = VQ.trainer("eager")
    encoder, decoder = ([tf.Variable(v) for v in values(start.nets[name])] for name in ("encoder", "decoder"))
    counts, sums = np.ones(CODES, "float32"), START.copy()
    for number in range(cycles):
        x = batch(start.data, number)["x"]
        with tf.GradientTape() as tape:
            codes = tf.tanh(x @ encoder[0] + encoder[1]) @ encoder[2] + encoder[3]
            book = sums / counts[:, None]
            chosen = np.argmin(((codes.numpy()[:, None] - book) ** 2).sum(axis=2), axis=1)
            nearest = book[chosen]
            passed = codes + tf.stop_gradient(nearest - codes)  # straight through
            out = tf.tanh(passed @ decoder[0] + decoder[1]) @ decoder[2] + decoder[3]
            loss = tf.reduce_mean(tf.reduce_sum((out - x) ** 2, 1) + BETA * tf.reduce_sum((codes - nearest) ** 2, 1))
        for variable, gradient in zip([*encoder, *decoder], tape.gradient(loss, [*encoder, *decoder]), strict=True):
            variable.assign_sub(0.02 * gradient)
        for code in range(CODES):
            mine = codes.numpy()[chosen == code]
            counts[code] = DECAY * counts[code] + (1 - DECAY) * len(mine)
            sums[code] = DECAY * sums[code] + (1 - DECAY) * mine.sum(axis=0)
    return [*(v.numpy() for v in [*encoder, *decoder]), counts, sums]


@pytest.mark.parametrize("plan", PLANS)
def test_the_codebook_is_the_moving_mean_of_what_is_assigned_to_it(plan):
    trainer = VQ.trained(plan)
    state = trainer.engine.state
    found = [*values(trainer.nets["encoder"]), *values(trainer.nets["decoder"]), state["counts"], state["sums"]]
    assert_same(found, by_hand(VQ.cycles))
