"""What layers draw on two workers is what they draw on one, wherever the examples lie in what is dropped."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from engine import ArraySource, BucketedSource, LossStrategy, Phase
from tests import pairs, toys

RNG = np.random.default_rng(0)
STEPS = RNG.normal(size=(60, 8, 3)).astype("float32")


class Steps(LossStrategy):
    """A net of steps [B, T, 3], which are handed to it as ``shape(x)``."""

    def __init__(self, shape=None):
        self.shape = shape or (lambda x: x)

    def phases(self):
        return [Phase("fit", self.loss, updates=["net"], separable=True)]

    def loss(self, nets, batch, noise):
        x = batch["x"]
        y = self.shape(nets["net"](self.shape(x), training=True))
        return {"error": tf.reduce_mean(tf.square(y[..., 0] - tf.reduce_sum(x, axis=2)), axis=1)}


class TwoSources(Steps):
    """The second has twice the batch of the first."""

    def phases(self):
        return [Phase("fit", self.loss, updates=["net"], separable=True, reads=["few", "many"])]

    def loss(self, nets, batch, noise):
        return {name: super(TwoSources, self).loss(nets, batch[name], noise)["error"] for name in ("few", "many")}


def time_first(x):
    return tf.transpose(x, [1, 0, 2])


def net():
    keras.utils.set_random_seed(0)
    made = keras.Sequential([keras.layers.Dense(5, "tanh"), keras.layers.Dropout(0.5), keras.layers.Dense(1)])
    made.build([None, None, 3])
    return made


def steps(batch_size=8, seed=0):
    return ArraySource({"x": STEPS}, batch_size, seed=seed)


CASES = {"examples first": (lambda: Steps(), steps),
         "as many steps as a worker has examples": (lambda: Steps(time_first), lambda: steps(16)),
         "steps first, a few of them": (lambda: Steps(time_first), lambda: steps(24)),
         "buckets": (lambda: Steps(time_first), lambda: BucketedSource(
             {"x": [x[:4 + 4 * (i % 2)] for i, x in enumerate(STEPS)]}, 8, (4, 8))),
         "two sources": (lambda: TwoSources(), lambda: {"many": steps(8, 1), "few": steps(4)})}


@pytest.mark.parametrize("name", CASES)
def test_two_workers_drop_what_one_drops(name):
    strategy, source = CASES[name]

    def made(workers=None):
        nets = {"net": net()}
        return toys.engine(strategy(), nets, {"fit": keras.optimizers.SGD(0.1)}, source(),
                           workers=workers), nets

    one, nets = made()
    one.run(4)
    for two, others, _ in pairs.trained(made, 4):
        np.testing.assert_allclose(toys.bits(two, others), toys.bits(one, nets), rtol=1e-4, atol=1e-5)
