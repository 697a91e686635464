"""MoCo (He et al. 2020, arXiv 1911.05722, algorithm 1): a queue of keys from a slowly moving encoder."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from engine import LossStrategy, Phase, average_of
from tests.strategies.published.method import PLANS, Method, assert_same, batch, dense, normal, points, values

QUEUE, SIZE, DECAY, TEMPERATURE, RATE = 20, 4, 0.95, 0.2, 0.1
START = np.random.default_rng(1).normal(size=(QUEUE, SIZE)).astype("float32")
START /= np.linalg.norm(START, axis=1, keepdims=True)


class MoCo(LossStrategy):
    """Each query against its own key and those in the queue; the newest keys push the oldest out."""

    def phases(self):
        return [Phase("contrast", self.loss, updates=["query"], passes=["keys"], after=self.push, separable=True)]

    def state(self):
        return {"queue": START}

    def push(self, nets, state, seen):
        return {"queue": tf.concat([seen["keys"], state["queue"]], axis=0)[:QUEUE]}

    def loss(self, nets, batch, noise, state):
        queries = tf.math.l2_normalize(nets["query"](batch["x"] + 0.1 * noise.normal("q", [6]), training=True), axis=1)
        keys = tf.math.l2_normalize(nets["key"](batch["x"] + 0.1 * noise.normal("k", [6]), training=True), axis=1)
        positive = tf.reduce_sum(queries * tf.stop_gradient(keys), axis=1, keepdims=True)
        logits = tf.concat([positive, queries @ tf.transpose(state["queue"])], axis=1) / TEMPERATURE
        return {"info_nce": tf.reduce_logsumexp(logits, axis=1) - logits[:, 0], "keys": keys}


MOCO = Method(MoCo, lambda: {"query": dense(8, SIZE), "key": average_of("query", DECAY)},
              lambda: keras.optimizers.SGD(RATE), lambda: points(6), lines=20)


def by_hand(cycles):
    """Weights of the query encoder and the key encoder, and the queue."""
    start = MOCO.trainer("eager")
    query, key = ([tf.Variable(v) for v in values(start.nets["query"])] for _ in range(2))
    queue = START.copy()

    def encode(weights, x):
        return tf.math.l2_normalize(tf.tanh(x @ weights[0] + weights[1]) @ weights[2] + weights[3], axis=1)

    for update in range(cycles):
        x = batch(start.data, update)["x"]
        views = [x + 0.1 * normal("contrast", update, name, 6, (6,)) for name in "qk"]
        keys = encode(key, views[1]).numpy()
        with tf.GradientTape() as tape:
            queries = encode(query, views[0])
            logits = tf.concat([tf.reduce_sum(queries * keys, 1, keepdims=True), queries @ queue.T], 1) / TEMPERATURE
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits([0] * 6, logits))
        for variable, gradient in zip(query, tape.gradient(loss, query), strict=True):
            variable.assign_sub(RATE * gradient)
        for average, variable in zip(key, query, strict=True):
            average.assign(DECAY * average + (1 - DECAY) * variable)
        queue = np.concatenate([keys, queue])[:QUEUE]
    return [*(v.numpy() for v in [*query, *key]), queue]


@pytest.mark.parametrize("plan", PLANS)
def test_the_queue_holds_the_last_keys_of_unit_length(plan):
    trainer = MOCO.trained(plan)
    queue = trainer.engine.state["queue"].numpy()
    assert_same([*values(trainer.nets["query"]), *values(trainer.nets["key"]), queue], by_hand(MOCO.cycles))
    np.testing.assert_allclose(np.linalg.norm(queue, axis=1), 1.0, rtol=1e-5)
