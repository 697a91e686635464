"""A mean over masked tokens (BERT, Devlin et al. 2019, arXiv 1810.04805, section 3.1) in micro-batches.

The mean of the micro-batches' means is not that of the whole batch: a part with few tokens would count too much.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from engine import ArraySource, LossStrategy, Phase, Ratio, Update
from tests.strategies.published.method import (
    PLANS,
    Method,
    assert_same,
    batch,
    descend,
    mlp,
    numbers,
    uniform,
    values,
    variables,
)

TOKENS, WORDS, MASKED, RATE = 6, 5, 0.3, 0.2


class MaskedTokens(LossStrategy):
    """Tells the hidden words of a sentence from the others; sentences are of several lengths."""

    def phases(self):
        return [Phase("mask", self.loss, updates=["net"], watch=["right"], separable=True)]

    def loss(self, nets, batch, noise):
        there = tf.range(TOKENS) < batch["length"][:, None]
        hidden = there & (noise.uniform("mask", [TOKENS]) < MASKED)
        seen = tf.one_hot(tf.where(there & ~hidden, batch["words"], -1), WORDS)
        logits = tf.reshape(nets["net"](tf.reshape(seen, [-1, TOKENS * WORDS]), training=True), [-1, TOKENS, WORDS])
        each = tf.nn.sparse_softmax_cross_entropy_with_logits(batch["words"], logits)
        weights = tf.cast(hidden, tf.float32)
        right = tf.cast(tf.argmax(logits, axis=2, output_type=tf.int32) == batch["words"], tf.float32)
        return {"token": Ratio(weights * each, weights), "right": Ratio(weights * right, weights)}


def sentences(batch_size):
    """Of 1 to 6 words, each one more than the one before."""
    rng = np.random.default_rng(0)
    words = (rng.integers(WORDS, size=[60, 1]) + np.arange(TOKENS)) % WORDS
    return ArraySource({"words": words.astype("int32"), "length": rng.integers(1, TOKENS + 1, 60).astype("int32")},
                       batch_size)


def nets():
    net = keras.Sequential([keras.layers.Dense(8, activation="tanh"), keras.layers.Dense(TOKENS * WORDS)])
    net.build([None, TOKENS * WORDS])
    return {"net": net}


def sgd():
    return keras.optimizers.SGD(RATE)


WHOLE = Method(MaskedTokens, nets, sgd, lambda: sentences(12))
PARTS = Method(MaskedTokens, nets, lambda: Update(sgd(), accumulate=2), lambda: sentences(6))


def by_hand(cycles):
    """Token after token over batches of twelve; weights, tokens in each half, and the sum of their losses."""
    start = WHOLE.trainer("eager")
    net, tokens, total = variables(start.nets["net"]), [], 0.0
    for update in range(cycles):
        read = {name: value.numpy() for name, value in batch(start.data, update).items()}
        drawn = uniform("mask", update, "mask", 12, (TOKENS,)).numpy()
        hidden = [(i, j) for i in range(12) for j in range(read["length"][i]) if drawn[i, j] < MASKED]
        seen = np.zeros([12, TOKENS, WORDS], "float32")
        for i in range(12):
            for j in range(read["length"][i]):
                seen[i, j, read["words"][i, j]] = (i, j) not in hidden
        with tf.GradientTape() as tape:
            logs = tf.nn.log_softmax(tf.reshape(mlp(net, tf.constant(seen.reshape(12, -1))), [12, TOKENS, WORDS]))
            losses = [-logs[i, j, read["words"][i, j]] for i, j in hidden]
            loss = tf.add_n(losses) / len(losses)
        descend(tape, loss, net, RATE)
        tokens.append((sum(i < 6 for i, _ in hidden), sum(i >= 6 for i, _ in hidden)))
        total += float(loss) * len(losses)
    return numbers(net), tokens, total


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("method", [WHOLE, PARTS], ids=["whole", "parts"])
def test_two_micro_batches_are_one_of_twice_the_size(method, plan):
    trainer = method.trainer(plan)
    total = trainer.engine.run(method.cycles).totals["mask"]
    expected, tokens, losses = by_hand(method.cycles)
    assert all(first != second for first, second in tokens[:3])  # so that the mean of means is another number
    assert_same(values(trainer.nets["net"]), expected)
    assert float(total["token"][1]) == float(total["right"][1]) == sum(map(sum, tokens))
    assert float(total["token"][0]) == pytest.approx(losses, rel=1e-5)
