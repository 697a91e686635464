"""A false ``separable=True`` is refused before the first update; a true one is not."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from engine import ArraySource, Invalid, LossStrategy, Phase, Ratio, Trainer, Update, prepare

ROWS = {"x": np.random.default_rng(0).normal(size=(32, 3)).astype(np.float32)}


class Claim(LossStrategy):
    """One phase that says it is separable."""

    def __init__(self, terms):
        self.terms = terms

    def phases(self):
        return [Phase("net", self.loss, updates=["net"], separable=True)]

    def loss(self, nets, batch, noise):
        return self.terms(nets["net"](batch["x"], training=True), noise)


def trainer(terms, plan="halves", transform=None, accumulate=1, dropout=0.0):
    prepare(0)
    net = keras.Sequential([keras.layers.Dense(4, activation="relu"), keras.layers.Dropout(dropout),
                            keras.layers.Dense(1)])
    options = {} if transform is None else {"transform": transform}
    return Trainer(Claim(terms), {"net": net}, Update(keras.optimizers.SGD(0.1), accumulate=accumulate),
                   ArraySource(ROWS, 8, **options), plan=plan)


def contrastive(y, noise):
    return {"loss": tf.reduce_sum(tf.abs(y - tf.transpose(y)), axis=1)}


def centred(y, noise):
    return {"loss": (y - tf.reduce_mean(y))[:, 0] ** 2}


def fraction_of_the_largest(y, noise):
    weights = tf.nn.softmax(y[:, 0])
    return {"loss": Ratio(y[:, 0] ** 2 * weights, tf.ones_like(weights))}


@pytest.mark.parametrize("terms", [contrastive, centred, fraction_of_the_largest])
@pytest.mark.parametrize("plan", ["halves", "xla", "auto", "net=halves"])
def test_a_false_one_is_refused(terms, plan):
    with pytest.raises(Invalid, match=r"^`separable of phase net` \(True\) must be False: loss of an example is "):
        trainer(terms, plan)


def test_where_the_batch_is_accumulated_under_any_plan():
    with pytest.raises(Invalid, match="separable of phase net"):
        trainer(contrastive, "graph", accumulate=2)


def test_a_transform_that_mixes_examples():
    def mixed(batch, noise):
        return {"x": batch["x"] + batch["x"][::-1]}

    with pytest.raises(Invalid, match="separable of phase net"):
        trainer(lambda y, noise: {"loss": y[:, 0] ** 2}, transform=mixed)


def test_draws_that_are_mixed():
    with pytest.raises(Invalid, match="separable of phase net"):
        trainer(lambda y, noise: {"loss": y[:, 0] ** 2 + tf.reduce_mean(noise.normal("z", []))})


@pytest.mark.parametrize("plan", ["halves", "xla"])
@pytest.mark.parametrize("terms", [
    lambda y, noise: {"loss": y[:, 0] ** 2},
    lambda y, noise: {"loss": (y[:, 0] - noise.normal("z", [])) ** 2},
    lambda y, noise: {"loss": Ratio(y[:, 0] ** 2, tf.cast(y[:, 0] > 0, tf.float32))}])
def test_a_true_one_trains_dropout_and_draws_included(terms, plan):
    made = trainer(terms, plan, dropout=0.5)
    made.train(cycles=1)
    assert made.counters.cycles == 1


def test_it_does_not_matter_under_graph():
    trainer(contrastive, "graph").train(cycles=1)
