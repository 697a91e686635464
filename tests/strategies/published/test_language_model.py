"""A recurrent language model (Mikolov et al. 2010, "Recurrent neural network based language model", equations 1 to 3).

Sentences of 2 to 12 words in buckets of 4, 8 and 12; the mean is over the words that there are, in both micro-batches.
"""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from engine import BucketedSource, DatasetSource, LossStrategy, Phase, Ratio, Update
from engine.data.source import BUCKET
from tests.strategies.published.method import PLANS, Method, assert_same, batch, descend, numbers, values, variables

WORDS, UNITS, RATE, BUCKETS = 7, 6, 0.5, (4, 8, 12)


class LanguageModel(LossStrategy):
    """The cross entropy of each next word."""

    def phases(self):
        return [Phase("words", self.loss, updates=["net"], separable=True)]

    def loss(self, nets, batch, noise):
        logits = nets["net"](batch["words"][:, :-1], training=True)
        there = tf.sequence_mask(batch["length"] - 1, batch["words"].shape[1] - 1, tf.float32)
        each = tf.nn.sparse_softmax_cross_entropy_with_logits(batch["words"][:, 1:], logits)
        return {"word": Ratio(there * each, there)}


def sentences():
    """Each word is one or two more than the one before."""
    rng = np.random.default_rng(0)
    return [(rng.integers(WORDS) + np.cumsum(rng.integers(1, 3, length))).astype("int32") % WORDS
            for length in rng.integers(2, 13, 60)]


def bucketed(batch_size):
    return BucketedSource({"words": sentences()}, batch_size, BUCKETS)


def ragged():
    dataset = tf.data.Dataset.from_generator(lambda: ({"words": words} for words in sentences()),
                                             output_signature={"words": tf.TensorSpec([None], tf.int32)})
    return DatasetSource(dataset, 6, buckets=BUCKETS)


def nets():
    net = keras.Sequential([keras.layers.Embedding(WORDS, UNITS), keras.layers.SimpleRNN(UNITS, return_sequences=True),
                            keras.layers.Dense(WORDS)])
    net.build([None, None])
    return {"net": net}


def sgd():
    return keras.optimizers.SGD(RATE)


WHOLE = Method(LanguageModel, nets, sgd, lambda: bucketed(6), lines=15)
PARTS = Method(LanguageModel, nets, lambda: Update(sgd(), accumulate=2), lambda: bucketed(3))
RAGGED = Method(LanguageModel, nets, sgd, ragged)


def by_hand(method, micro):
    """Word after word on the sentences as they are, without padding. Weights, words, and the buckets of the batches."""
    start = method.trainer("eager")
    net, counted, buckets = variables(start.nets["net"]), 0, []
    reader = start.data.open(0)
    for update in range(method.cycles):
        read = [dict(start.data.batch(tf.constant(micro * update + i, tf.int64), reader)) if reader else
                batch(start.data, micro * update + i) for i in range(micro)]
        buckets.append([int(each[BUCKET][0]) for each in read])
        rows = [row[:length] for each in read
                for row, length in zip(each["words"].numpy(), each["length"].numpy(), strict=True)]
        with tf.GradientTape() as tape:
            losses = []
            for row in rows:
                state = tf.zeros([1, UNITS])
                for word, following in itertools.pairwise(row):
                    state = tf.tanh(net[0][word][None] @ net[1] + state @ net[2] + net[3])
                    losses.append(-tf.nn.log_softmax(state @ net[4] + net[5])[0, following])
            loss = tf.add_n(losses) / len(losses)
        descend(tape, loss, net, RATE)
        counted += len(losses)
    return numbers(net), counted, buckets


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("method, micro", [(WHOLE, 1), (PARTS, 2), (RAGGED, 1)], ids=["whole", "parts", "ragged"])
def test_each_update_is_that_of_the_sentences_without_padding(method, micro, plan):
    trainer = method.trainer(plan)
    total = trainer.engine.run(method.cycles).totals["words"]
    expected, counted, buckets = by_hand(method, micro)
    assert {bucket for each in buckets for bucket in each} == {0, 1, 2}
    assert micro == 1 or any(first != second for first, second in buckets)
    assert float(total["word"][1]) == counted
    assert_same(values(trainer.nets["net"]), expected)
