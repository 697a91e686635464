"""DANN (Ganin et al. 2016, arXiv 1505.07818, section 4.2): features that do not tell where an example comes from."""

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
    dense,
    mlp,
    numbers,
    points,
    values,
    variables,
)

RATE, SOURCE, TARGET, HIDDEN, LONG = 0.1, 4, 10, 5, 12


@tf.custom_gradient
def reverse(x, strength):
    """Equations 16 and 17: the identity, whose gradient is turned round."""
    return tf.identity(x), lambda upstream: (-strength * upstream, None)


class DANN(LossStrategy):
    """Labels of the source, the domain of both; the reversal grows with the progress p (section 5.2.2)."""

    def phases(self):
        return [Phase("adapt", self.loss, updates=["features", "classes", "domains"], reads=["source", "target"],
                      separable=True)]

    def loss(self, nets, batch, noise):
        strength = 2.0 / (1.0 + tf.exp(-10.0 * tf.cast(noise.update, tf.float32) / LONG)) - 1.0
        terms = {}
        for name, domain in (("source", 0.0), ("target", 1.0)):
            features = nets["features"](batch[name]["x"], training=True)
            logits = nets["domains"](reverse(features, strength), training=True)[:, 0]
            terms[name] = tf.nn.sigmoid_cross_entropy_with_logits(domain * tf.ones_like(logits), logits)
            if name == "source":
                classes = nets["classes"](features, training=True)
                terms["label"] = tf.nn.sparse_softmax_cross_entropy_with_logits(batch[name]["label"], classes)
        return terms


def nets():
    heads = {"classes": keras.Sequential([keras.layers.Dense(3)]),
             "domains": keras.Sequential([keras.layers.Dense(6, activation="tanh"), keras.layers.Dense(1)])}
    for head in heads.values():
        head.build([None, HIDDEN])
    return {"features": dense(8, HIDDEN), **heads}


METHOD = Method(DANN, nets, lambda: keras.optimizers.SGD(RATE),
                lambda: {"source": points(SOURCE, examples=20), "target": points(TARGET, seed=1, examples=64)},
                lines=20)


def by_hand(cycles):
    """Equations 10 and 11 to 13 without a reversal: two objectives, each for its own weights."""
    start = METHOD.trainer("eager")
    features, classes, domains = (variables(start.nets[name]) for name in ("features", "classes", "domains"))
    few, many = start.engine.sources.values()
    strengths = []
    for update in range(cycles):
        source, target = batch(few, update), batch(many, update)
        strength = 2 / (1 + np.exp(-10 * update / LONG)) - 1
        with tf.GradientTape(persistent=True) as tape:
            here, there = mlp(features, source["x"]), mlp(features, target["x"])
            label = -tf.reduce_mean(tf.gather(tf.nn.log_softmax(here @ classes[0] + classes[1]), source["label"],
                                              batch_dims=1))
            domain = (-tf.reduce_mean(tf.math.log_sigmoid(-mlp(domains, here)))
                      - tf.reduce_mean(tf.math.log_sigmoid(mlp(domains, there))))
            both = label - strength * domain
        steps = [*zip(features, tape.gradient(both, features), strict=True),
                 *zip(classes, tape.gradient(label, classes), strict=True),
                 *zip(domains, tape.gradient(domain, domains), strict=True)]
        for variable, gradient in steps:
            variable.assign_sub(RATE * gradient)
        strengths.append(strength)
    return numbers([*features, *classes, *domains]), strengths


@pytest.mark.parametrize("plan", PLANS)
def test_the_features_climb_what_the_domains_descend(plan):
    trainer = METHOD.trainer(plan)
    total = trainer.engine.run(METHOD.cycles).totals["adapt"]
    expected, strengths = by_hand(METHOD.cycles)
    assert strengths[0] == 0 and strengths[-1] > 0.99
    found = [value for name in ("features", "classes", "domains") for value in values(trainer.nets[name])]
    assert_same(found, expected)
    assert trainer.engine.batches == {"source": 12, "target": 12}
    assert (total["source"][1], total["target"][1]) == (12 * SOURCE, 12 * TARGET)
